import Glibc
import Syscall
import SystemPackage
import Testing

@Suite struct StreamSocketTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7"), ("2001:db8:0::1", "[2001:db8::1]:7"),
        ("0.0.0.0", "0.0.0.0:7"),
    ])
    func numericAddressesAreRead(text: String, printed: String) {
        #expect(SocketAddress(host: text, port: 7)?.description == printed)
    }

    @Test(arguments: ["", "localhost", "127.0.0.256", "1.2.3", "[::1]", "::1::2", "127.0.0.1:80"])
    func anythingElseIsNot(text: String) {
        #expect(SocketAddress(host: text, port: 7) == nil)
    }

    @Test func onlyTheWildcardsAreUnspecified() {
        #expect(SocketAddress(host: "::", port: 1)?.isUnspecified == true)
        #expect(SocketAddress(host: "0.0.0.0", port: 1)?.isUnspecified == true)
        #expect(SocketAddress(host: "::1", port: 1)?.isUnspecified == false)
    }

    @Test(arguments: ["127.0.0.1", "192.0.2.200"]) func anAddressIsListenedOnEvenBeforeItExists(host: String) throws {
        let address = try #require(SocketAddress(host: host, port: 0))
        let listener = try StreamSocket.listen(on: address, backlog: 4)
        let bound = try StreamSocket.localAddress(listener.raw)
        #expect(bound.port != 0 && bound.hostText == host)
    }

    @Test func aTakenPortIsAnError() throws {
        let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        let first = try StreamSocket.listen(on: address, backlog: 4)
        let bound = try StreamSocket.localAddress(first.raw)
        #expect(throws: Errno.addressInUse) { _ = try StreamSocket.listen(on: bound, backlog: 4).raw }
    }

    @Test func aSignalIsKeptUntilItIsRead() throws {
        let event = try EventFD()
        event.signal()
        event.signal()
        var count: UInt64 = 0
        let got = withUnsafeMutableBytes(of: &count) { Glibc.read(event.descriptor.raw, $0.baseAddress, $0.count) }
        #expect(got == 8 && count == 2)
    }

    @Test func theHolesOfAFileAreFound() throws {
        let path = FilePath("/dev/shm/sdt-\(getpid())-extent")
        let file = try File.open(path, .createNew(permissions: 0o600))
        // A file without a name goes with its descriptor, whatever ends the test.
        try File.remove(path)
        try File.truncate(file, to: 1 << 20)
        try File.write(file, [UInt8](repeating: 1, count: 4096), at: 65536)
        let hole = try File.extent(file, at: 0)
        #expect(!hole.hasData && hole.end == 65536)
        let data = try File.extent(file, at: 65536)
        #expect(data.hasData && data.end == 69632)
        let rest = try File.extent(file, at: 69632)
        #expect(!rest.hasData && rest.end == 1 << 20)
    }
}
