internal import Manifest
internal import Netlink
internal import Reconcile

/// The field `rate` of a NIC as it was read.
struct RateRequest {
    let position: Position
    let ingress: RateCap?
    let egress: RateCap?
    /// What the NIC is sure of on its switch's uplinks, in bits a second.
    let guarantee: UInt64?

    /// Nil where the NIC has none, or a mistake that has been reported.
    init?(reading fields: inout Fields) {
        guard let node = fields.node("rate") else { return nil }
        position = node.position
        guard case .mapping(let entries) = node.content, !entries.isEmpty else {
            fields.diagnostics.report(
                at: node, "'rate' of \(fields.subject) does not say what is capped",
                hint: "write `rate: { ingress: 100Mbit, egress: 100Mbit }`")
            return nil
        }
        var rate = Fields(node, of: "'rate' of \(fields.subject)", fields.diagnostics)
        ingress = Self.readCap("ingress", &rate)
        egress = Self.readCap("egress", &rate)
        let what = "'guarantee' of \(rate.subject)"
        let place = rate.node("guarantee")
        guarantee = place.flatMap { RateCap.readRate($0, what, fields.diagnostics) }
        rate.finish()
        if let place, let guarantee, let cap = egress?.rate, guarantee > cap {
            fields.diagnostics.report(
                at: place, "\(what) is above its cap",
                hint: "it would never be reached; raise 'egress', or lower 'guarantee'")
        }
        if ingress == nil, egress == nil, guarantee == nil { return nil }
    }

    /// `100Mbit`, or `{ cap: 100Mbit, burst: 1MiB }`.
    private static func readCap(_ key: String, _ fields: inout Fields) -> RateCap? {
        guard let node = fields.node(key) else { return nil }
        let what = "'\(key)' of \(fields.subject)"
        guard case .mapping = node.content else {
            return RateCap.readRate(node, what, fields.diagnostics).map { RateCap(rate: $0) }
        }
        var cap = Fields(node, of: what, fields.diagnostics)
        let place = cap.node("cap", required: true)
        let rate = place.flatMap { RateCap.readRate($0, "'cap' of \(what)", fields.diagnostics) }
        // Without a rate any size will do: the mistake has been told.
        let smallest = UInt64(rate.map(RateCap.smallestBurst) ?? 1)
        let burst = cap.bytes("burst", in: smallest...max(smallest, UInt64(rate.map(RateCap.largestBurst) ?? .max)))
        cap.finish()
        return rate.map { RateCap(rate: $0, burst: burst.map { UInt32(clamping: $0) }) }
    }
}

extension RateCap {
    /// A rate that can be held, in bits a second; nil after a mistake.
    static func readRate(_ node: Node, _ what: String, _ diagnostics: Diagnostics) -> UInt64? {
        guard let rate = node.rate(as: what, diagnostics) else { return nil }
        if RateCap.range.contains(rate) { return rate }
        let (least, most) = (BitRate(RateCap.range.lowerBound), BitRate(RateCap.range.upperBound))
        diagnostics.report(at: node, "\(what) must be \(least) to \(most), not \(BitRate(rate))")
        return nil
    }
}

extension NICSpec {
    /// Puts the caps of this NIC, if it has any, into the desired set.
    func add(_ request: RateRequest, into desired: inout Desired) -> ResourceID? {
        guard request.ingress != nil || request.egress != nil else { return nil }
        let isTap = if case .tap = self.attachment { true } else { false }
        let spec = RateSpec(interface: self.interface, isTap: isTap, ingress: request.ingress, egress: request.egress)
        let nic = Reference(NICKind.id(self.resourceName), at: request.position)
        desired.add(RateKind.self, self.resourceName, spec, references: [nic], at: request.position)
        return RateKind.id(self.resourceName)
    }
}
