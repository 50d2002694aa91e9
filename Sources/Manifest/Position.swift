/// A place in a manifest file.
public struct Position: Hashable, Sendable {
    /// The file as the operator named it.
    public let file: String
    /// From 1.
    public let line: Int
    /// From 1, in characters.
    public let column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }
}
