internal import CLinux
public import SystemPackage

/// Whether io_uring is to be had by this process.
public enum RingProbe {
    /// Makes a small ring and asks it for every operation that the product submits.
    ///
    /// - Throws: ENOSYS where the kernel has no io_uring, EPERM where it is switched off for us
    ///   (kernel.io_uring_disabled, a seccomp filter), EOPNOTSUPP where an operation is lacking.
    public static func run() throws(Errno) {
        let result = sda_ring_probe()
        if result < 0 { throw Errno(rawValue: -result) }
    }
}
