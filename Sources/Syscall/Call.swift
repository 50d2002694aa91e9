internal import CLinux
public import SystemPackage

/// Runs a Linux call that returns -1 on failure; the only reader of errno in the product.
///
/// Retries on EINTR. EBADF and EFAULT can only be our own bug and trap.
/// - Returns: the call's non-negative result.
@inlinable
@discardableResult
public func linuxCall<Result: FixedWidthInteger>(_ body: () -> Result) throws(Errno) -> Result {
    while true {
        let result = body()
        if result != -1 { return result }
        let error = lastError()
        if error == .interrupted { continue }
        precondition(error != .badFileDescriptor && error != .badAddress, "a Linux call was given a bad argument")
        throw error
    }
}

/// The calling thread's errno as it stands.
@usableFromInline
func lastError() -> Errno { Errno(rawValue: sda_errno()) }
