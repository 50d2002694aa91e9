import Glibc
import Syscall
import SystemPackage
import TestSupport
import Testing

/// Names of which there is one in each network namespace.
struct HeldNameTests {
    private let name = "sdt-\(getpid())-\(Int.random(in: 0..<1 << 40))"

    private func isFree() throws -> Bool {
        guard let held = try HeldName.take(name) else { return false }
        _ = consume held
        return true
    }

    @Test func `a name has one holder, whom everybody can ask for, and is free again when it is gone`() throws {
        #expect(try HeldName.holder(of: name) == nil)
        do {
            let held = try #require(Box(try HeldName.take(name)))
            #expect(try !isFree())
            let holder = try #require(try HeldName.holder(of: name))
            #expect(holder.id == getpid() && holder.user == geteuid())
            #expect(holder.commandLine()?.first?.isEmpty == false)
            #expect(holder.commandLine(limit: 3)?.first?.utf8.count == 3)
            withExtendedLifetime(held) {}
        }
        #expect(try HeldName.holder(of: name) == nil)
        #expect(try isFree())
    }

    @Test func `askers are forgotten, so that others can ask after them`() throws {
        let held = try #require(Box(try HeldName.take(name)))
        for _ in 0..<3 {
            // More than the kernel keeps: somaxconn is 4096.
            for _ in 0..<5000 { #expect(try HeldName.holder(of: name) != nil) }
            #expect(try HeldName.holder(of: name)?.id == 0)
            try held.name.forgetAskers()
            #expect(try HeldName.holder(of: name)?.id == getpid())
        }
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `every network namespace has a name of its own`() async throws {
        try await TestNamespace.with { space in
            let inside = try NetworkNamespace(space.name)
            let held = try inside.run { [name] in try? Box(HeldName.take(name)) }
            #expect(held != nil)
            #expect(try isFree())
            let holder = try inside.run { [name] in try? HeldName.holder(of: name) }
            #expect(holder?.id == getpid())
        }
    }

    @Test func `a process that is gone has no command line`() {
        #expect(PeerProcess(id: 0, user: 0).commandLine() == nil)
        #expect(PeerProcess(id: .max, user: 0).commandLine() == nil)
    }
}

/// A held name in a place that may be copied.
private final class Box: Sendable {
    let name: HeldName

    init?(_ name: consuming HeldName?) {
        guard let name else { return nil }
        self.name = name
    }
}
