import Manifest

/// The body of `POST /v1/plan` and `POST /v1/apply`: a whole manifest as texts.
///
/// Files are read by the command, so that what is applied is what the operator sees, also where the daemon cannot.
struct ManifestRequest: Codable, Hashable, Sendable {
    struct File: Codable, Hashable, Sendable {
        /// As the operator named it; shown in every message.
        let file: String
        /// The folder that relative paths in it start from; absolute.
        let directory: String
        let text: String
    }

    let files: [File]

    init(files: [File]) { self.files = files }

    init(_ sources: [Source]) {
        files = sources.map { File(file: $0.file, directory: $0.directory, text: $0.text) }
    }

    var sources: [Source] {
        files.map { Source(file: $0.file, directory: $0.directory, text: $0.text) }
    }

    /// Why it cannot be taken; nil if it can.
    var fault: String? {
        if files.isEmpty { return "the request names no file: an empty manifest is one file with empty text" }
        let relative = files.first { !$0.directory.hasPrefix("/") }
        return relative.map { "the directory of \($0.file) is not an absolute path: '\($0.directory)'" }
    }
}
