import Glibc
import TestSupport
import Testing

/// What the tests themselves stand on: programs that are run for them, and what is left when they are killed.
struct LauncherTests {
    @Test(arguments: [
        ["sdt-no-such-program"], ["nsenter", "--net=/proc/self/ns/net", "sdt-no-such-program", "-x"],
        ["stdbuf", "-oL", "sdt-no-such-program"], ["env", "A=1", "sdt-no-such-program"],
        ["sh", "-c", "true; sdt-no-such-program --help"],
    ])
    func aMissingProgramIsNoAnswer(words: [String]) async throws {
        let error = await #expect(throws: MissingProgram.self) { try await command(words) }
        let text = try #require(error?.description)
        #expect(text.contains("sdt-no-such-program") && text.contains(".ci/setup"), "\(text)")
        #expect(throws: MissingProgram.self) { try commandHere(words) }
    }

    @Test func aMissingProgramDoesNotRunBeside() async throws {
        _ = try await TemporaryDirectory.with { directory in
            await #expect(throws: MissingProgram.self) {
                try await RunningCommand.with(["stdbuf", "-oL", "sdt-no-such-program"], log: directory.file("log")) {
                    _ in
                    Issue.record("the body runs")
                }
            }
        }
    }

    @Test func anEndIsToldAsItWas() async throws {
        let said = try await command(["sh", "-c", "echo out; echo err >&2; exit 3"])
        #expect(said.code == 3 && said.output == "out\n" && said.error == "err\n")
        #expect(try await command(["sh", "-c", "kill -TERM $$"]).code == 128 + SIGTERM)
        // Whatever holds its output open is ended with it.
        #expect(try await command(["sh", "-c", "sleep 1000 & echo there; wait"], seconds: 1).code == 124)
        #expect(try commandHere(["sh", "-c", "yes | head -c 3000000"]).output.utf8.count == 3_000_000)
    }

    @Test func aCommandBesideATestLogsAndEndsWithIt() async throws {
        try await TemporaryDirectory.with { directory in
            let log = directory.file("log")
            let script = ["sh", "-c", "trap 'echo told; exit 7' TERM; echo here; while :; do sleep 0.1; done"]
            let end = try await RunningCommand.with(script, log: log) { running in
                #expect(try await eventually(within: 20) { try text(ofFile: log) == "here\n" })
                running.signal(SIGTERM)
                return try await running.isGone(within: 20)
            }
            #expect(end.value && end.end == .exited(7))
            #expect(try text(ofFile: log).hasSuffix("told\n"))
            let killed = try await RunningCommand.with(["sleep", "1000"], log: log) { $0.id }
            #expect(killed.end == .signaled(SIGKILL))
            #expect(kill(-killed.value, 0) == -1 && errno == ESRCH)
        }
    }

    /// Stands for a test process: has the launcher start one program that stays, one that slips away from its parent
    /// and its group, and a namespace; makes a directory; is killed.
    private static let client = """
        import json, os, signal, socket, subprocess, sys
        script, mark = sys.argv[1:]
        here, there = socket.socketpair()
        subprocess.Popen(["python3", script, mark], stdin=there)
        there.close()
        lines = here.makefile("r")
        def ask(number, *words):
            here.sendall(json.dumps({"id": number, "words": words}).encode() + b"\\n")
            return json.loads(lines.readline())["pid"]
        ask(1, "ip", "netns", "add", mark + "1")
        assert json.loads(lines.readline())["code"] == 0
        os.mkdir("/var/tmp/" + mark + "x")
        stay = "sleep 1000; : " + mark
        ask(2, "sh", "-c", stay)
        ask(3, "sh", "-c", f"setsid --fork sh -c '{stay}' >/dev/null 2>&1")
        assert json.loads(lines.readline())["code"] == 0
        os.kill(os.getpid(), signal.SIGKILL)
        """

    @Test(.enabled(if: TestNamespace.isPossible)) func nothingIsLeftOfATestProcessThatIsKilled() async throws {
        let script = "\(AgentNode.checkout)/Tests/TestSupport/launcher.py"
        let mark = "sdt-\(getpid())-killed-"
        let result = try await command(["python3", "-c", Self.client, script, mark])
        #expect(result.code == 128 + SIGKILL, "\(result)")
        let isTidy = try await eventually(within: 20) {
            let left = try await command(["pgrep", "-f", mark])
            let spaces = try await output(of: ["ip", "netns"])
            return left.code == 1 && !spaces.contains(mark) && access("/var/tmp/\(mark)x", F_OK) != 0
        }
        #expect(isTidy)
    }
}
