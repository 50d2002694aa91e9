internal import Capabilities
internal import Netlink
internal import Reconcile

/// Has conntrack forget what the rules of some NICs forbid, after a change of them.
struct FlowEnding: Sendable {
    private let judge: FlowJudge
    private let location: NetworkLocation

    /// So many are held in memory and forgotten at a time.
    private static let share = 16_384
    /// More shares than any table of conntrack has. New flows meet the new rules: forbidden ones only get fewer.
    private static let shares = 4_096
    /// For so long after the last flow has ended answers are awaited.
    private static let grace = Duration.milliseconds(500)
    /// So long where nobody asked conntrack about a NIC's flows so far: it knows of them only what it sees now.
    private static let graceOfNewcomers = Duration.seconds(2)
    /// So often it is looked for new ones meanwhile, and so many times at most: some ten seconds.
    private static let pause = Duration.milliseconds(50)
    private static let looks = 200
    /// Ended flows whose answers are awaited. Of more than that the rest is not.
    private static let awaited = 8_192

    /// - Parameters:
    ///   - judged: the NICs whose rules may allow less than before.
    ///   - new: those of them that had no groups so far, by their resource names.
    /// - Returns: nil where there is nothing to end: all their groups keep flows, or the kernel cannot, which their
    ///   groups say then (`GroupKind`).
    init?(
        _ policy: Policy, among judged: [NICSpec], new: Set<String>, _ desired: Desired, in location: NetworkLocation
    ) {
        let kept = Set(policy.groups.values.filter { $0.liveFlows == .keep }.map(\.name))
        let names = Set(judged.filter { kept.isDisjoint(with: $0.groups) }.map(\.resourceName))
        if names.isEmpty { return nil }
        if case .missing = Capabilities.current[.conntrackNetlink] { return nil }
        func model(_ names: Set<String>) -> PolicyModel {
            PolicyModel(
                desired.specs(of: NICKind.self).values, groups: policy.groups, sets: policy.sets, judged: names)
        }
        let newcomers = new.intersection(names)
        judge = FlowJudge(
            model: model(names), newcomers: newcomers.isEmpty ? nil : model(newcomers),
            places: FlowJudge.places(desired.specs(of: SwitchKind.self).values), state: policy.state)
        self.location = location
    }

    /// Ends the flows, and refuses what answers to them for a moment.
    ///
    /// - Parameter refuse: has the bridge refuse answers like these; each time it gets all there are.
    func run(refusing refuse: (Set<ConntrackTuple>) throws(NFError) -> Void) async throws(NFError) {
        var answers: Set<ConntrackTuple> = []
        let clock = ContinuousClock()
        var end = clock.now + (judge.newcomers == nil ? .zero : Self.graceOfNewcomers)
        for _ in 0..<Self.looks {
            // A flow that has ended only now may have been answered a moment ago, however long it took to come here.
            if try self.end(&answers, refuse) { end = max(end, clock.now + Self.grace) }
            // Of flows that nobody asked conntrack about so far the first that it sees may be an answer.
            if clock.now >= end || Task.isCancelled { return }
            // Where the task is cancelled while it sleeps the next look is the last.
            try? await clock.sleep(for: Self.pause)
        }
    }

    /// Has the bridge refuse the answers before conntrack forgets what they answer to: none comes in between.
    ///
    /// - Returns: whether flows have ended of which answers may be under way.
    private func end(
        _ answers: inout Set<ConntrackTuple>, _ refuse: (Set<ConntrackTuple>) throws(NFError) -> Void
    ) throws(NFError) -> Bool {
        var isAny = false
        for _ in 0..<Self.shares {
            let known = answers
            let ended = try conntrack { socket throws(NetlinkError) in
                try socket.conntrack(atMost: Self.share) {
                    judge.forbids($0) || judge.places[$0.originalZone] != nil && known.contains($0.original.withoutZone)
                }
            }
            for entry in ended where entry.original.transport == IPProtocol.udp.number {
                isAny = true
                guard answers.count < Self.awaited else { break }
                answers.formUnion(judge.answers(to: entry).map(\.withoutZone))
            }
            if answers.count > known.count { try refuse(answers) }
            if let failure = try conntrack({ (socket) throws(NetlinkError) in try socket.forget(ended) }).first {
                throw .netlink(failure.error)
            }
            if ended.count < Self.share { return isAny }
        }
        throw .netlink(NetlinkError(operation: "forget flows", cause: .interrupted))
    }

    private func conntrack<Value>(
        _ body: (inout NetlinkSocket) throws(NetlinkError) -> Value
    ) throws(NFError) -> Value {
        do throws(NetlinkError) {
            var socket = try location.socket(.netfilter)
            return try body(&socket)
        } catch {
            throw .netlink(error)
        }
    }
}

extension ConntrackTuple {
    /// The zone of an answer depends on where it comes in.
    fileprivate var withoutZone: ConntrackTuple {
        ConntrackTuple(source: source, destination: destination, transport: transport, ends: ends)
    }
}
