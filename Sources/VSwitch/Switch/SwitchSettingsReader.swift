internal import Manifest

extension SwitchSettings {
    /// Reads the fields `stp`, `multicast`, `ageing` and `macs` of a switch.
    init(reading fields: inout Fields) {
        self.init()
        if let node = fields.node("stp") { spanningTree = Self.readTree(node, fields.subject, fields.diagnostics) }
        if let node = fields.node("multicast") {
            multicast = Self.readMulticast(node, fields.subject, fields.diagnostics)
        }
        // The range of IEEE 802.1Q-2018, table 8-6.
        if let seconds = fields.int("ageing", in: 10...1_000_000) { ageing = UInt32(seconds) }
        if let count = fields.int("macs", in: 1...1_000_000) { macs = UInt32(count) }
    }

    private static func readTree(_ node: Node, _ subject: String, _ diagnostics: Diagnostics) -> SpanningTree? {
        guard case .mapping = node.content else {
            return node.bool(as: "'stp' of \(subject)", diagnostics) == true ? SpanningTree() : nil
        }
        var tree = SpanningTree()
        var fields = Fields(node, of: "'stp' of \(subject)", diagnostics)
        let place = fields.node("priority")
        let priority = place?.int(as: "'priority' of \(fields.subject)", in: 0...61_440, diagnostics)
        if let seconds = fields.int("forwardDelay", in: 4...30) { tree.forwardDelay = UInt32(seconds) }
        fields.finish()
        guard let place, let priority else { return tree }
        if priority.isMultiple(of: 4096) {
            tree.priority = UInt16(priority)
        } else {
            diagnostics.report(
                at: place, "\(priority) is no priority of a bridge",
                hint: "a multiple of 4096, which leaves room for the system id (IEEE 802.1D-2004, 9.2.5)")
        }
        return tree
    }

    private static func readMulticast(_ node: Node, _ subject: String, _ diagnostics: Diagnostics) -> Multicast {
        var fields = Fields(node, of: "'multicast' of \(subject)", diagnostics)
        let isSnooping = fields.bool("snooping") ?? false
        let place = fields.node("querier")
        let isQuerier = place?.bool(as: "'querier' of \(fields.subject)", diagnostics)
        fields.finish()
        if let place, isQuerier == true, !isSnooping {
            diagnostics.report(
                at: place, "a querier is for a switch that listens to the answers", hint: "add 'snooping: true'")
        }
        return isSnooping ? .snoop(isQuerier: isQuerier ?? true) : .flood
    }
}
