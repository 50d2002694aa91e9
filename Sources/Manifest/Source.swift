/// The text of one manifest file.
public struct Source: Sendable {
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
}
