internal import Netlink
internal import SystemPackage

/// Why routers could not be looked at or made so.
enum RouterError: Error, Hashable, CustomStringConvertible {
    case netlink(NetlinkError)
    case sysctl(IPSettingError)
    /// The network namespace cannot be entered.
    case location(Errno)

    var description: String {
        switch self {
        case .netlink(let error): error.description
        case .sysctl(let error): error.description
        case .location(let errno): "the network namespace cannot be entered: \(errno)"
        }
    }
}

extension NetworkLocation {
    /// Runs a call on /proc/sys there.
    func runSysctl<Value: Sendable>(
        _ body: @Sendable () throws(IPSettingError) -> Value
    ) throws(RouterError) -> Value {
        let outcome: Result<Value, IPSettingError>
        do throws(Errno) {
            outcome = try run { () -> Result<Value, IPSettingError> in
                do throws(IPSettingError) { return .success(try body()) } catch { return .failure(error) }
            }
        } catch {
            throw .location(error)
        }
        switch outcome {
        case .success(let value): return value
        case .failure(let error): throw .sysctl(error)
        }
    }
}
