internal import Capabilities
internal import Netlink
internal import Reconcile

/// Has conntrack forget what the rules of some NICs forbid, after a change of them.
struct FlowEnding: Sendable {
    private let policy: Policy
    private let desired: Desired
    private let concerned: Concerned
    /// The NICs that had no groups so far, by their resource names.
    private let new: Set<String>
    private let places: [UInt16: FlowJudge.Place]
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
    ///   - concerned: whose rules may allow less than before.
    ///   - new: those of them that had no groups so far, by their resource names.
    /// - Returns: nil where there is nothing to end: all their groups keep flows, or the kernel cannot, which their
    ///   groups say then (`GroupKind`).
    init?(
        _ policy: Policy, _ concerned: Concerned, new: Set<String>, _ desired: Desired, in location: NetworkLocation
    ) {
        if case .missing = Capabilities.current[.conntrackNetlink] { return nil }
        self.policy = policy
        self.desired = desired
        self.concerned = concerned
        self.location = location
        places = FlowJudge.places(desired.specs(of: SwitchKind.self).values)
        let kept = Self.keeping(policy)
        if kept.isEmpty {
            self.new = new
            return
        }
        let names = Self.judged(concerned, desired, kept)
        if names.isEmpty { return nil }
        self.new = new.intersection(names)
    }

    /// The groups that keep their flows.
    private static func keeping(_ policy: Policy) -> Set<String> {
        Set(policy.groups.values.filter { $0.liveFlows == .keep }.map(\.name))
    }

    private static func judged(_ concerned: Concerned, _ desired: Desired, _ kept: Set<String>) -> Set<String> {
        let nics = concerned.nics(among: desired.specs(of: NICKind.self).values)
        return Set(nics.filter { kept.isDisjoint(with: $0.groups) }.map(\.resourceName))
    }

    /// It takes a look at every NIC, so it is made when there is a flow to judge.
    private func makeJudge() -> FlowJudge {
        func model(_ names: Set<String>) -> PolicyModel {
            PolicyModel(
                desired.specs(of: NICKind.self).values, groups: policy.groups, sets: policy.sets, judged: names)
        }
        return FlowJudge(
            model: model(Self.judged(concerned, desired, Self.keeping(policy))),
            newcomers: new.isEmpty ? nil : model(new), places: places, state: policy.state)
    }

    /// Ends the flows, and refuses what answers to them for a moment.
    ///
    /// - Parameter refuse: has the bridge refuse answers like these; each time it gets all there are.
    func run(refusing refuse: (Set<ConntrackTuple>) throws(NFError) -> Void) async throws(NFError) {
        var answers: Set<ConntrackTuple> = []
        var judge: FlowJudge?
        let clock = ContinuousClock()
        var end = clock.now + (new.isEmpty ? .zero : Self.graceOfNewcomers)
        for _ in 0..<Self.looks {
            // A flow that has ended only now may have been answered a moment ago, however long it took to come here.
            if try self.end(&answers, &judge, refuse) { end = max(end, clock.now + Self.grace) }
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
        _ answers: inout Set<ConntrackTuple>, _ known: inout FlowJudge?,
        _ refuse: (Set<ConntrackTuple>) throws(NFError) -> Void
    ) throws(NFError) -> Bool {
        var isAny = false
        for _ in 0..<Self.shares {
            let awaited = answers
            let ended = try conntrack { (socket) throws(NetlinkError) -> [ConntrackEntry] in
                if try socket.conntrackCount() == 0 { return [] }
                return try socket.conntrack(atMost: Self.share) { entry in
                    guard places[entry.originalZone] != nil else { return false }
                    let judge = known ?? makeJudge()
                    known = judge
                    return judge.forbids(entry) || awaited.contains(entry.original.withoutZone)
                }
            }
            guard let judge = known, !ended.isEmpty else { return isAny }
            for entry in ended where entry.original.transport == IPProtocol.udp.number {
                isAny = true
                guard answers.count < Self.awaited else { break }
                answers.formUnion(judge.answers(to: entry).map(\.withoutZone))
            }
            if answers.count > awaited.count { try refuse(answers) }
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
