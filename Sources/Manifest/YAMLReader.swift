// libyaml as the Yams package ships it. Its events carry every place and cost a tenth of what composed nodes cost
// (1,000 VMs: 2 ms against 25 ms), which `sdagent apply` pays each time.
internal import CYaml

/// Reads YAML 1.1 text into nodes, event by event: no recursion, bounded in depth and in number of nodes.
struct YAMLReader {
    /// Mappings and lists may stand so deep in each other.
    static let depthLimit = 64
    /// Scalars, mappings and lists in one file.
    static let nodeLimit = 2_000_000

    private let source: Source
    private let diagnostics: Diagnostics
    private var open: [Container] = []
    private var documents: [Node] = []
    private var nodeCount = 0

    /// A mapping or a list whose end has not come yet.
    private struct Container {
        let position: Position
        var isMapping: Bool
        var entries: [Node.Entry] = []
        var items: [Node] = []
        /// A key that waits for its value.
        var key: (text: String, position: Position)?
        var seen: [String: Position] = [:]
    }

    /// The documents of a file; what is wrong goes to `diagnostics`.
    static func read(_ source: Source, _ diagnostics: Diagnostics) -> [Node] {
        guard source.text.utf8.count <= Source.byteLimit else {
            diagnostics.report(
                at: Position(file: source.file, line: 1, column: 1),
                "the file is larger than \(Source.byteLimit >> 20) MiB",
                hint: "split it; a folder of files is one manifest")
            return []
        }
        var reader = YAMLReader(source, diagnostics)
        return reader.run() ? reader.documents : []
    }

    private init(_ source: Source, _ diagnostics: Diagnostics) {
        self.source = source
        self.diagnostics = diagnostics
    }

    private mutating func run() -> Bool {
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else {
            diagnostics.report(at: start, "out of memory while the file was read")
            return false
        }
        defer { yaml_parser_delete(&parser) }
        var text = source.text
        return text.withUTF8 { bytes in
            // The input must outlive the parser's use of it, hence all of the reading happens in here.
            yaml_parser_set_input_string(&parser, bytes.baseAddress, bytes.count)
            while true {
                var event = yaml_event_t()
                guard yaml_parser_parse(&parser, &event) == 1 else {
                    reportSyntax(parser)
                    return false
                }
                defer { yaml_event_delete(&event) }
                if event.type == YAML_STREAM_END_EVENT { return true }
                guard take(event) else { return false }
            }
        }
    }

    private var start: Position { Position(file: source.file, line: 1, column: 1) }

    private func position(_ mark: yaml_mark_t) -> Position {
        Position(file: source.file, line: Int(clamping: mark.line) + 1, column: Int(clamping: mark.column) + 1)
    }

    /// Takes one event in; false where reading must stop.
    private mutating func take(_ event: yaml_event_t) -> Bool {
        let place = position(event.start_mark)
        reportProperties(event, at: place)
        switch event.type {
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let text = String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            return add(Node(.scalar(text, isPlain: isPlain), at: place))
        case YAML_MAPPING_START_EVENT: return push(Container(position: place, isMapping: true))
        case YAML_SEQUENCE_START_EVENT: return push(Container(position: place, isMapping: false))
        case YAML_MAPPING_END_EVENT, YAML_SEQUENCE_END_EVENT:
            guard let done = open.popLast() else { return false }
            return add(Node(done.isMapping ? .mapping(done.entries) : .sequence(done.items), at: done.position))
        case YAML_ALIAS_EVENT:
            reportAnchor(at: place)
            return add(Node(.scalar("", isPlain: true), at: place))
        default: return true
        }
    }

    /// Reports what stands before a value in YAML and means nothing here: a tag would be a type, an anchor a name.
    private func reportProperties(_ event: yaml_event_t, at place: Position) {
        let (tag, anchor): (UnsafeMutablePointer<yaml_char_t>?, UnsafeMutablePointer<yaml_char_t>?) =
            switch event.type {
            case YAML_SCALAR_EVENT: (event.data.scalar.tag, event.data.scalar.anchor)
            case YAML_MAPPING_START_EVENT: (event.data.mapping_start.tag, event.data.mapping_start.anchor)
            case YAML_SEQUENCE_START_EVENT: (event.data.sequence_start.tag, event.data.sequence_start.anchor)
            default: (nil, nil)
            }
        if tag != nil {
            diagnostics.report(
                at: place, "tags ('!') are not taken", hint: "leave it out; quote a text that begins with '!'")
        }
        if anchor != nil { reportAnchor(at: place) }
    }

