import TestSupport
import Glibc
import ISCSI

@testable import BlockStore

/// What the clients of one run have in common: the units' contents, the dice and the time.
final class StressWorld {
    let port: UInt16
    var dice: SeededGenerator
    var models: [StressModel]
    /// Nanoseconds.
    var now: UInt64 = 0
    /// How long a client that does its part may wait for an answer.
    var patience: UInt64 = 10_000_000_000
    /// A client that has not done its part for so long may be shown out.
    var stallLimit: UInt64 = .max
    /// How many clients may freeze, and have.
    var mayFreeze = 0
    var frozen = 0
    /// Nothing new begins, everyone does its part.
    var isEnding = false
    var statistics: [String: Int] = [:]

    init(port: UInt16, seed: UInt64, models: [StressModel]) {
        self.port = port
        dice = SeededGenerator(seed: seed)
        self.models = models
    }

    func chance(_ permille: Int) -> Bool { Int.random(in: 0..<1000, using: &dice) < permille }

    func count(_ what: String) { statistics[what, default: 0] += 1 }
}

/// An initiator that keeps the rules of RFC 7143, works at random, is now and then slow, deaf or gone, and knows
/// exactly what the target owes it.
final class StressClient {
    enum State {
        case away(until: UInt64)
        case loggingIn
        case open
    }

    /// How it does its part.
    enum Pace: Equatable {
        case prompt
        /// So many bytes at each step, both ways.
        case slow(bytes: Int)
        /// Does not read.
        case deaf(until: UInt64)
        /// Sends nothing.
        case mute(until: UInt64)
        /// Does nothing at all, to the end: a machine that hangs.
        case frozen
    }

    let number: Int
    let world: StressWorld
    /// How many requests it has under way at most.
    let depth: Int
    private(set) var state = State.away(until: 0)
    private(set) var pace = Pace.prompt
    var wire: StressWire?
    var options = StressOptions()
    var cmdSN: UInt32 = 1
    var statSN: UInt32 = 0
    var maxCmdSN: UInt32 = 0
    var outstanding: [UInt32: StressCommand] = [:]
    var bursts: [StressBurst] = []
    /// Requests of a connection that is gone: what became of them is certain when the next one has been let in.
    private var lost: [StressCommand] = []
    private var lastTag: UInt32 = 0
    /// Nanoseconds of being at work.
    private(set) var workTime: UInt64 = 0
    private var lastStep: UInt64 = 0
    private var stalledTime: UInt64 = 0
    private var lastStall: UInt64 = 0
    private var loginSince: UInt64 = 0

    init(_ number: Int, _ world: StressWorld, depth: Int) {
        self.number = number
        self.world = world
        self.depth = depth
    }

    var isQuiet: Bool {
        if case .open = state { return outstanding.isEmpty }
        return false
    }

    func newTag() -> UInt32 {
        lastTag = lastTag &+ 1
        return lastTag | UInt32(number) << 24
    }

    /// Does a little of everything.
    func step() throws(WireFault) {
        let elapsed = world.now - lastStep
        lastStep = world.now
        if pace == .prompt {
            workTime += elapsed
            stalledTime = 0
        } else {
            stalledTime += elapsed
        }
        // Where the test itself is held up, no client does its part.
        if max(stalledTime, elapsed) > world.stallLimit / 4 { lastStall = world.now }
        switch state {
        case .away(let until):
            if world.now >= until { try connect() }
        case .loggingIn:
            try awaitLogin()
        case .open:
            try work()
        }
    }

    // MARK: Coming and going

    private func connect() throws(WireFault) {
        let sizes: [CInt?] = [nil, nil, 4096, 16384, 65536]
        let wire = try StressWire(port: world.port, bufferBytes: sizes.randomElement(using: &world.dice) ?? nil)
        self.wire = wire
        options = StressOptions.random(&world.dice)
        var header = RequestHeader(0x43, flags: 0x87, tag: newTag())
        header.put(0x8000_0001 + UInt32(number), at: 8)
        header.put(1, at: 24)
        let text = [
            "InitiatorName=iqn.2026-11.org.example:stress\(number)", "SessionType=Normal",
            "TargetName=\(ServedFixture.target)",
        ]
        let data = (text + options.keys).flatMap { [UInt8](($0 + "\0").utf8) }
        wire.append(header.bytes, data: data[...])
        state = .loggingIn
        pace = .prompt
        loginSince = world.now
    }

    private func awaitLogin() throws(WireFault) {
        guard let wire else { return }
        wire.pumpOut(.max)
        wire.pumpIn(1 << 16)
        guard let answer = try wire.next() else {
            guard !wire.hasEnded, world.now - loginSince < world.patience else {
                throw WireFault("client \(number): no answer to its login\(wire.hasEnded ? ", the end" : "")")
            }
            return
        }
        guard answer.opcode == 0x23, answer.header[36] == 0, answer.flags == 0x87 else {
            throw WireFault("client \(number): login answered with \(answer.header)")
        }
        var text: [String: String] = [:]
        for pair in answer.data.split(separator: 0) {
            let words = String(decoding: pair, as: UTF8.self).split(separator: "=", maxSplits: 1)
            if words.count == 2 { text[String(words[0])] = String(words[1]) }
        }
        try options.settle(text)
        wire.headerDigest = options.headerDigest
        wire.dataDigest = options.dataDigest
        cmdSN = 1
        statSN = answer.number(24) &+ 1
        maxCmdSN = answer.number(32)
        state = .open
        world.count("logins")
        // The old session has ended before the new one was let in: nothing of it is written from now on.
        for command in lost { settle(command, mayHaveHappened: true) }
        lost = []
    }

