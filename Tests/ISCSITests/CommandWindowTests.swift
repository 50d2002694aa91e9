import TestSupport
import Testing

@testable import ISCSI

@Suite struct CommandWindowTests {
    @Test(arguments: [0, 1, 0xffff_ffc0, 0xffff_ffff] as [UInt32])
    func commandsInOrderAreDelivered(first: UInt32) {
        var window = CommandWindow(first: first)
        #expect(window.numbers(statSN: 1) == StatusNumbers(statSN: 1, expCmdSN: first, maxCmdSN: first &+ 127))
        for step in 0..<300 as Range<UInt32> {
            #expect(window.admit(cmdSN: first &+ step, immediate: false) == .deliver)
            #expect(window.takeHeld() == nil)
            window.retire(immediate: false)
        }
        #expect(window.expCmdSN == SerialNumber(first &+ 300))
        #expect(window.maxCmdSN == SerialNumber(first &+ 427))
    }

    @Test func theWindowOpensWhenCommandsEnd() {
        var window = CommandWindow(first: 0xffff_fff0)
        for step in 0..<128 as Range<UInt32> {
            #expect(window.admit(cmdSN: 0xffff_fff0 &+ step, immediate: false) == .deliver)
        }
        #expect(window.admit(cmdSN: 0x70, immediate: false) == .ignore, "the window is shut")
        #expect(window.maxCmdSN.distance(after: window.expCmdSN) == -1)
        window.retire(immediate: false)
        #expect(window.admit(cmdSN: 0x70, immediate: false) == .deliver)
    }

    @Test func aGapHoldsWhatComesAfterIt() {
        var window = CommandWindow(first: 0xffff_ffff)
        let second = window.admit(cmdSN: 0, immediate: false)
        let third = window.admit(cmdSN: 1, immediate: false)
        #expect(second == .hold(slot: 0) && third == .hold(slot: 1))
        #expect(window.admit(cmdSN: 1, immediate: false) == .ignore, "a duplicate of a held command")
        #expect(window.takeHeld() == nil)
        #expect(window.admit(cmdSN: 0xffff_ffff, immediate: false) == .deliver)
        #expect(window.takeHeld() == 0)
        #expect(window.takeHeld() == 1)
        #expect(window.takeHeld() == nil)
        #expect(window.expCmdSN == SerialNumber(2))
    }

    @Test func everySlotCanBeHeldAtOnce() {
        var window = CommandWindow(first: 1000)
        var slots: Set<Int> = []
        for step in (1..<128 as Range<UInt32>).reversed() {
            guard case .hold(let slot) = window.admit(cmdSN: 1000 + step, immediate: false) else {
                Issue.record("command \(step) was not held")
                return
            }
            slots.insert(slot)
        }
        #expect(slots.count == 127)
        #expect(window.admit(cmdSN: 1000, immediate: false) == .deliver)
        var taken: [Int] = []
        while let slot = window.takeHeld() { taken.append(slot) }
        #expect(taken == (1..<128).map { (1000 + $0) % 128 })
    }

    @Test(arguments: [-1, -100, 128, 129, 0x7fff_ffff, -0x8000_0000])
    func outsideTheWindowIsNotHeardOf(offset: Int) {
        var window = CommandWindow(first: 50)
        let before = window
        #expect(window.admit(cmdSN: UInt32(truncatingIfNeeded: 50 + offset), immediate: false) == .ignore)
        #expect(window == before)
    }

    @Test func immediateCommandsPassOutsideTheWindow() {
        var window = CommandWindow(first: 7)
        for _ in 0..<CommandWindow.immediateLimit {
            #expect(window.admit(cmdSN: 99, immediate: true) == .deliver)
        }
        #expect(window.admit(cmdSN: 99, immediate: true) == .refuse)
        window.retire(immediate: true)
        #expect(window.admit(cmdSN: 99, immediate: true) == .deliver)
        #expect(window.expCmdSN == SerialNumber(7) && window.maxCmdSN == SerialNumber(134))
    }

    /// Random arrivals in a window of random places: each command comes out exactly once, in order.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func everyCommandComesOutOnceAndInOrder(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let first = UInt32.random(in: .min ... .max, using: &random)
        var window = CommandWindow(first: first)
        var held: [Int: UInt32] = [:]
        var delivered: UInt32 = 0
        for _ in 0..<20_000 {
            let number = window.expCmdSN.value &+ UInt32.random(in: 0..<160, using: &random) &- 16
            switch window.admit(cmdSN: number, immediate: false) {
            case .deliver:
                #expect(number == first &+ delivered)
                delivered += 1
                while let slot = window.takeHeld() {
                    #expect(held.removeValue(forKey: slot) == first &+ delivered)
                    delivered += 1
                    window.retire(immediate: false)
                }
                window.retire(immediate: false)
            case .hold(let slot):
                #expect(held.updateValue(number, forKey: slot) == nil, "a slot was in use")
            case .ignore: break
            case .refuse: Issue.record("nothing was immediate")
            }
        }
        #expect(window.expCmdSN == SerialNumber(first &+ delivered))
        #expect(delivered > 1000)
    }

    @Test func roomThatNoAnswerTellsOfIsNoticed() {
        var window = CommandWindow(first: 0xffff_fff0)
        for step in 0..<128 as Range<UInt32> {
            #expect(window.admit(cmdSN: 0xffff_fff0 &+ step, immediate: false) == .deliver)
            #expect(!window.isSecretlyOpen, "there is no room, or the initiator knows of some")
        }
        window.retire(immediate: false)
        #expect(window.isSecretlyOpen)
        #expect(window.tell(statSN: 4) == StatusNumbers(statSN: 4, expCmdSN: 0x70, maxCmdSN: 0x70))
        #expect(!window.isSecretlyOpen)
    }
}
