import Capabilities
import Foundation
import Synchronization
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import sdagent

/// The program itself, as an operator runs it: in a network namespace and a state folder of its own.
@Suite("The program", .serialized, .enabled(if: TestNamespace.isPossible), .timeLimit(.minutes(3)))
struct ProgramTests {

    @Test("Plan, apply, plan: 2, 0, 0; and the second apply says that there is nothing to do")
    func exitCodes() async throws {
        try await ProgramNode.with { node in
            try node.place.write(ProgramNode.text)
            let plan = try await node.sdagent("plan")
            #expect(plan.code == 2)
            // The switch, its fence, the guard, the NIC; the fence has more sides on some kernels.
            let count = Capabilities.current.has(.bridgeMeta) ? 4 : 6
            #expect(plan.output.split(separator: "\n").filter { $0.hasPrefix("  + ") }.count == count)
            #expect(plan.output.hasSuffix("\nPlan: \(count) to create.\n"))
            #expect(try await node.namespace.run("ip", "-o", "link").split(separator: "\n").count == 1)
            let apply = try await node.sdagent("apply")
            #expect(apply.code == 0)
            #expect(apply.output.hasSuffix("\nApplied: \(count) created.\n"))
            #expect(apply.error == "")
            let again = try await node.sdagent("plan")
            #expect(again.code == 0)
            #expect(again.output == "Plan: no changes.\n")
            let second = try await node.sdagent("apply")
            #expect(second.code == 0)
            #expect(second.output == "No changes: the node is as the manifest says.\n")
            let status = try await node.sdagent("status")
            #expect(status.code == 0)
            #expect(status.output.contains(/nic\/vm1\/net0 +converged\n/))
        }
    }

    @Test("A mistake is reported with its place on standard error, with code 1, and nothing is touched")
    func mistake() async throws {
        try await ProgramNode.with { node in
            try node.place.write("switches: {blue: {mtu: big}}\n")
            for verb in ["validate", "plan", "apply", "status"] {
                let result = try await node.sdagent(verb)
                #expect(result.code == 1)
                #expect(result.output == "")
                #expect(result.error.hasPrefix("\(node.place.manifest):1:24: error: "))
            }
            for verb in ["validate", "plan", "apply", "status"] {
                let json = try await node.sdagent(verb, "--output", "json")
                #expect(json.code == 1)
                let document = try JSONText.decode(ValidationDocument.self, Array(json.output.utf8))
                #expect(document.mistakes.map(\.line) == [1])
            }
            #expect(FileManager.default.fileExists(atPath: node.place.state.path.string) == false)
        }
    }

    @Test("In JSON what went wrong is told on standard output, with a daemon and without, and not only mistakes")
    func errorsInJSON() async throws {
        try await ProgramNode.with { node in
            try node.place.write("switches: {blue: {}}\n")
            try "precious".write(toFile: node.place.state.path.string, atomically: true, encoding: .utf8)
            let refused = try await node.sdagent("apply", "--output", "json")
            #expect(refused.code == 1)
            let reason = try JSONText.decode(ErrorDocument.self, Array(refused.output.utf8))
            #expect(refused.error == "sdagent: \(reason.error.message)\n")
            #expect(reason.error.message.contains("something that is not a directory stands in its way"))

            try FileManager.default.removeItem(atPath: node.place.state.path.string)
            _ = try await node.withDaemon {
                let bad = node.place.folder + "/bad.yaml"
                try "switches: {blue: {mtu: big}}\n".write(toFile: bad, atomically: true, encoding: .utf8)
                for verb in ["plan", "apply"] {
                    let json = try await node.sdagent(verb, "--output", "json", manifest: bad)
                    #expect(json.code == 1)
                    let document = try JSONText.decode(ValidationDocument.self, Array(json.output.utf8))
                    #expect(document.mistakes.map(\.column) == [24])
                }
            }
        }
    }

    @Test("What stands in the way is not touched; the rest is done, with code 1 and the remedy")
    func conflict() async throws {
        try await ProgramNode.with { node in
            try await node.namespace.run("ip", "link", "add", "blue", "type", "bridge")
            try node.place.write("switches: {blue: {}, red: {}}\n")
            let apply = try await node.sdagent("apply")
            #expect(apply.code == 1)
            #expect(apply.output.contains("  + switch/red  created\n"))
            // The switch and its fence, which has more sides on some kernels.
            let count = Capabilities.current.has(.bridgeMeta) ? 2 : 4
            #expect(apply.output.split(separator: "\n").filter { $0.hasPrefix("  + ") }.count == count)
            #expect(apply.output.hasSuffix("\nApplied: \(count) created; 1 conflict.\n"))
            #expect(apply.error.hasPrefix("sdagent: switch/blue: conflict: "))
            let link = try await node.namespace.run("ip", "-d", "link", "show", "blue")
            #expect(link.contains("bridge") && !link.contains("alias"))
        }
    }

