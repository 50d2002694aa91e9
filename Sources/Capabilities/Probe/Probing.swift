internal import Netlink
internal import Syscall
internal import SystemPackage

typealias Answers = [Capability: Availability]

extension Answers {
    /// What is missing and yet lies there as a module that nobody has loaded, and that the kernel did not load itself.
    func namingModules(_ release: String) -> Answers {
        Answers(
            uniqueKeysWithValues: map { capability, answer in
                guard case .missing = answer, let module = capability.facts.module,
                    KernelModules.place(of: module, release: release) == .available
                else { return (capability, answer) }
                return (capability, .unloaded(module: module))
            })
    }

    /// Whether the same kernel with the same modules answers so tomorrow. What could not be tried does not, nor what a
    /// module would bring that the kernel was asked to load and did not; br_netfilter is never asked for.
    func areLasting(_ release: String) -> Bool {
        namingModules(release).allSatisfy { capability, answer in
            switch answer {
            case .native, .missing, .fallback: true
            case .unloaded: capability == .bridgeNetfilter
            case .unknown: NodeProbes.covers.contains(capability)
            }
        }
    }
}

/// One round of trying everything. Nothing is judged by the release, and nothing is made where the node can see it.
struct Probing: Sendable {
    let release: String

    /// After this long what is left stays unknown: a machine whose modprobe is slow must not hold us up.
    /// Some thirty modules may have to be loaded the first time.
    private static let patience = Duration.seconds(30)

    /// What was found, before modules are named.
    func run() -> Answers {
        var answers = NodeProbes.run()
        do throws(Errno) {
            answers.merge(try NetworkNamespace.runInNew { [self] in inScratch() }) { $1 }
        } catch {
            let reason: Availability.Reason =
                error == .notPermitted ? .needsRoot : .failed("no network namespace can be made: \(error)")
            for capability in Capability.allCases where answers[capability] == nil {
                answers[capability] = .unknown(reason)
            }
        }
        return answers
    }

    /// On a thread of its own, whose namespace goes with all that is in it.
    private func inScratch() -> Answers {
        let end = ContinuousClock().now + Self.patience
        // The bridge and the pair that the first makes are what the second works on.
        let groups = [
            LinkProbes.group(release), BridgeProbes.group, RoutingProbes.group, ShapingProbes.group, TableProbes.group,
            ConntrackProbes.group,
        ]
        var answers: Answers = [:]
        for group in groups {
            let isLate = ContinuousClock().now > end
            answers.merge(isLate ? group.unknown("the kernel was too slow to try it") : group.run()) { $1 }
        }
        return answers
    }
}

/// Probes that share a socket and what was made before them.
struct ProbeGroup: Sendable {
    /// What they answer.
    let covers: [Capability]
    /// Tries them in the network namespace of the calling thread.
    let body: @Sendable () throws(NetlinkError) -> Answers

    /// An answer for each capability that the group covers, whatever happens.
    func run() -> Answers {
        var answers: Answers
        do throws(NetlinkError) {
            answers = try body()
        } catch {
            // A kernel without the subsystem refuses the socket itself.
            return Dictionary(uniqueKeysWithValues: covers.map { ($0, Probe.answer($0, error)) })
        }
        answers.merge(unknown("it was not tried")) { answer, _ in answer }
        return answers
    }

    func unknown(_ words: String) -> Answers {
        Dictionary(uniqueKeysWithValues: covers.map { ($0, .unknown(.failed(words))) })
    }
}

/// What the kernel's answer to an attempt means.
enum Probe {
    /// - Parameter lacking: further errnos by which this attempt shows that the kernel lacks the thing.
    static func answer(_ capability: Capability, _ error: NetlinkError?, lacking: [Errno] = []) -> Availability {
        guard let error else { return .native }
        guard let errno = error.errno else { return .unknown(.failed(error.description)) }
        switch errno {
        case .notPermitted, .permissionDenied: return .unknown(.needsRoot)
        case .notSupported, .noSuchFileOrDirectory, .protocolNotSupported, .addressFamilyNotSupported:
            return .missing(option: capability.facts.option)
        default:
            let isLacking = lacking.contains(errno)
            return isLacking ? .missing(option: capability.facts.option) : .unknown(.failed(error.description))
        }
    }

    /// The outcomes of one batch, message by message.
    static func answers(_ capabilities: [Capability], _ outcomes: [NetlinkError?]) -> Answers {
        Dictionary(zip(capabilities, outcomes).map { ($0, answer($0, $1)) }) { first, _ in first }
    }
}
