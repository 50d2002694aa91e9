import Glibc
import TestSupport
import Testing
@testable import VSwitch

/// Random manifests, edited at random and applied one after the other. After each the packets pass that may, by a model
/// written from the documentation, and no others; nothing is left to plan; and the kernel is as after a first apply of
/// the same manifest.
///
/// A failing seed plays again: RANDOM_SEEDS=7 swift test --filter RandomTests. A range (1-200) and RANDOM_EDITS, edits
/// of each, make a long run.
@Suite("Random manifests", .serialized, .enabled(if: TestNamespace.isPossible))
struct RandomTests {
    private static func setting(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Those that are asked for; else some that are always the same, and one that is new.
    static let seeds: [UInt64] = {
        guard let wish = setting("RANDOM_SEEDS") else { return [1, 2, UInt64.random(in: 1000...9_999_999)] }
        let bounds = wish.split(separator: "-").compactMap { UInt64($0) }
        guard let first = bounds.first, let last = bounds.last, first <= last else { return [] }
        return Array(first...last)
    }()

    private static let edits = setting("RANDOM_EDITS").flatMap { Int($0) } ?? 4

    @Test(arguments: seeds) func `who may talk does, whatever came before`(seed: UInt64) async throws {
        print("random manifests: RANDOM_SEEDS=\(seed) RANDOM_EDITS=\(Self.edits)")
        try await Place.with(Names.guests) { place in
            try await place.answering {
                var dice = Dice(seed: seed)
                var (before, sketch) = (Sketch(), dice.sketch())
                for number in 0...Self.edits {
                    let found = try await RandomRound(sketch: sketch, place: place).faults(&dice)
                    guard found.isEmpty else {
                        Issue.record(Comment(rawValue: Self.words(found, seed, number, from: before, to: sketch)))
                        return
                    }
                    before = sketch
                    dice.edit(&sketch)
                }
            }
        }
    }

    private static func words(
        _ faults: [String], _ seed: UInt64, _ number: Int, from before: Sketch, to after: Sketch
    ) -> String {
        let guests = Set(Names.guests)
        return """
            seed \(seed), edit \(number); again with RANDOM_SEEDS=\(seed) RANDOM_EDITS=\(number)
            \(faults.joined(separator: "\n"))
            --- the manifest before
            \(before.yaml(guests: guests))--- the manifest
            \(after.yaml(guests: guests))
            """
    }
}

/// One manifest on a node that had others before.
struct RandomRound: Sendable {
    let sketch: Sketch
    let place: Place

    /// Applies it and looks at everything; returns what is not as it should be.
    func faults(_ dice: inout Dice) async throws -> [String] {
        let text = sketch.yaml(guests: Set(Names.guests))
        let left = try await place.town.apply(text)
        guard left.isEmpty else { return left.map { "apply: \($0)" } }
        let plan = try await place.town.plan(text)
        guard plan.isEmpty else { return plan.map { "still to do after an apply: \($0)" } }
        let asked = questions(&dice)
        async let surprises = place.surprises(asked)
        let differences = try await differencesFromFresh(text)
        return try await surprises + differences
    }

    /// What a node has otherwise that never had another manifest.
    private func differencesFromFresh(_ text: String) async throws -> [String] {
        let guests = Names.guests.filter { sketch.nics[$0] != nil }
        return try await Place.with(guests) { fresh in
            let left = try await fresh.town.apply(text)
            guard left.isEmpty else { return left.map { "first apply: \($0)" } }
            let found = try await place.differences(from: fresh, guests: guests)
            return found.isEmpty ? [] : ["the kernel has (-), and after a first apply (+)"] + found
        }
    }

    /// Of all that could be asked, some that may be and some that may not.
    func questions(_ dice: inout Dice) -> [(question: Expectation.Question, isAnswered: Bool)] {
        let expectation = Expectation(sketch: sketch)
        var asked: [(question: Expectation.Question, isAnswered: Bool)] = []
        for question in everything() {
            if let isAnswered = expectation.answers(question) { asked.append((question, isAnswered)) }
        }
        let (may, mayNot) = (asked.filter(\.isAnswered), asked.filter { !$0.isAnswered })
        return dice.some(of: may, 80...80) + dice.some(of: mayNot, 80...80)
    }

    /// Whoever may be asked, and whatever forwards and routers there are, by all guests.
    private func everything() -> [Expectation.Question] {
        var ends: Set<Expectation.Question> = []
        for from in Names.guests where sketch.nics[from] != nil {
            for family in Family.allCases {
                for (name, nic) in sketch.nics where name != from && Names.guests.contains(name) {
                    guard let address = sketch.address(of: nic, family) else { continue }
                    ends.insert(Expectation.Question(from: from, how: "icmp", to: address, port: 0))
                    for (how, port) in ["tcp", "udp"].flatMap({ how in Dice.ports.map { (how, $0) } }) {
                        ends.insert(Expectation.Question(from: from, how: how, to: address, port: port))
                    }
                }
                for router in sketch.routers.values {
                    for name in router.interfaces.keys {
                        guard let address = sketch.address(of: router, on: name, family) else { continue }
                        ends.insert(Expectation.Question(from: from, how: "icmp", to: address, port: 0))
                    }
                    for forward in router.forwards where forward.family == family {
                        guard let listen = sketch.address(of: router, on: forward.listen, family) else { continue }
                        ends.insert(
                            Expectation.Question(from: from, how: forward.transport, to: listen, port: forward.port))
                    }
                }
            }
        }
        return ends.sorted { $0.description < $1.description }
    }
}
