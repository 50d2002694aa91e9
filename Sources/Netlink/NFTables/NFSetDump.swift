internal import CNetlink

/// Reading sets and their elements.
extension NetlinkSocket {
    /// The sets of a table with their elements.
    mutating func readSets(_ table: NFTable) throws(NetlinkError) -> [NFSet] {
        let frames = try dump(
            NFT_MSG_GETSET, table, operation: "list nftables sets", Int(NFTA_SET_TABLE.rawValue)
        ) { SetFrame($0).set }
        var sets: [NFSet] = []
        for var set in frames {
            try readElements(of: &set, table)
            sets.append(set)
        }
        return sets
    }

    private mutating func readElements(of set: inout NFSet, _ table: NFTable) throws(NetlinkError) {
        let (family, name) = (table.family.rawValue, table.name)
        switch set.form {
        case .dynamic: return
        case .keys: set.elements = try keyed(set.name, family, name) { $0.data }
        case .ranges where set.isSegmented:
            for (range, data) in Self.ranges(of: try wholeElements(of: set.name, family, name)) {
                set.ranges[range] = data
            }
        case .ranges:
            for element in try wholeElements(of: set.name, family, name) {
                let last = element.end ?? element.key
                let isWhole = last.count == element.key.count
                set.ranges[NFRange(from: element.key, through: isWhole ? last : element.key)] = element.data
            }
        }
    }

    /// What is to be known of each element of a set of single keys.
    private mutating func keyed<Value>(
        _ set: String, _ family: UInt8, _ table: String, _ value: (SetElement) -> Value
    ) throws(NetlinkError) -> [NFKey: Value] {
        try whole(set, family, table) { portions, count in
            var values = [NFKey: Value](minimumCapacity: count)
            for portion in portions {
                for element in portion { values[element.key] = value(element) }
            }
            return values.count == count ? values : nil
        }
    }

    /// The elements of any set, none left out.
    mutating func wholeElements(
        of set: String, _ family: UInt8, _ table: String
    ) throws(NetlinkError) -> [SetElement] {
        try whole(set, family, table) { portions, count in
            let elements = Array(portions.joined())
            var seen = Set<SetElement.Place>(minimumCapacity: count)
            return elements.allSatisfy { seen.insert($0.place).inserted } ? elements : nil
        }
    }

    /// How often a set whose hash table is growing is listed again.
    private static let listings = 50

    /// Lists a set until nothing of it is left out.
    ///
    /// The kernel lists a hash table message by message, each time past as many elements as it has shown. A commit that
    /// adds many has the table grow a moment later, which orders them anew: then some are passed over, and as many
    /// shown twice. No generation tells of it and no flag (nft_rhash_walk, net/netfilter/nft_set_hash.c), so a list
    /// that shows one twice is thrown away.
    ///
    /// - Parameter take: gets so many elements in all; nil where it finds one twice.
    private mutating func whole<Value>(
        _ set: String, _ family: UInt8, _ table: String, _ take: ([[SetElement]], _ count: Int) -> Value?
    ) throws(NetlinkError) -> Value {
        for _ in 0..<Self.listings {
            let portions = try elements(of: set, family, table)
            if let value = take(portions, portions.reduce(0) { $0 + $1.count }) { return value }
        }
        throw NetlinkError(operation: "list nftables elements", subject: set, cause: .interrupted)
    }

    /// Those of one listing, in the portions of the kernel's messages.
    private mutating func elements(
        of set: String, _ family: UInt8, _ table: String
    ) throws(NetlinkError) -> [[SetElement]] {
        var request = MessageWriter()
        request.message(NFMessage.type(NFT_MSG_GETSETELEM), .dump, operation: "list nftables elements") {
            $0.append(nfgenmsg(nfgen_family: family, version: UInt8(NFNETLINK_V0), res_id: 0))
            $0.attribute(Int(NFTA_SET_ELEM_LIST_TABLE.rawValue), table)
            $0.attribute(Int(NFTA_SET_ELEM_LIST_SET.rawValue), set)
        }
        return try dump(request) { message -> [SetElement]? in
            var elements: [SetElement] = []
            // What the kernel puts into one message.
            elements.reserveCapacity(400)
            for list in message.attributes(after: nfgenmsg.self)
            where list.type == Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) {
                for element in list.nested { elements.append(SetElement(element)) }
            }
            return elements
        }
    }

    /// The ranges of a set of one field, of which the kernel shows where each begins and the first key behind it.
    static func ranges(of elements: [SetElement]) -> [(NFRange, NFData)] {
        let sorted = elements.sorted { $0.key != $1.key ? $0.key < $1.key : $0.isEnd && !$1.isEnd }
        var ranges: [(NFRange, NFData)] = []
        var begun: SetElement?
        for element in sorted {
            if let start = begun, let last = element.key.predecessor, last.count == start.key.count {
                ranges.append((NFRange(from: start.key, through: last), start.data))
            }
            // An end without a beginning is the nft command's own mark that nothing lies before.
            begun = element.isEnd ? nil : element
        }
        if let start = begun { ranges.append((NFRange(from: start.key, through: start.key.last), start.data)) }
        return ranges
    }

    /// What each element of a set has counted, by its key: of those that were put in with a counter
    /// (`NFDynamicChange.Each`).
    public mutating func nftablesElementCounts(
        _ family: NFTable.Family, _ table: String, _ set: String
    ) throws(NFError) -> [NFKey: NFCount] {
        do throws(NetlinkError) {
            return try keyed(set, family.rawValue, table) { $0.count }.compactMapValues(\.self)
        } catch {
            throw .netlink(error)
        }
    }
}

