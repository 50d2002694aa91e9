import Glibc
import IOLoop
import Testing

@Suite struct LayoutTests {
    @Test func aVectorHasTheLayoutOfTheKernels() {
        #expect(MemoryLayout<IOVector>.size == MemoryLayout<iovec>.size)
        #expect(MemoryLayout<IOVector>.offset(of: \.count) == MemoryLayout<iovec>.offset(of: \.iov_len))
        #expect(MemoryLayout<msghdr>.size <= Loop.messageHeaderBytes)
    }
}
