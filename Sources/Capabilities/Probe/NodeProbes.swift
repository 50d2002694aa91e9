internal import Syscall
internal import SystemPackage

/// What belongs to the node as a whole, whatever the network namespace.
enum NodeProbes {
    /// What they answer.
    static let covers: [Capability] = [.ioUring, .vhostNet, .kvm]

    static func run() -> Answers {
        [.ioUring: ring(), .vhostNet: device(.vhostNet, "vhost-net"), .kvm: device(.kvm, "kvm")]
    }

    private static func ring() -> Availability {
        do throws(Errno) {
            try RingProbe.run()
            return .native
        } catch {
            switch error {
            case .noFunction, .notSupported: return .missing(option: Capability.ioUring.facts.option)
            case .notPermitted, .permissionDenied:
                return .unknown(
                    .failed("io_uring is switched off for this process (kernel.io_uring_disabled, seccomp)"))
            default: return .unknown(.failed("io_uring: \(error)"))
            }
        }
    }

    /// The node of a device may lie there without a driver behind it, so it is opened; where a control group keeps us
    /// from that (systemd's DevicePolicy), the node has to do.
    private static func device(_ capability: Capability, _ name: String) -> Availability {
        let path = FilePath("/dev/" + name)
        do throws(Errno) {
            guard try File.status(of: path) != nil else { return .missing(option: capability.facts.option) }
            _ = try File.open(path, .readWrite)
            return .native
        } catch {
            switch error {
            case .notPermitted, .permissionDenied: return .native
            case .operationNotSupportedByDevice, .noSuchAddressOrDevice, .noSuchFileOrDirectory:
                return .missing(option: capability.facts.option)
            default: return .unknown(.failed("\(path): \(error)"))
            }
        }
    }
}
