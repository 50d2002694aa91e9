public import Syscall

/// The rules of the old iptables, as outlines like those of nftables, so that all are followed alike.
extension NFForeignRules {
    /// What stands for the name of the table: nftables may have one of the same name.
    public static let oldTable = "filter of the old iptables"

    /// Adds the chains of a table `filter` and their rules. What it cannot be is left out.
    public mutating func add(_ table: OldTable) {
        guard let reading = OldReading(table) else { return }
        let family: NFFamily = table.isIPv4 ? .ip : .ip6
        chains.append(
            NFRulesetChain(
                family, Self.oldTable, "FORWARD",
                hook: NFRulesetChain.Hook(number: 2, priority: 0, accepts: reading.acceptsForwarded)))
        chains += reading.chains.values.sorted().map { NFRulesetChain(family, Self.oldTable, $0) }
        rules[TableName(family, Self.oldTable)] = reading.rules
    }
}

/// The entries of a table, read one by one; every length is the kernel's word, and checked all the same.
private struct OldReading {
    /// Where the fields of an entry are: struct ipt_entry and struct ip6t_entry.
    private struct Layout {
        let addresses: Int
        let flags: Int
        let inverted: Int
        let targetOffset: Int
        let size: Int
        let goto: UInt8
    }
    private static let layout4 = Layout(
        addresses: 16, flags: 82, inverted: 83, targetOffset: 88, size: 112, goto: 0x02)
    private static let layout6 = Layout(
        addresses: 64, flags: 131, inverted: 132, targetOffset: 140, size: 168, goto: 0x04)

    private(set) var rules: [NFRuleOutline] = []
    /// Chains of somebody's own, by where their first rule is.
    private(set) var chains: [Int: String] = [:]
    let acceptsForwarded: Bool

    private let bytes: [UInt8]
    private let layout: Layout

    /// NF_INET_FORWARD.
    private static let forward = 2

    init?(_ table: OldTable) {
        bytes = table.entries
        layout = table.isIPv4 ? Self.layout4 : Self.layout6
        guard table.starts.indices.contains(Self.forward), table.policies.indices.contains(Self.forward) else {
            return nil
        }
        let (start, policy) = (Int(table.starts[Self.forward]), Int(table.policies[Self.forward]))
        guard let last = Self.entry(bytes, policy, layout) else { return nil }
        acceptsForwarded = Self.verdict(bytes, last.target) == -2
        for at in Self.entries(bytes, layout) {
            // The last one ends the table.
            if let name = Self.errorName(bytes, at.target), at.end < bytes.count { chains[at.end] = name }
        }
        var chain: String?
        for at in Self.entries(bytes, layout) {
            if at.start == start { chain = "FORWARD" }
            if let name = chains[at.start] { chain = name }
            if at.start == policy || Self.errorName(bytes, at.target) != nil {
                chain = nil
                continue
            }
            if let chain { rules.append(outline(at, in: chain)) }
        }
    }

    private struct Place {
        let start: Int
        let target: Int
        let end: Int
    }

    private static func short(_ bytes: [UInt8], _ offset: Int) -> Int? {
        guard offset >= 0, offset + 2 <= bytes.count else { return nil }
        return Int(bytes[offset]) | Int(bytes[offset + 1]) << 8
    }

    private static func entry(_ bytes: [UInt8], _ start: Int, _ layout: Layout) -> Place? {
        guard start >= 0, let target = short(bytes, start + layout.targetOffset),
            let next = short(bytes, start + layout.targetOffset + 2), target >= layout.size, next >= target + 32,
            start + next <= bytes.count
        else { return nil }
        return Place(start: start, target: start + target, end: start + next)
    }

    private static func entries(_ bytes: [UInt8], _ layout: Layout) -> [Place] {
        var places: [Place] = []
        var offset = 0
        while let place = entry(bytes, offset, layout) {
            places.append(place)
            offset = place.end
        }
        return places
    }

    /// A text of at most so many bytes that ends with a NUL.
    private static func text(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> String {
        guard offset >= 0, offset + count <= bytes.count else { return "" }
        return String(decoding: bytes[offset..<offset + count].prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The name of a target or match: struct xt_entry_target, with its size before it.
    private static func name(_ bytes: [UInt8], _ offset: Int) -> String { text(bytes, offset + 2, 29) }

    /// The chain that begins behind an entry with the target ERROR.
    private static func errorName(_ bytes: [UInt8], _ target: Int) -> String? {
        name(bytes, target) == "ERROR" ? text(bytes, target + 32, 30) : nil
    }

    /// Of a standard target: where it jumps, or below zero what it says.
    private static func verdict(_ bytes: [UInt8], _ target: Int) -> Int32? {
        guard name(bytes, target).isEmpty, let low = short(bytes, target + 32), let high = short(bytes, target + 34)
        else { return nil }
        return Int32(truncatingIfNeeded: low | high << 16)
    }

    private func outline(_ place: Place, in chain: String) -> NFRuleOutline {
        var outline = NFRuleOutline(chain: chain, .nothing)
        let inverted = bytes[place.start + layout.inverted]
        let interfaces = place.start + layout.addresses
        for (index, side) in [NFRuleOutline.Interfaces.Side.input, .output].enumerated() {
            let mask = bytes[interfaces + 32 + 16 * index..<interfaces + 48 + 16 * index].prefix { $0 != 0 }.count
            guard mask > 0 else { continue }
            // The NUL of a whole name is compared, too; what stands behind a beginning (`br+`) is not.
            let name = Self.text(bytes, interfaces + 16 * index, mask)
            let isWhole = mask > name.utf8.count
            outline.interfaces.append(
                NFRuleOutline.Interfaces(
                    side, isWhole ? [name] : [], beginning: isWhole ? nil : name,
                    isInverted: inverted & UInt8(1 << index) != 0))
        }
        // Source and destination, then their masks.
        let masks = bytes[place.start + layout.addresses / 2..<place.start + layout.addresses]
        if masks.contains(where: { $0 != 0 }) { (outline.isPartial, outline.isVague) = (true, true) }
        // The protocol stands behind the masks of the interfaces.
        if Self.short(bytes, interfaces + 64) != 0 { outline.isPartial = true }
        takeMatches(place, &outline)
        takeTarget(place, &outline)
        return outline
    }

    private func takeMatches(_ place: Place, _ outline: inout NFRuleOutline) {
        var offset = place.start + layout.size
        while offset < place.target, let size = Self.short(bytes, offset), size >= 32 {
            outline.takeMatch(Self.name(bytes, offset))
            offset += size
        }
    }

    private func takeTarget(_ place: Place, _ outline: inout NFRuleOutline) {
        guard let verdict = Self.verdict(bytes, place.target) else {
            if Self.name(bytes, place.target) == "REJECT" { outline.deed = .refuse }
            return
        }
        switch verdict {
        // -NF_DROP - 1, -NF_ACCEPT - 1, XT_RETURN.
        case -1: outline.deed = .refuse
        case -2: outline.deed = .accept
        case -5: outline.deed = .return
        case 0...:
            guard let chain = chains[Int(verdict)] else { return }
            let isGoto = bytes[place.start + layout.flags] & layout.goto != 0
            outline.deed = isGoto ? .goto(chain) : .jump(chain)
        default: break
        }
    }
}
