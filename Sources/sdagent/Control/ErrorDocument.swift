/// Why a request was refused, as JSON.
struct ErrorDocument: Codable, Hashable, Sendable {
    struct Reason: Codable, Hashable, Sendable {
        /// One or two sentences: what, where, why, what to do.
        let message: String
        /// For mistakes in a manifest: each with place and remedy, as text of several lines.
        let mistakes: String?
    }

    let error: Reason

    init(_ message: String, mistakes: String? = nil) {
        error = Reason(message: message, mistakes: mistakes)
    }
}

/// What answers on the control socket.
struct VersionDocument: Codable, Hashable, Sendable {
    let version: String
    let pid: Int32
}