    /// Leaves without a word, wherever it stands.
    func vanish(for nanoseconds: UInt64) {
        guard let wire else { return }
        if Bool.random(using: &world.dice) { wire.resetOnClose() }
        self.wire = nil
        lost += outstanding.values
        outstanding = [:]
        bursts = []
        pace = .prompt
        state = .away(until: world.now + nanoseconds)
        world.count("vanished")
    }

    // MARK: Work

    private func work() throws(WireFault) {
        guard let wire else { return }
        choosePace()
        var inward = 1 << 18
        var outward = 1 << 18
        switch pace {
        case .prompt: break
        case .slow(let bytes): (inward, outward) = (bytes, bytes)
        case .deaf: inward = 0
        case .mute: outward = 0
        case .frozen: return
        }
        wire.pumpIn(inward)
        while let pdu = try wire.next() { try take(pdu) }
        if wire.hasEnded { return try ended() }
        if !world.isEnding {
            submit()
            if world.chance(1) { return vanish(for: UInt64.random(in: 0..<50_000_000, using: &world.dice)) }
        }
        if outward > 0, wire.backlog < 1 << 16 { sendBursts(wire) }
        wire.pumpOut(outward)
        try checkAges()
    }

    /// The target has closed the connection: it may, where this client has not done its part.
    private func ended() throws(WireFault) {
        guard lastStall > 0, world.now - lastStall < 2_000_000_000 else {
            throw WireFault("client \(number): shown out, though it did its part; \(outstanding.count) under way")
        }
        world.count("shown out")
        vanish(for: 1_000_000)
    }

    private func choosePace() {
        switch pace {
        case .deaf(let until), .mute(let until):
            if world.now >= until || world.isEnding { pace = .prompt }
        case .slow:
            if world.isEnding || world.chance(10) { pace = .prompt }
        case .frozen:
            if world.isEnding { pace = .prompt }
        case .prompt:
            guard !world.isEnding, world.chance(8) else { return }
            if world.frozen < world.mayFreeze, world.chance(100) {
                world.frozen += 1
                world.count("frozen")
                pace = .frozen
                return
            }
            let time = UInt64.random(in: 5_000_000..<600_000_000, using: &world.dice)
            switch Int.random(in: 0..<3, using: &world.dice) {
            case 0: pace = .slow(bytes: [100, 1000, 10_000].randomElement(using: &world.dice) ?? 100)
            case 1: pace = .deaf(until: world.now + time)
            default: pace = .mute(until: world.now + time)
            }
        }
    }

    /// Sends what was asked for, PDU by PDU: each task's bursts in their order (DataSequenceInOrder=Yes), tasks in any
    /// order, unsolicited data in the order of the commands.
    private func sendBursts(_ wire: StressWire) {
        for _ in 0..<4 where !bursts.isEmpty {
            var place = 0
            if bursts[0].transferTag != .max { place = Int.random(in: 0..<bursts.count, using: &world.dice) }
            if bursts[place].transferTag == .max { place = bursts.firstIndex { $0.transferTag == .max } ?? 0 }
            let chosen = bursts[place].tag
            place = bursts.firstIndex { $0.tag == chosen } ?? place
            var burst = bursts[place]
            guard let command = outstanding[burst.tag] else {
                bursts.remove(at: place)
                continue
            }
            let left = burst.end - burst.offset
            let most = min(left, options.sendSegment)
            let length = world.chance(700) ? most : Int.random(in: 1...most, using: &world.dice)
            let isLast = length == left
            var header = RequestHeader(0x05, flags: isLast ? 0x80 : 0, tag: burst.tag)
            header.put(lun: command.lun)
            header.put(burst.transferTag, at: 20)
            header.put(statSN, at: 28)
            header.put(burst.dataSN, at: 36)
            header.put(UInt32(burst.offset), at: 40)
            wire.append(header.bytes, data: command.data[burst.offset..<burst.offset + length])
            burst.offset += length
            burst.dataSN += 1
            if isLast {
                bursts.remove(at: place)
                if burst.transferTag != .max { outstanding[burst.tag]?.openR2Ts -= 1 }
            } else {
                bursts[place] = burst
            }
        }
    }

    /// Nothing that it asked for may take too long, unless it does not do its own part.
    private func checkAges() throws(WireFault) {
        guard pace == .prompt else { return }
        for (tag, command) in outstanding where workTime - command.since > world.patience {
            throw WireFault(
                """
                client \(number): no answer to \(command.kind) (tag \(tag), LUN \(command.lun), \(command.range)) for \
                \((workTime - command.since) / 1_000_000) ms; \(outstanding.count) under way, CmdSN \(cmdSN) of \
                \(maxCmdSN), \(command.received) bytes received, \(command.count) PDUs, \(command.openR2Ts) R2Ts open, \
                \(bursts.count) bursts to send, \(wire?.backlog ?? 0) bytes to send; \(options)
                """)
        }
    }

    /// A request has ended.
    func settle(_ command: StressCommand, mayHaveHappened: Bool, hasHappened: Bool = false) {
        guard command.isClaiming else { return }
        let lun = Int(command.lun)
        let outcome = hasHappened ? "done" : mayHaveHappened ? "perhaps done" : "not done"
        world.models[lun].note(command.range, "\(command.kind) \(command.range) of client \(number) \(outcome)")
        if let version = command.version {
            if hasHappened {
                world.models[lun].wrote(command.range, version)
            } else if mayHaveHappened {
                world.models[lun].mayHaveWritten(command.range, version)
            }
        }
        world.models[lun].release(command.range, writing: command.version != nil)
    }
}
