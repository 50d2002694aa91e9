import Foundation
import Synchronization
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import sdagent

/// More than one of them at a time, on one node.
@Suite("Several agents", .serialized, .enabled(if: TestNamespace.isPossible), .timeLimit(.minutes(3)))
struct SeveralAgentsTests {
    @Test("A second apply waits for the first, and says so")
    func twoApplies() async throws {
        try await ProgramNode.with { node in
            try node.place.write(ProgramNode.text)
            try node.place.state.prepare()
            let first = try #require(try Held(node.place.state))
            let log = node.place.folder + "/second.log"
            let second = try await RunningCommand.with(node.line(["apply"]), log: log) { second in
                let own = ProcessInfo.processInfo.processIdentifier
                let said = "sdagent: process \(own) is changing this node; waiting up to 10 s …\n"
                try await ProgramNode.wait { try String(contentsOfFile: log, encoding: .utf8) == said }
                #expect(try await node.namespace.attempt("ip", "link", "show", "blue").succeeded == false)
                first.release()
                return try await second.isGone(within: 60)
            }
            #expect(second.value && second.end == .exited(0))
            #expect(try await node.namespace.attempt("ip", "link", "show", "blue").succeeded)
        }
    }

    @Test("A second agent in the network namespace is refused and told of the first; in another one it is at home")
    func twoAgents() async throws {
        try await ProgramNode.with { node in
            try node.place.write(ProgramNode.text)
            let second = ProgramNode(namespace: node.namespace, place: try Workplace())
            try second.place.write("switches: {red: {}}\n")
            _ = try await node.withDaemon {
                try await ProgramNode.wait { try await node.sdagent("status").code == 0 }
                let pid = try #require(StateLock.holder(of: .run, in: node.place.state))
                for verb in ["apply", "run"] {
                    let refused = try await second.sdagent(verb)
                    #expect(refused.code == 1)
                    #expect(refused.error.hasPrefix("sdagent: process \(pid) (`"), "\(refused.error)")
                    #expect(refused.error.contains("--state \(node.place.state.path)"))
                    #expect(refused.error.contains("two agents would undo each other's work"))
                }
                let plan = try await second.sdagent("plan")
                #expect(plan.code == 2)
                #expect(plan.error.hasPrefix("sdagent: warning: process \(pid) (`"))
                #expect(try await node.namespace.attempt("ip", "link", "show", "red").succeeded == false)
                // Nobody is in the way of an agent elsewhere.
                try await TestNamespace.with { elsewhere in
                    let third = ProgramNode(namespace: elsewhere, place: second.place)
                    let apply = try await third.sdagent("apply")
                    #expect(apply.code == 0)
                }
                // Through its own daemon an apply goes as ever.
                #expect(try await node.sdagent("apply").code == 0)
            }
            let apply = try await second.sdagent("apply")
            #expect(apply.code == 0 && apply.error == "", "\(apply)")
            #expect(apply.output.contains("- switch/blue  deleted\n"))
        }
    }

    @Test("Two applies with different states in one network namespace go one after the other")
    func twoStates() async throws {
        try await ProgramNode.with { node in
            try node.place.write(ProgramNode.text)
            let inside = try NetworkNamespace(node.namespace.name)
            let first = Mutex(try inside.run { try? NetworkClaim.take(.apply) })
            #expect(first.withLock { $0 != nil })
            let log = node.place.folder + "/second.log"
            let second = try await RunningCommand.with(node.line(["apply"]), log: log) { second in
                let own = ProcessInfo.processInfo.processIdentifier
                try await ProgramNode.wait {
                    let said = try String(contentsOfFile: log, encoding: .utf8)
                    return said.hasPrefix("sdagent: process \(own) (`")
                        && said.hasSuffix("`) is changing this node; waiting up to 10 s …\n")
                }
                #expect(try await node.namespace.attempt("ip", "link", "show", "blue").succeeded == false)
                first.withLock { $0 = nil }
                return try await second.isGone(within: 60)
            }
            #expect(second.value && second.end == .exited(0))
            #expect(try await node.namespace.attempt("ip", "link", "show", "blue").succeeded)

            // One that does not end is not waited for without end; nothing is changed meanwhile.
            try node.place.write("switches: {red: {}}\n")
            first.withLock { $0 = try? inside.run { try? NetworkClaim.take(.apply) } }
            let refused = try await node.sdagent("apply")
            #expect(refused.code == 1)
            #expect(refused.error.contains("did not finish within 10 s: nothing was changed; try again later"))
            #expect(try await node.namespace.attempt("ip", "link", "show", "red").succeeded == false)
        }
    }
}