    @Test("A VM stands as its NIC does, in text, in JSON and in metrics, with a daemon and without")
    func standingOfVMs() async throws {
        try await ProgramNode.with { node in
            try await node.namespace.run("ip", "link", "add", "vm1-net0", "type", "bridge")
            try node.place.write(ProgramNode.text)
            let status = try await node.sdagent("status")
            #expect(status.code == 1 && Self.showsConflict(status), "\(status)")
            _ = try await node.withDaemon {
                try await ProgramNode.wait {
                    try await node.sdagent("status").output.contains(#/switch/blue +converged/#)
                }
                #expect(Self.showsConflict(try await node.sdagent("status")))
                let metrics = try await output(of: [
                    "curl", "-sS", "--unix-socket", node.place.socket, "http://sdagent/metrics",
                ])
                #expect(metrics.contains("sdagent_resources{kind=\"vm\",state=\"conflict\"} 1\n"), "\(metrics)")
            }
        }
    }

    private static func showsConflict(_ status: CommandResult) -> Bool {
        status.output.contains(#/\nvm/vm1 +conflict +nic/vm1/net0 is in conflict\n/#)
    }

    @Test("Without privilege a command says which one it needs")
    func privilege() async throws {
        let place = try Workplace()
        try place.write(ProgramNode.text)
        let result = try await command([
            "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", ProgramNode.program, "plan", "-f",
            place.manifest,
            "--socket", place.socket, "--state", place.state.path.string,
        ])
        #expect(result.code == 1)
        let words = "to look at the node, sdagent needs CAP_NET_ADMIN: run it as root, or with sudo"
        #expect(result.error == "sdagent: \(words)\n")
    }

    @Test("A daemon applies, repairs, takes an apply over, refuses a second daemon, and ends with code 0")
    func daemon() async throws {
        try await ProgramNode.with { node in
            try node.place.write(ProgramNode.text)
            let ended = try await node.withDaemon {
                try await ProgramNode.wait { try await node.sdagent("status").code == 0 }
                #expect(try await node.sdagent("plan").output == "Plan: no changes.\n")

                let second = try await node.sdagent("run")
                #expect(second.code == 1)
                #expect(second.error.contains("another daemon (pid "))

                try await node.namespace.run("ip", "link", "delete", "vm1-net0")
                try await ProgramNode.wait {
                    try await node.namespace.attempt("ip", "link", "show", "vm1-net0").succeeded
                }

                let other = node.place.folder + "/other.yaml"
                try "switches: {red: {}}\n".write(toFile: other, atomically: true, encoding: .utf8)
                let apply = try await node.sdagent("apply", manifest: other)
                #expect(apply.code == 0)
                #expect(apply.output.contains("- switch/blue  deleted\n"))
                #expect(try await node.namespace.attempt("ip", "link", "show", "blue").succeeded == false)

                try node.place.write("switches: {blue: {mtu: 1400}, : }\n")
                try await ProgramNode.wait { try await node.sdagent("status").output.contains("was not taken over") }
                #expect(try await node.namespace.attempt("ip", "link", "show", "red").succeeded)
            }
            #expect(ended.code == 0)
            #expect(ended.error.contains("drift repaired: created nic/vm1/net0\n"))
            #expect(FileManager.default.fileExists(atPath: node.place.socket) == false)
            // Links stay, and what was the desired state is found as it is.
            #expect(try await node.sdagent("plan", manifest: node.place.folder + "/other.yaml").code == 0)
        }
    }

    @Test("A socket without a folder in front is the one in the working directory")
    func relativeSocket() async throws {
        try await ProgramNode.with { node in
            try node.place.write("switches: {blue: {}}\n")
            var inside = node
            inside.isInside = true
            let ended = try await inside.withDaemon { [inside] in
                let status = try await inside.sdagent("status")
                #expect(status.output.contains("Daemon "))
            }
            #expect(ended.code == 0)
        }
    }

    @Test("What others wrote does not steer the terminal, in text and in JSON")
    func escapes() async throws {
        try await ProgramNode.with { node in
            try node.place.write("switches: {\"\\e[31mred\": {}, \"a\u{202e}b\": {}}\n")
            for form in ["text", "json"] {
                let result = try await node.sdagent("validate", "--output", form)
                let text = result.output + result.error
                #expect(text.contains("\\u001b[31mred") && text.contains("a\\u202eb"))
                #expect(!text.unicodeScalars.contains { $0 == "\u{1b}" || $0 == "\u{202e}" })
            }
            try node.place.write("pools: {p: {path: \"/srv/a\\nb\"}}\n")
            #expect(try await node.sdagent("plan").output.contains("path  /srv/a\\u000ab\n"))
            try node.place.write("switches: {blue: {}, red: {}}\nrouters: {}\n")
            #expect(try await node.sdagent("validate").output.hasSuffix("(2 switches)\n"))
        }
    }

    @Test("The socket of a daemon that was killed is taken over; a file that is no socket is not")
    func staleSocket() async throws {
        try await ProgramNode.with { node in
            try node.place.write(ProgramNode.text)
            // Bound, and left behind by a process that has ended.
            let bind = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
            try await output(of: ["python3", "-c", bind, node.place.socket])
            let ended = try await node.withDaemon {
                try await ProgramNode.wait { try await node.sdagent("status").code == 0 }
            }
            #expect(ended.code == 0)
            try "precious".write(toFile: node.place.socket, atomically: true, encoding: .utf8)
            let refused = try await node.sdagent("run")
            #expect(refused.code == 1)
            #expect(refused.error.contains("exists and is not a socket"))
            #expect(try String(contentsOfFile: node.place.socket, encoding: .utf8) == "precious")
        }
    }

    @Test("A daemon that cannot answer on its socket says why and ends at once")
    func unusableSocket() async throws {
        try await ProgramNode.with { node in
            try node.place.write(ProgramNode.text)
            // Nobody can bind there, not even root.
            let words = ["run", "-f", node.place.manifest, "--state", node.place.state.path.string]
            let result = try await command(
                node.namespace.inside([ProgramNode.program] + words + ["--socket", "/proc/self/sdagent.sock"]),
                seconds: 15)
            #expect(result.code == 1)
            #expect(result.error.contains("sdagent: cannot answer on /proc/self/sdagent.sock: "), "\(result.error)")
        }
    }

    @Test("Who interrupts an apply is told what becomes of it, with a daemon and without")
    func interrupted() async throws {
        try await ProgramNode.with { node in
            let nics = (0..<800).map { "vm\($0): {nics: [{switch: blue, address: 10.1.\($0 / 200).\($0 % 200 + 1)}]}" }
            try node.place.write("switches: {blue: {}}\nvms: {\(nics.joined(separator: ", "))}\n")
            let log = node.place.folder + "/interrupted"
            func interrupt() async throws -> RunningCommand.End {
                try await RunningCommand.with(node.line(["apply"]), log: log) { apply in
                    try await ProgramNode.wait {
                        let links = try await node.namespace.run("ip", "-o", "link")
                        return links.contains("blue") || links.contains("vm")
                    }
                    apply.signal(SIGINT)
                    _ = try await apply.isGone(within: 30)
                }.end
            }
            #expect(try await interrupt() == .exited(130))
            let alone = try String(contentsOfFile: log, encoding: .utf8)
            #expect(alone.hasPrefix("sdagent: interrupted: what is done stays;"), "\(alone)")
            // The next one goes on from there.
            let next = try await node.sdagent("apply")
            #expect(next.code == 0, "\(next.error) \(next.output.suffix(2000))")
            let plan = try await node.sdagent("plan")
            #expect(plan.code == 0, "\(plan.error) \(plan.output.suffix(2000))")
        }
    }

    @Test("Slips of the hand are named: an empty path, a file named twice, a full disk behind a redirection")
    func slips() async throws {
        try await ProgramNode.with { node in
            try node.place.write(ProgramNode.text)
            for option in ["--state", "--socket", "-f"] {
                let empty = try await command([ProgramNode.program, "plan", option, ""])
                #expect(empty.code == 64 && empty.error.hasPrefix("Error: '\(option)' is given an empty path\n"))
            }
            let twice = try await command([
                ProgramNode.program, "validate", "-f", node.place.folder, "-f", node.place.manifest,
            ])
            #expect(twice.code == 1)
            #expect(twice.error.hasPrefix("\(node.place.manifest): error: is named twice with -f\n"))
            let full = try await command([
                "sh", "-c", "\(ProgramNode.program) validate -f \(node.place.manifest) > /dev/full",
            ])
            #expect(full.code == 1)
            #expect(full.error.hasPrefix("sdagent: the result cannot be written to standard output: No space left"))
        }
    }
}
