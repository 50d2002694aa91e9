internal import Glibc

/// A program that a test runs is not on this machine: the test has no verdict.
public struct MissingProgram: Error, CustomStringConvertible {
    let program: String
    let detail: String

    public var description: String {
        "cannot run `\(program)`: \(detail); add the package of a program that is missing to .ci/setup"
    }

    /// Programs that run another one, whose name follows their options.
    private static let carriers: Set = ["nsenter", "env", "setpriv", "stdbuf", "timeout"]

    /// Looks for the programs that these words name, before anything waits for what one of them would do.
    static func check(_ words: [String]) throws {
        var rest = words[...]
        while let name = rest.popFirst() {
            guard isThere(name) else { throw MissingProgram(program: name, detail: "there is no such program") }
            guard carriers.contains(name) else { return }
            // Options, settings of variables, numbers: what is no name of a program.
            rest = rest.drop { $0.hasPrefix("-") || $0.contains("=") || $0.allSatisfy(\.isNumber) }
        }
    }

    private static func isThere(_ name: String) -> Bool {
        name.contains("/") ? access(name, X_OK) == 0 : haveTools(name)
    }
}
