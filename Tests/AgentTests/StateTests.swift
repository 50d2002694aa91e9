import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import sdagent

@Suite("The state folder")
struct StateTests {
    @Test("A lock has one holder, and goes with it")
    func lock() async throws {
        let place = try Workplace()
        try place.state.prepare()
        let first = try #require(try Held(place.state))
        #expect(try StateLock.isHeld(.apply, in: place.state))
        #expect(StateLock.holder(of: .apply, in: place.state) == ProcessInfo.processInfo.processIdentifier)
        #expect(try Held(place.state) == nil)
        #expect(try StateLock.isHeld(.run, in: place.state) == false)
        first.release()
        #expect(try StateLock.isHeld(.apply, in: place.state) == false)
        #expect(try Held(place.state) != nil)
    }

    @Test("A lock that is given up is free, whoever still refers to the open file")
    func lingering() throws {
        let place = try Workplace()
        try place.state.prepare()
        let held = try #require(try Held(place.state))
        let lingering = Lingering(place.state.path.appending("lock").string)
        #expect(lingering.count == 1)
        held.release()
        #expect(try StateLock.isHeld(.apply, in: place.state) == false)
        withExtendedLifetime(lingering) {}
    }

    @Test("Who comes second waits, is told for whom, and is refused in the end")
    func refused() async throws {
        let place = try Workplace()
        try place.state.prepare()
        let first = try #require(try Held(place.state))
        let own = ProcessInfo.processInfo.processIdentifier
        await #expect {
            try await StateLock.take(.apply, in: place.state, patience: .milliseconds(200)) { #expect($0 == own) }
                .release()
        } throws: { error in
            "\(error)".contains("the process \(own) is changing this node")
        }
        first.release()
    }

    @Test("Who comes second gets the lock once the first is done")
    func waited() async throws {
        let place = try Workplace()
        try place.state.prepare()
        let first = try #require(try Held(place.state))
        async let second: Void = StateLock.take(.apply, in: place.state, patience: .seconds(20)) { _ in
            first.release()
        }.release()
        try await second
    }

    @Test("History keeps the last manifests, the newest last, and no manifest twice in a row")
    func history() throws {
        let place = try Workplace()
        try place.state.prepare()
        let history = ManifestHistory(place.state)
        #expect(history.newest() == nil)
        for number in 0..<15 {
            try history.add(place.request("boxes: {a: {value: '\(number)'}}"))
            try history.add(place.request("boxes: {a: {value: '\(number)'}}"))
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: history.folder.string).sorted()
        #expect(names.count == ManifestHistory.limit)
        #expect(names.last == "00000015.json")
        #expect(history.newest() == place.request("boxes: {a: {value: '14'}}"))
    }

    @Test("A folder that cannot be made is named with the remedy")
    func unwritable() {
        let state = StateDirectory(path: FilePath("/proc/nowhere/state"))
        #expect { try state.prepare() } throws: { error in
            "\(error)".contains("cannot make the directory /proc/nowhere")
        }
    }
}

/// A held lock in a place that may be copied.
final class Held: Sendable, Equatable {
    private let lock: Mutex<StateLock?>

    /// Nil where somebody else holds it.
    init?(_ state: StateDirectory) throws {
        lock = Mutex(try StateLock.take(.apply, in: state))
        guard lock.withLock({ $0 != nil }) else { return nil }
    }

    func release() { lock.withLock { $0 = nil } }

    static func == (left: Held, right: Held) -> Bool { left === right }
}
