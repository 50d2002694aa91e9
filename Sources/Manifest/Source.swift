/// The text of one manifest file.
public struct Source: Sendable {
    /// Bytes of one file at most.
    public static let byteLimit = 16 << 20

    /// The file as the operator named it; shown in every message.
    public let file: String
    /// The folder that relative paths in it start from; absolute.
    public let directory: String
    public let text: String

    public init(file: String, directory: String, text: String) {
        self.file = file
        self.directory = directory
        self.text = text
    }

    /// The text in a file's bytes; what is no text is reported with its line.
    public init?(file: String, directory: String, bytes: [UInt8], _ diagnostics: Diagnostics) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let line = bytes.prefix(Self.validPrefix(bytes)).count { $0 == UInt8(ascii: "\n") } + 1
            diagnostics.report(
                at: Position(file: file, line: line, column: 1), "the line is not UTF-8 text", hint: "save it as UTF-8")
            return nil
        }
        self.init(file: file, directory: directory, text: text)
    }

    /// How many bytes at the start are whole lines of UTF-8.
    private static func validPrefix(_ bytes: [UInt8]) -> Int {
        var start = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            guard String(validating: line, as: UTF8.self) != nil else { break }
            start = line.endIndex + 1
        }
        return min(start, bytes.count)
    }
}
