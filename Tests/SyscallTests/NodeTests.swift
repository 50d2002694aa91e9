import Syscall
import SystemPackage
import TestSupport
import Testing

/// What the kernel and the name service say of this node.
struct NodeTests {
    @Test func `a setting is read, and one that does not exist is an error`() throws {
        #expect(try Sysctl.read("kernel/ostype") == "Linux")
        #expect(throws: Errno.noSuchFileOrDirectory) { try Sysctl.read("net/no/such/setting") }
        #expect(throws: Errno.noSuchFileOrDirectory) { try Sysctl.write("net/no/such/setting", "1") }
    }

    @Test func `a user is found by name`() throws {
        #expect(try User.number(named: "root") == 0)
        #expect(try User.number(named: "sdt-no-such-user") == nil)
        #expect(try User.number(named: "") == nil)
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `a call runs inside another namespace, and only there`() async throws {
        try await TestNamespace.with { space in
            let inside = try NetworkNamespace(space.name)
            let failure = try inside.run { () -> Errno? in
                do throws(Errno) {
                    try NewTap("sdt-netr-tap").persist()
                    try Sysctl.write("net/ipv6/conf/sdt-netr-tap/disable_ipv6", "1")
                } catch {
                    return error
                }
                return nil
            }
            #expect(failure == nil)
            #expect(throws: Errno.noSuchFileOrDirectory) {
                try Sysctl.read("net/ipv6/conf/sdt-netr-tap/disable_ipv6")
            }
            let shown = try await space.run("ip", "-o", "link")
            #expect(shown.contains("sdt-netr-tap"))
        }
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `a tap that is not made persistent goes with its maker`() async throws {
        try await TestNamespace.with { space in
            let made = try NetworkNamespace(space.name).run { () -> Bool in
                do throws(Errno) { _ = try NewTap("sdt-netr-tap") } catch { return false }
                return true
            }
            #expect(made)
            let shown = try await space.run("ip", "-o", "link")
            #expect(!shown.contains("sdt-netr-tap"))
        }
    }

    @Test func `what is no namespace is refused`() {
        #expect(throws: Errno.invalidArgument) { try NetworkNamespace("/dev/null").run { 0 } }
        #expect(throws: Errno.noSuchFileOrDirectory) { _ = try NetworkNamespace("/no/such/file") }
    }
}
