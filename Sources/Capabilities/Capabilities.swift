internal import Syscall
internal import SystemPackage

/// What one kernel offers: an answer for every capability. A value: kinds take one, and tests make one by hand.
public struct Capabilities: Hashable, Sendable {
    /// The whole of uname -r.
    public let release: String
    private let answers: [Capability: Availability]

    /// What the running kernel offers: tried once for each process, at the first question, in some 20 to 80 ms.
    public static let current = probe()

    /// Tries everything, in a network namespace made for it. Blocks; never throws and never waits for ever.
    public static func probe() -> Capabilities {
        let release = runningRelease()
        return Capabilities(release: release, raw: Probing(release: release).run())
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
