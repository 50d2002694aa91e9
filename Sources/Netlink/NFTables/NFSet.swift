/// A named set or map: how its keys are made up, what they map to, and its elements.
public struct NFSet: Hashable, Sendable {
    /// One field of a key, with the number that the nft command knows its type by (nftables, include/datatype.h).
    public enum Field: UInt32, Hashable, Sendable {
        /// Two bytes: in network order as a key (a VLAN id), in the machine's as what a key leads to (a zone).
        case integer = 4
        case ipv4Address = 7
        case ipv6Address = 8
        case etherAddress = 9
        case etherType = 10
        case internetProtocol = 12
        case port = 13
        case icmpType = 14
        case mark = 19
        /// The class of a queueing discipline, which `meta priority` sets.
        case trafficClass = 23
        case connectionState = 26
        case icmpv6Type = 29
        case interfaceName = 41

        /// Bytes of the value, before it is padded to four in a concatenation.
        public var count: Int {
            switch self {
            case .internetProtocol, .icmpType, .icmpv6Type: 1
            case .port, .etherType, .integer: 2
            case .ipv4Address, .mark, .trafficClass, .connectionState: 4
            case .etherAddress: 6
            case .ipv6Address, .interfaceName: 16
            }
        }

        /// Whether the value is kept in the order of the machine rather than that of the network.
        var isHostOrder: Bool {
            switch self {
            case .mark, .trafficClass, .connectionState, .interfaceName: true
            default: false
            }
        }
    }

    /// What a key leads to.
    public enum Target: Hashable, Sendable {
        /// Nothing: membership is all.
        case member
        /// A value of these fields.
        case value([Field])
        /// A verdict.
        case verdict
        /// A named counter.
        case counter
    }

    /// What its elements are.
    public enum Form: Hashable, Sendable {
        /// Single keys.
        case keys
        /// Ranges of keys, that do not overlap. Not of a single field in the machine's order.
        case ranges
        /// Keys that packets put in: at most so many, each forgotten after so many seconds. They are never compared.
        case dynamic(size: UInt32, timeout: UInt32?)
    }

    public let name: String
    /// One field, or several concatenated.
    public let key: [Field]
    public let target: Target
    public let form: Form
    /// Its single keys.
    public var elements: [NFKey: NFData]
    /// Its ranges.
    public var ranges: [NFRange: NFData] = [:]
    /// How its single keys came from those of another set, if they are still the same; nil where nobody knows.
    private(set) var edition: NFSetEdition?

    public init(
        _ name: String, key: [Field], target: Target = .member, form: Form = .keys,
        elements: [NFKey: NFData] = [:]
    ) {
        self.name = name
        self.key = key
        self.target = target
        self.form = form
        self.elements = elements
    }

    /// The same set without elements: what must be equal for elements to be changed one by one.
    var frame: NFSet { NFSet(name, key: key, target: target, form: form) }

    /// Whether it has the same frame, without making one.
    func hasFrame(of other: NFSet) -> Bool {
        name == other.name && key == other.key && target == other.target && form == other.form
    }

    /// Puts a key in that is a member.
    public mutating func insert(_ key: NFKey) { elements[key] = .member }

    /// Puts ranges in whose keys are members: those that overlap or touch, new or old, become one.
    public mutating func insert(_ ranges: some Sequence<NFRange>) {
        let merged = RangeUnion(key).merge(Array(self.ranges.keys) + Array(ranges))
        self.ranges = Dictionary(merged.map { ($0, .member) }) { first, _ in first }
    }

    /// Takes keys out and puts others in, and remembers that: what lies between it and the set as it was is then told
    /// at once (`NFSetChange`), however many elements both have.
    ///
    /// A key that is there and leads elsewhere is in both.
    public mutating func edit(removing: some Sequence<NFKey>, inserting: [NFKey: NFData]) {
        var edited = elements
        var (removed, added): ([NFKey: NFData], [NFKey: NFData]) = ([:], [:])
        for key in removing {
            // Named twice, it is there once.
            if let data = edited.removeValue(forKey: key) { removed[key] = data }
        }
        for (key, data) in inserting {
            guard let other = edited.updateValue(data, forKey: key) else {
                if removed[key] == data { removed[key] = nil } else { added[key] = data }
                continue
            }
            guard other != data else { continue }
            removed[key] = other
            added[key] = data
        }
        let origin = NFSetEdition.Origin(of: self)
        elements = edited
        edition = NFSetEdition(from: origin, result: edited, added: added, removed: removed)
    }

    /// Whether its elements are ranges of one field, which the kernel keeps as where they begin and where they end.
    var isSegmented: Bool { form == .ranges && key.count == 1 }

    /// The number by which the nft command knows fields: six bits each.
    static func typeNumber(_ fields: [Field]) -> UInt32 { fields.reduce(0) { $0 << 6 | $1.rawValue } }

    /// Bytes of a key or value of these fields: each padded to four where there are several.
    static func length(_ fields: [Field]) -> Int {
        fields.count == 1 ? fields[0].count : fields.reduce(0) { $0 + ($1.count + 3) & ~3 }
    }

    /// The fields of such a number, if they are ours.
    static func fields(_ typeNumber: UInt32) -> [Field]? {
        var rest = typeNumber
        var fields: [Field] = []
        while rest != 0 {
            guard let field = Field(rawValue: rest & 0x3f) else { return nil }
            fields.insert(field, at: 0)
            rest >>= 6
        }
        return fields.isEmpty ? nil : fields
    }
}

extension NFSet {
    /// Where it came from is no part of it, but tells whether it has changed.
    public static func == (left: NFSet, right: NFSet) -> Bool {
        guard left.hasFrame(of: right), left.ranges == right.ranges else { return false }
        if let edition = right.edition, edition.leads(from: left, to: right) { return edition.isEmpty }
        if let edition = left.edition, edition.leads(from: right, to: left) { return edition.isEmpty }
        return left.elements == right.elements
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(elements)
        hasher.combine(ranges)
    }
}
