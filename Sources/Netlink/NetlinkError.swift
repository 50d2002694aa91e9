internal import Glibc
public import SystemPackage

/// Why a netlink request failed: what was asked of which subject, and what the kernel answered.
public struct NetlinkError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong.
    public enum Cause: Hashable, Sendable {
        /// The kernel refused the message: its errno, its own words and the offset of the attribute it blames, if any.
        case refused(Errno, words: String?, offset: Int?)
        /// The call on the socket failed.
        case system(Errno)
        /// No answer came in time.
        case timedOut
        /// Answers were lost because the socket's receive buffer was full: the outcome is unknown, look again.
        case overrun
        /// The kernel's answer does not have the form that its headers promise.
        case malformed
        /// The objects changed during each of many dumps.
        case interrupted
    }

    /// What was asked: "create link".
    public var operation: String
    /// The object it was asked of: a link name, an address. Empty if none.
    public var subject: String
    /// What went wrong.
    public var cause: Cause

    /// An error of this operation on this subject.
    public init(operation: String, subject: String = "", cause: Cause) {
        self.operation = operation
        self.subject = subject
        self.cause = cause
    }

    /// The kernel's errno, if it gave one.
    public var errno: Errno? {
        switch cause {
        case .refused(let errno, _, _), .system(let errno): errno
        case .timedOut, .overrun, .malformed, .interrupted: nil
        }
    }

    /// The object is not there: for a deletion that is success.
    public var isMissing: Bool {
        switch errno?.rawValue {
        case ENODEV, ENOENT, ESRCH, EADDRNOTAVAIL, ENXIO: true
        default: false
        }
    }

    /// The object is there already.
    public var isExisting: Bool { errno?.rawValue == EEXIST }

    /// The same error with its subject named.
    public func about(_ subject: some CustomStringConvertible) -> NetlinkError {
        var error = self
        error.subject = subject.description
        return error
    }

    public var description: String {
        let what = subject.isEmpty ? operation : "\(operation) \(subject)"
        return "\(what): \(reason)"
    }

    private var reason: String {
        switch cause {
        // Who says why says more than a guess about privileges.
        case .refused(let errno, let words?, _): "\(errno): \(words)\(errno == .notSupported ? advice(errno) : "")"
        case .refused(let errno, nil, let offset?): "\(errno) (attribute at byte \(offset))\(advice(errno))"
        case .refused(let errno, nil, nil): "\(errno)\(advice(errno))"
        case .system(let errno): "\(errno)\(advice(errno))"
        case .timedOut: "the kernel did not answer in time"
        case .overrun: "answers of the kernel were lost, the socket's receive buffer was full"
        case .malformed: "the kernel's answer is not understood"
        case .interrupted: "the objects kept changing while they were listed; try again when the machine is quieter"
        }
    }

    private func advice(_ errno: Errno) -> String {
        switch errno {
        case .notPermitted, .permissionDenied: "; CAP_NET_ADMIN is needed in this network namespace: run as root"
        case .notSupported: "; this kernel was built without it"
        default: ""
        }
    }
}
