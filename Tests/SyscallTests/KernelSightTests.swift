import Syscall
import SystemPackage
import TestSupport
import Testing

/// What is asked of the running kernel and of its file systems.
struct KernelSightTests {
    @Test(.enabled(if: TestNamespace.isPossible))
    func `a call in a new namespace sees loopback alone, and what it makes goes with it`() async throws {
        let own = try NetworkNamespace("/proc/thread-self/ns/net").identity()
        let inside = try NetworkNamespace.runInNew { () -> Result<[UInt64], Errno> in
            do throws(Errno) {
                try NewTap("sdt-new-tap").persist()
                _ = try Sysctl.read("net/ipv6/conf/sdt-new-tap/disable_ipv6")
                return .success(try NetworkNamespace("/proc/thread-self/ns/net").identity())
            } catch {
                return .failure(error)
            }
        }
        #expect(try inside.get() != own)
        #expect(throws: Errno.noSuchFileOrDirectory) { try Sysctl.read("net/ipv6/conf/sdt-new-tap/disable_ipv6") }
    }

    @Test func `a file system is named as df names it, and leaves no file behind`() async throws {
        try await TemporaryDirectory.with { folder in
            let path = FilePath(folder.path)
            let system = try FileSystem(of: path)
            let words = try await output(of: ["df", "-B1", "--output=fstype,size", folder.path])
                .split(separator: "\n")[1].split(separator: " ")
            #expect(system.name == (words[0] == "overlay" ? "overlayfs" : String(words[0])))
            #expect(system.size == UInt64(words[1]))
            #expect(system.free <= system.size)
            let abilities = try FileSystem.abilities(in: path)
            let copies = try await command(["sh", "-c", "cd \(folder.path) && echo a >a && cp --reflink=always a b"])
            #expect((abilities.clones == nil) == copies.succeeded)
            try await output(of: ["rm", "-f", folder.file("a"), folder.file("b")])
            #expect(try File.names(in: path).isEmpty)
        }
        #expect(throws: Errno.noSuchFileOrDirectory) { try FileSystem(of: "/no/such/place") }
        #expect(throws: Errno.noSuchFileOrDirectory) { try FileSystem.abilities(in: "/no/such/place") }
    }

    @Test func `a module that no kernel has is absent`() throws {
        let release = try Sysctl.read("kernel/osrelease")
        #expect(KernelModules.place(of: "sdt_no_such_module", release: release) == .absent)
        #expect(KernelModules.place(of: "bridge", release: "no-such-release") != .available)
    }
}