/// One element as the kernel shows it; one that is not of our making gets a key that none of ours has.
struct SetElement {
    var key = NFKey()
    var end: NFKey?
    var data: NFData = .member
    var isEnd = false
    var count: NFCount?

    /// Where it stands in its set, which no two do.
    struct Place: Hashable {
        let key: NFKey
        let end: NFKey?
        let isEnd: Bool
    }

    var place: Place { Place(key: key, end: end, isEnd: isEnd) }

    init(_ attribute: Attribute) {
        for field in attribute.nested {
            switch field.type {
            case Int(NFTA_SET_ELEM_KEY.rawValue): key = Self.key(field) ?? NFKey()
            case Int(NFTA_SET_ELEM_KEY_END.rawValue): end = Self.key(field)
            case Int(NFTA_SET_ELEM_DATA.rawValue): data = NFData(reading: field) ?? .member
            case Int(NFTA_SET_ELEM_OBJREF.rawValue): data = .counter(field.text)
            case Int(NFTA_SET_ELEM_FLAGS.rawValue):
                isEnd = (field.bigEndian(as: UInt32.self) ?? 0) & UInt32(NFT_SET_ELEM_INTERVAL_END.rawValue) != 0
            case Int(NFTA_SET_ELEM_EXPR.rawValue):
                for part in field.nested where part.type == Int(NFTA_EXPR_DATA.rawValue) {
                    count = NFCount(reading: part)
                }
            default: break
            }
        }
    }

    private static func key(_ field: Attribute) -> NFKey? {
        for value in field.nested where value.type == Int(NFTA_DATA_VALUE.rawValue) {
            return NFKey(bytes: value.payload)
        }
        return nil
    }
}

/// The attributes of a set as the kernel shows it.
struct SetFrame {
    private var name = ""
    private var flags: UInt32 = 0
    private var key: UInt32 = 0
    private var data: UInt32?
    private var object: UInt32?
    private var size: UInt32?
    private var timeout: UInt64?
    private var isForeign = false

    init(_ message: Message) {
        for attribute in message.attributes(after: nfgenmsg.self) {
            switch attribute.type {
            case Int(NFTA_SET_NAME.rawValue): name = attribute.text
            case Int(NFTA_SET_FLAGS.rawValue): flags = attribute.bigEndian() ?? 0
            case Int(NFTA_SET_KEY_TYPE.rawValue): key = attribute.bigEndian() ?? 0
            case Int(NFTA_SET_DATA_TYPE.rawValue): data = attribute.bigEndian()
            case Int(NFTA_SET_OBJ_TYPE.rawValue): object = attribute.bigEndian()
            case Int(NFTA_SET_TIMEOUT.rawValue): timeout = attribute.bigEndian()
            case Int(NFTA_SET_DESC.rawValue):
                for field in attribute.nested where field.type == Int(NFTA_SET_DESC_SIZE.rawValue) {
                    size = field.bigEndian()
                }
            case Int(NFTA_SET_EXPR.rawValue), Int(NFTA_SET_EXPRESSIONS.rawValue): isForeign = true
            default: break
            }
        }
    }

    /// The set without elements. One of another form than ours is shown without fields: unequal to any that we make.
    var set: NFSet {
        let fields = isForeign ? [] : NFSet.fields(key) ?? []
        let made = NFSet(name, key: fields, target: target, form: form)
        // Sets of ours are bounded only where packets fill them.
        let isSized = size != nil && form == .keys
        return made.flags == flags && !fields.isEmpty && !isSized ? made : NFSet(name, key: [])
    }

    private var target: NFSet.Target {
        if let object { return object == UInt32(NFT_OBJECT_COUNTER) ? .counter : .value([]) }
        switch data {
        case nil: return .member
        case UInt32(NFT_DATA_VERDICT.rawValue): return .verdict
        case let type?: return .value(NFSet.fields(type) ?? [])
        }
    }

    private var form: NFSet.Form {
        if flags & UInt32(NFT_SET_INTERVAL.rawValue) != 0 { return .ranges }
        guard flags & UInt32(NFT_SET_EVAL.rawValue) != 0 else { return .keys }
        return .dynamic(size: size ?? 0, timeout: timeout.map { UInt32(clamping: $0 / 1000) })
    }
}
