/// One HTTP/1.1 response, parsed from all the bytes that came before the peer closed (RFC 9112).
struct ControlResponse: Hashable, Sendable {
    let status: Int
    let body: [UInt8]

    /// Why bytes are not a response.
    enum Fault: Error, Hashable {
        /// They end before the response does.
        case cutShort
        /// They are not HTTP/1.1, or a part of it that our daemon does not speak.
        case malformed
    }

    init(parsing bytes: [UInt8]) throws(Fault) {
        guard let headEnd = Self.endOfHead(bytes) else { throw bytes.count > Self.headLimit ? .malformed : .cutShort }
        let lines = bytes[..<headEnd].split(separator: Self.newline).map { line in
            String(decoding: line.last == Self.carriageReturn ? line.dropLast() : line, as: UTF8.self)
        }.filter { !$0.isEmpty }
        guard let first = lines.first else { throw .malformed }
        status = try Self.status(first)
        body = try Self.body(Array(bytes[headEnd...]), fields: lines.dropFirst())
    }

    private static let headLimit = 64 * 1024
    private static let newline = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    /// Behind the empty line.
    private static func endOfHead(_ bytes: [UInt8]) -> Int? {
        let mark: [UInt8] = [carriageReturn, newline, carriageReturn, newline]
        var index = 0
        while index + 4 <= min(bytes.count, headLimit) {
            if bytes[index] == mark[0], bytes[index..<index + 4].elementsEqual(mark) { return index + 4 }
            index += 1
        }
        return nil
    }

    private static func status(_ line: String) throws(Fault) -> Int {
        let words = line.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let code = Int(words[1]), (200...599).contains(code)
        else { throw .malformed }
        return code
    }

    private static func body(_ rest: [UInt8], fields: ArraySlice<String>) throws(Fault) -> [UInt8] {
        var length: Int?
        var isChunked = false
        for field in fields {
            guard let colon = field.firstIndex(of: ":") else { throw .malformed }
            let value = field[field.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            switch field[..<colon].lowercased() {
            case "content-length":
                guard let count = Int(value), count >= 0 else { throw .malformed }
                length = count
            case "transfer-encoding":
                guard value.lowercased() == "chunked" else { throw .malformed }
                isChunked = true
            default: continue
            }
        }
        if isChunked { return try joined(rest) }
        guard let length else { return rest }
        guard rest.count >= length else { throw .cutShort }
        return Array(rest.prefix(length))
    }

    /// The chunks of RFC 9112 section 7.1, put together.
    private static func joined(_ bytes: [UInt8]) throws(Fault) -> [UInt8] {
        var body: [UInt8] = []
        var rest = bytes[...]
        while true {
            guard let end = rest.firstIndex(of: newline) else { throw .cutShort }
            let line = String(decoding: rest[..<end], as: UTF8.self)
            let digits = line.prefix { $0 != ";" && $0 != "\r" && $0 != "\r\n" }
            guard digits.count <= 8, let count = Int(digits, radix: 16), count >= 0 else { throw .malformed }
            rest = rest[(end + 1)...]
            if count == 0 { return body }
            // The chunk and the line end behind it.
            guard rest.count >= count + 2 else { throw .cutShort }
            body += rest.prefix(count)
            rest = rest.dropFirst(count + 2)
        }
    }
}
