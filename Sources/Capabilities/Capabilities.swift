internal import Synchronization
internal import Syscall
public import SystemPackage

/// What one kernel offers: an answer for every capability. A value: kinds take one, and tests make one by hand.
public struct Capabilities: Hashable, Sendable {
    /// The whole of uname -r.
    public let release: String
    private let answers: [Capability: Availability]

    /// What the running kernel offers, found out once for each process, at the first question: from the record, else by
    /// trying, in some 20 to 80 ms.
    public static let current = recalled() ?? renewed()

    private static let record = Mutex<CapabilityRecord?>(nil)

    /// Has what is found out kept in this file for later processes; until this is called nothing is kept or recalled.
    public static func keep(at path: FilePath) { record.withLock { $0 = CapabilityRecord(path: path) } }

    /// Tries everything, in a network namespace made for it. Blocks; never throws and never waits for ever.
    public static func probe() -> Capabilities {
        let release = runningRelease()
        return Capabilities(release: release, raw: Probing(release: release).run().namingModules(release))
    }

    /// Tries everything, and replaces the record.
    public static func renewed() -> Capabilities {
        renewed(record.withLock { $0 }, runningRelease())
    }

    static func renewed(_ record: CapabilityRecord?, _ release: String) -> Capabilities {
        let before = circumstances(of: record, release)
        let answers = Probing(release: release).run()
        if let record, let before, answers.areLasting(release), circumstances(of: record, release) == before {
            // A node on which it cannot be kept is tried again the next time.
            _ = try? record.write(answers, before)
        }
        return Capabilities(release: release, raw: answers.namingModules(release))
    }

    private static func recalled() -> Capabilities? {
        record.withLock { $0 }.flatMap { recalled($0, runningRelease()) }
    }

    static func recalled(_ record: CapabilityRecord, _ release: String) -> Capabilities? {
        guard let now = circumstances(of: record, release), let kept = record.read(now) else { return nil }
        let answers = kept.merging(NodeProbes.run()) { $1 }
        return Capabilities(release: release, raw: answers.namingModules(release))
    }

    /// Nil where nothing is kept: by others than root, or where /proc does not tell.
    private static func circumstances(of record: CapabilityRecord?, _ release: String) -> KernelIdentity? {
        guard record != nil, OwnProcess.user == 0 else { return nil }
        return try? KernelIdentity.now(release)
    }

    /// Capabilities with these answers; what is not named counts as native. Fallbacks are worked out.
    public init(release: String = "6.12", raw: [Capability: Availability]) {
        self.release = release
        answers = Dictionary(
            uniqueKeysWithValues: Capability.allCases.map { ($0, Self.settled($0, raw)) })
    }

    /// How the kernel stands to a capability.
    public subscript(capability: Capability) -> Availability { answers[capability] ?? .native }

    /// Whether the kernel itself offers it.
    public func has(_ capability: Capability) -> Bool { self[capability] == .native }

    /// Whether a lack of it can be told for certain: not where it could not be tried.
    public func lacks(_ capability: Capability) -> Bool {
        switch self[capability] {
        case .native, .unknown: false
        case .fallback, .missing, .unloaded: true
        }
    }

    /// In words for a refusal: "a kernel with CONFIG_NET_VRF", "Linux 6.7 or later", "`modprobe br_netfilter`".
    public func remedy(for capability: Capability) -> String {
        let facts = capability.facts
        if case .unloaded(let module) = self[capability] { return "`modprobe \(module)`" }
        if let running = KernelRelease(parsing: release), running < facts.since {
            return "Linux \(facts.since) or later"
        }
        return "a kernel with \(facts.option)"
    }

    /// A fallback counts where what it stands on is there.
    private static func settled(_ capability: Capability, _ raw: [Capability: Availability]) -> Availability {
        let answer = raw[capability] ?? .native
        guard case .missing = answer, let fallback = capability.facts.fallback else { return answer }
        guard let needs = fallback.needs else { return .fallback(fallback.name) }
        return (raw[needs] ?? .native) == .native ? .fallback(fallback.name) : answer
    }

    private static func runningRelease() -> String {
        do throws(Errno) { return try Sysctl.read("kernel/osrelease") } catch { return "unknown" }
    }
}