    private func reportAnchor(at place: Position) {
        diagnostics.report(at: place, "anchors and aliases ('&', '*') are not taken", hint: "write the value out")
    }

    private mutating func push(_ container: Container) -> Bool {
        guard open.count < Self.depthLimit else {
            diagnostics.report(at: container.position, "values stand more than \(Self.depthLimit) deep in each other")
            return false
        }
        if let outer = open.last, outer.isMapping, outer.key == nil {
            diagnostics.report(at: container.position, "a mapping or a list cannot be a key", hint: "quote it")
            return false
        }
        open.append(container)
        return true
    }

    private mutating func add(_ node: Node) -> Bool {
        nodeCount += 1
        guard nodeCount <= Self.nodeLimit else {
            diagnostics.report(at: node.position, "the file has more than \(Self.nodeLimit) values")
            return false
        }
        guard let last = open.indices.last else {
            documents.append(node)
            return true
        }
        guard open[last].isMapping else {
            open[last].items.append(node)
            return true
        }
        if let key = open[last].key {
            open[last].key = nil
            insert(Node.Entry(key: key.text, keyPosition: key.position, value: node), into: last)
        } else if case .scalar(let text, _) = node.content {
            open[last].key = (text, node.position)
        }
        return true
    }

    private mutating func insert(_ entry: Node.Entry, into index: Int) {
        // A dictionary only once a mapping is large: most hold a handful of fields.
        let first: Position?
        if open[index].entries.count < 8 {
            first = open[index].entries.first { $0.key == entry.key }?.keyPosition
        } else {
            if open[index].seen.isEmpty {
                for old in open[index].entries { open[index].seen[old.key] = old.keyPosition }
            }
            first = open[index].seen[entry.key]
            if first == nil { open[index].seen[entry.key] = entry.keyPosition }
        }
        if let first {
            diagnostics.report(
                at: entry, "'\(entry.key)' stands twice in one mapping", hint: "the first one is in line \(first.line)")
        } else {
            open[index].entries.append(entry)
        }
    }

    private func reportSyntax(_ parser: yaml_parser_t) {
        let problem = parser.problem.map { String(cString: $0) } ?? "the text is not YAML"
        guard parser.error == YAML_SCANNER_ERROR || parser.error == YAML_PARSER_ERROR else {
            // The reader fails on bytes, before it knows lines: count them up to the offset.
            let before = source.text.utf8.prefix(Int(clamping: parser.problem_offset))
            let place = Position(file: source.file, after: String(decoding: before, as: UTF8.self))
            diagnostics.report(at: place, problem, hint: Self.remedy(for: problem))
            return
        }
        if problem.hasPrefix("Maximum nesting level") {
            diagnostics.report(
                at: position(parser.problem_mark), "values stand more than \(Self.depthLimit) deep in each other")
            return
        }
        let context = parser.context.map { " (\(String(cString: $0)))" } ?? ""
        diagnostics.report(
            at: position(parser.problem_mark), "\(problem)\(context)", hint: Self.remedy(for: problem))
    }

    /// What an operator most likely did.
    private static func remedy(for problem: String) -> String {
        if problem.contains("cannot start any token") { return "indent with spaces, not tabs; quote '@', '`' and '%'" }
        if problem.contains("mapping values are not allowed") {
            return "quote a value that holds ': '; check the indentation"
        }
        if problem.contains("could not find expected ':'") { return "each line of a mapping is 'key: value'" }
        if problem.contains("did not find expected ',' or") { return "close the bracket, or put ',' between the items" }
        if problem.contains("did not find expected") { return "check the indentation of this line and the ones above" }
        if problem.contains("unexpected end of stream") { return "close the quote" }
        if problem.contains("control characters") { return "take it out" }
        return ""
    }
}
