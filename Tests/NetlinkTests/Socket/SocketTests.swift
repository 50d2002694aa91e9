import CNetlink
import Glibc
import Netlink
import Syscall
import SystemPackage
import Testing

/// What needs no privilege: the loopback interface is in every namespace.
struct SocketTests {
    @Test func `a dump lists the loopback interface`() throws {
        var socket = try NetlinkSocket(.route)
        var request = MessageWriter()
        request.message(UInt16(RTM_GETLINK), .dump, operation: "list links") { $0.append(ifinfomsg()) }
        let names = try socket.dump(request) { message in
            message.attributes(after: ifinfomsg.self).first { $0.type == Int(IFLA_IFNAME) }?.interfaceName
        }
        #expect(names.contains { $0.description == "lo" })
    }

    @Test func `each message of a batch has its own outcome`() throws {
        var socket = try NetlinkSocket(.route)
        var batch = MessageWriter()
        for index in 0..<10_000 {
            batch.message(UInt16(RTM_GETLINK), operation: "get link") { writer in
                var header = ifinfomsg()
                header.ifi_index = index % 3 == 0 ? 1 : 0x7fff_0000
                writer.append(header)
            }
        }
        var replies = 0
        let outcomes = try socket.request(batch) { index, message in
            if index % 3 == 0, message.type == UInt16(RTM_NEWLINK) { replies += 1 }
        }
        #expect(outcomes.count == 10_000)
        for (index, outcome) in outcomes.enumerated() where (outcome == nil) != (index % 3 == 0) {
            Issue.record("message \(index): \(String(describing: outcome))")
        }
        #expect(outcomes[1]?.errno == Errno(rawValue: ENODEV))
        #expect(replies == 3334)
    }

    @Test func `a namespace that does not exist is an error`() {
        #expect(throws: Errno.noSuchFileOrDirectory) { _ = try NetworkNamespace("sdt-netr-no-such-namespace") }
        #expect(throws: Errno.invalidArgument) { _ = try NetworkNamespace("../../etc/passwd") }
        #expect(throws: Errno.invalidArgument) { _ = try NetworkNamespace("") }
    }
}
