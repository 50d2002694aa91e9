import Syscall
import SystemPackage

/// The network namespace of this process, as one agent has it: two there, each with a state of its own, would take away
/// what the other has made. It is free again with its last reference, and with the process however that ends.
///
/// Agents in other network namespaces have claims of their own.
final class NetworkClaim: Sendable {
    private let name: HeldName

    private init(_ name: consuming HeldName) { self.name = name }

    /// Claims it if nobody has.
    static func take(_ purpose: StateLock.Purpose) throws(ClaimError) -> NetworkClaim? {
        do throws(Errno) {
            guard let name = try HeldName.take(purpose.claimName) else { return nil }
            return NetworkClaim(name)
        } catch {
            throw .unavailable(error)
        }
    }

    /// Claims it, waiting for whoever has it until the deadline.
    ///
    /// - Parameter onWait: told once that there is somebody to wait for.
    static func take(
        _ purpose: StateLock.Purpose, until deadline: ContinuousClock.Instant, onWait: @Sendable (ClaimHolder) -> Void
    ) async throws -> NetworkClaim {
        let began = ContinuousClock.now
        var isTold = false
        while true {
            if let claim = try take(purpose) { return claim }
            if !isTold { onWait(try holder(of: purpose) ?? .unknown) }
            isTold = true
            guard ContinuousClock.now < deadline else {
                throw ClaimError.busy(try holder(of: purpose) ?? .unknown, waited: ContinuousClock.now - began)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Who has it; nil if nobody has.
    static func holder(of purpose: StateLock.Purpose) throws(ClaimError) -> ClaimHolder? {
        do throws(Errno) {
            return try HeldName.holder(of: purpose.claimName).map(ClaimHolder.init)
        } catch {
            throw .unavailable(error)
        }
    }

    /// For one that is kept for long: forgets those who have asked who has it.
    func forgetAskers() throws(ClaimError) {
        do throws(Errno) { try name.forgetAskers() } catch { throw .unavailable(error) }
    }
}

extension StateLock.Purpose {
    fileprivate var claimName: String {
        switch self {
        case .apply: "sdagent/apply"
        case .run: "sdagent/run"
        }
    }
}

/// The process that has claimed the network namespace, in words.
struct ClaimHolder: Sendable, CustomStringConvertible {
    let description: String

    static let unknown = ClaimHolder(description: "another process")

    private init(description: String) { self.description = description }

    init(_ process: PeerProcess) {
        guard process.id > 0 else {
            self = .unknown
            return
        }
        let user = process.user == 0 ? "" : " of user \(process.user)"
        let line = process.commandLine().map { " (`\($0.joined(separator: " "))`)" } ?? ""
        description = "process \(process.id)\(user)\(line)"
    }
}

/// Why the network namespace cannot be claimed.
enum ClaimError: Error, CustomStringConvertible {
    /// Somebody is at work on it, and did not finish.
    case busy(ClaimHolder, waited: Duration)
    /// It has a daemon, which is not ours.
    case kept(ClaimHolder)
    case unavailable(Errno)

    var description: String {
        switch self {
        case .busy(let holder, let waited):
            return "\(holder) is changing this network namespace\(waited.inVain)"
        case .kept(let holder):
            return
                "\(holder) keeps this network namespace, with another state: two agents would undo each other's work. "
                + "Ask that one, with its --state and --socket; or stop it; or run this one in a network namespace of "
                + "its own (`ip netns exec NAME sdagent …`)"
        case .unavailable(let errno):
            return "the network namespace cannot be claimed: \(errno)"
        }
    }
}
