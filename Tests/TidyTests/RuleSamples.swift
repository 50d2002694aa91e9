extension RuleSample {
    static let all = arrows + shape + names + traps + boundaries

    private static let source = "Sources/Reconcile/Plan.swift"
    private static let test = "Tests/ReconcileTests/PlanTests.swift"

    private static let arrows = [
        RuleSample("imports follow the arrows", in: source, bad: "import Netlink", good: "import Manifest"),
        RuleSample(
            "imports follow the arrows", in: source, bad: "\npublic import struct Yams.Node",
            good: "public import Manifest",
            line: 2),
        RuleSample(
            "imports follow the arrows", in: "Sources/VRouter/NAT/NATKind.swift", bad: "import VSwitch",
            good: "import Netlink\nimport SystemPackage"),
        RuleSample(
            "tests are written with Swift Testing", in: test, bad: "import XCTest", good: "import Testing // not XCTest"
        ),
    ]

    private static let shape = [
        RuleSample(
            "a file holds one idea", in: source, bad: String(repeating: "a\n", count: 401),
            good: String(repeating: "a\n", count: 400), line: 401),
        RuleSample(
            "a file holds one idea", in: test, bad: String(repeating: "a\n", count: 601),
            good: String(repeating: "a\n", count: 600), line: 601),
        RuleSample(
            "a line fits the screen", in: source, bad: "a\n" + String(repeating: "é", count: 121),
            good: String(repeating: "é", count: 120), line: 2),
        RuleSample(
            "a function fits the screen", in: source,
            bad: "func a<T>(_ b: () -> Void = {}) -> [Int]\nwhere T: C {" + String(repeating: "\n", count: 70) + "}",
            good: "protocol P { func a(); func b() }\nfunc a() {" + String(repeating: "\n", count: 69) + "}"),
        RuleSample("no trailing blanks, no tabs, one newline at the end", in: source, bad: "a ", good: "a"),
        RuleSample("no trailing blanks, no tabs, one newline at the end", in: source, bad: "\ta", good: "    a"),
        RuleSample("no trailing blanks, no tabs, one newline at the end", in: source, bad: "a\r\nb", good: "a\nb"),
        RuleSample(
            "no trailing blanks, no tabs, one newline at the end", in: source, bad: "a\n\n", good: "a\n\nb", line: 2),
        RuleSample("a file has something to say", in: source, bad: "// Nothing yet.", good: "struct A {}"),
    ]

    private static let names = [
        RuleSample(
            "a name says what the thing is", in: source, bad: "public final class PlanManager {}",
            good: "struct Plan { let manager: String }"),
        RuleSample(
            "no singletons", in: source, bad: "    static let shared = Plan()", good: "    static let limit = 1"),
        RuleSample(
            "a type says what it is", in: source, bad: "import A\n\npublic struct Plan {}",
            good:
                "import A\n\n/// The changes.\n@frozen public struct Plan { struct Inner {} }\nprivate enum A {}",
            line: 3),
    ]

    private static let traps = [
        RuleSample("nothing traps on what others send", in: source, bad: "let a = try! b()", good: "let a = try? b()"),
        RuleSample("nothing traps on what others send", in: source, bad: "a as! B", good: "a as? B"),
        RuleSample("nothing traps on what others send", in: source, bad: "a\n.first!.b", good: "a != b", line: 2),
        RuleSample("nothing traps on what others send", in: source, bad: "a[0]!", good: "return !a"),
        RuleSample("nothing traps on what others send", in: source, bad: "f(a)!", good: "f(!a)"),
        RuleSample(
            "nothing traps on what others send", in: source, bad: "var a: String!", good: "var a: String? // b!"),
        RuleSample("nothing traps on what others send", in: source, bad: "\"\\(a!)\"", good: "\"a!\""),
        RuleSample(
            "nothing traps on what others send", in: source, bad: "fatalError(\"a\")",
            good: "preconditionFailure(\"a\")"),
        RuleSample(
            "nothing traps on what others send", in: source, bad: "abort()", good: "task.abort(slot)\nabort(slot)"),
        RuleSample(
            "unchecked concurrency has a reason", in: source, bad: "final class A: @unchecked Sendable {}",
            good: "/// `@unchecked Sendable`: the state is behind a lock.\nfinal class A: @unchecked Sendable {}"),
        RuleSample(
            "unchecked concurrency has a reason", in: source, bad: "nonisolated(unsafe) var a = 1",
            good: "// Set before the first thread starts.\nnonisolated(unsafe) var a = 1"),
        RuleSample(
            "raw memory is touched in few places", in: source, bad: "func a(_ b: UnsafeRawPointer) {}",
            good: "// UnsafeRawPointer\nfunc a(_ b: RawSpan) {}"),
        RuleSample(
            "raw memory is touched in few places", in: "Sources/ISCSI/PDU/Text.swift",
            bad: "func a(_ b: UnsafeRawBufferPointer) { b.loadUnaligned(as: Int.self) }",
            good: "func a(_ b: UnsafeRawBufferPointer) {}"),
    ]

    private static let boundaries = [
        RuleSample(
            "the product runs no other programs", in: source, bad: "posix_spawn(&pid)",
            good: "case .fork(1): a.system()"),
        RuleSample(
            "the product runs no other programs", in: source, bad: "[\"nft\", \"-f\"]",
            good: "\"see `nft list ruleset`\""),
        RuleSample("the product runs no other programs", in: source, bad: "\"/usr/sbin/ip\"", good: "\"/proc/net\""),
        RuleSample(
            "the product runs no other programs", in: "Sources/CLinux/a.c", bad: "int a = system(\"x\");",
            good: "/* system( */ int a;"),
        RuleSample(
            "errno is read in one place", in: source, bad: "if errno == EINTR {}",
            good: "if error.errno == .interrupted {}"),
        RuleSample(
            "errno is read in one place", in: source, bad: "return strerror(errno)",
            good: "let errno: Errno\nif errno == .interrupted {}"),
        RuleSample(
            "only the commands print", in: source, bad: "a()\nprint(\"a\")",
            good: "text.print(a)\nfunc print(_ a: Int) {}", line: 2),
        RuleSample(
            "what is on main is finished", in: source, bad: "a() // TO" + "DO: b", good: "let todo = 1 // to do it"),
        RuleSample("what is on main is finished", in: test, bad: "/* FIX" + "ME */ a()", good: "/* fixed */ a()"),
    ]
}
