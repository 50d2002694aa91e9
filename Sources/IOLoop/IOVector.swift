/// A piece of memory in a vectored operation: the layout of the kernel's struct iovec.
@frozen
public struct IOVector {
    public var start: UnsafeMutableRawPointer?
    public var count: Int

    @inlinable
    public init(_ start: UnsafeMutableRawPointer?, _ count: Int) {
        self.start = start
        self.count = count
    }
}
