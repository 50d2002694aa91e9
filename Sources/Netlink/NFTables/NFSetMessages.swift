internal import CNetlink

/// Elements of one set: some of them, or all.
public struct NFElements: Hashable, Sendable {
    public var keys: [NFKey: NFData] = [:]
    public var ranges: [NFRange: NFData] = [:]

    public init() {}

    /// All of a set.
    public init(of set: NFSet) {
        keys = set.elements
        ranges = set.ranges
    }

    public var count: Int { keys.count + ranges.count }
    public var isEmpty: Bool { keys.isEmpty && ranges.isEmpty }
}

/// The messages about sets and their elements.
extension NFTransaction {
    /// Makes a set without elements.
    mutating func create(_ set: NFSet, in table: NFTable) {
        let number = takeSetNumber()
        add(NFT_MSG_NEWSET, table, [.create], operation: "create", subject(set, table)) {
            $0.attribute(Int(NFTA_SET_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_SET_NAME.rawValue), set.name)
            $0.attribute(Int(NFTA_SET_KEY_TYPE.rawValue), bigEndian: NFSet.typeNumber(set.key))
            $0.attribute(Int(NFTA_SET_KEY_LEN.rawValue), bigEndian: UInt32(NFSet.length(set.key)))
            $0.attribute(Int(NFTA_SET_ID.rawValue), bigEndian: number)
            if set.flags != 0 { $0.attribute(Int(NFTA_SET_FLAGS.rawValue), bigEndian: set.flags) }
            set.target.write(to: &$0)
            set.writeForm(to: &$0)
            $0.attribute(Int(NFTA_SET_USERDATA.rawValue), bytes: set.userData)
        }
    }

    /// Takes a set away with its elements; no rule may look into it.
    mutating func delete(_ set: NFSet, of table: NFTable) {
        add(NFT_MSG_DELSET, table, operation: "delete", subject(set, table)) {
            $0.attribute(Int(NFTA_SET_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_SET_NAME.rawValue), set.name)
        }
    }

    /// Puts elements into a set that is there.
    public mutating func insert(_ elements: NFElements, into set: NFSet, of table: NFTable) {
        write(elements, NFT_MSG_NEWSETELEM, [.create], operation: "add elements to", set, table)
    }

    /// Takes elements out of a set.
    public mutating func remove(_ elements: NFElements, from set: NFSet, of table: NFTable) {
        write(elements, NFT_MSG_DELSETELEM, [], operation: "remove elements from", set, table)
    }

    private func subject(_ set: NFSet, _ table: NFTable) -> String { "set \(set.name) of table \(table.subject)" }

    private mutating func write(
        _ elements: NFElements, _ type: nf_tables_msg_types, _ flags: MessageFlags, operation: StaticString,
        _ set: NFSet, _ table: NFTable
    ) {
        if case .dynamic = set.form { return }
        var keys = elements.keys.makeIterator()
        // In order: the kernel wants each range to end before the next one begins.
        let ranges = elements.ranges.sorted { $0.key.first < $1.key.first }
        var next = 0
        var left = elements.count
        while left > 0 {
            add(type, table, flags, operation: operation, subject(set, table)) {
                $0.attribute(Int(NFTA_SET_ELEM_LIST_TABLE.rawValue), table.name)
                $0.attribute(Int(NFTA_SET_ELEM_LIST_SET.rawValue), set.name)
                $0.nested(Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue)) { list in
                    var room = ElementRoom()
                    while left > 0, room.take() {
                        if let (key, data) = keys.next() {
                            room.use(ElementMessage(key, data: data).write(to: &list))
                        } else {
                            let (range, data) = ranges[next]
                            next += 1
                            for element in ElementMessage.of(range, data, isSegmented: set.isSegmented) {
                                room.use(element.write(to: &list))
                            }
                        }
                        left -= 1
                    }
                }
            }
        }
    }
}

/// How much one message of elements may still hold: an attribute must stay below 64 KiB.
private struct ElementRoom {
    private var bytes = 48 << 10

    /// Whether another element may be begun.
    func take() -> Bool { bytes > 0 }

    mutating func use(_ count: Int) { bytes -= count }
}

/// One entry of a list of elements.
private struct ElementMessage {
    private let key: NFKey
    private var end: NFKey?
    private var flags: UInt32 = 0
    private let data: NFData

    init(_ key: NFKey, data: NFData) {
        self.key = key
        self.data = data
    }

    /// A range of one field is kept as its first key and the first key behind it; one of several fields as one entry.
    static func of(_ range: NFRange, _ data: NFData, isSegmented: Bool) -> [ElementMessage] {
        var first = ElementMessage(range.first, data: data)
        guard isSegmented else {
            first.end = range.last
            return [first]
        }
        // A range to the very end has no key behind it.
        guard let behind = range.last.successor else { return [first] }
        var last = ElementMessage(behind, data: .member)
        last.flags = UInt32(NFT_SET_ELEM_INTERVAL_END.rawValue)
        return [first, last]
    }

    /// - Returns: how many bytes it took.
    func write(to list: inout AttributeWriter) -> Int {
        let before = list.bytes.count
        list.nested(Int(NFTA_LIST_ELEM.rawValue)) { element in
            element.nested(Int(NFTA_SET_ELEM_KEY.rawValue)) { field in
                key.withBytes { field.attribute(Int(NFTA_DATA_VALUE.rawValue), bytes: $0) }
            }
            if let end {
                element.nested(Int(NFTA_SET_ELEM_KEY_END.rawValue)) { field in
                    end.withBytes { field.attribute(Int(NFTA_DATA_VALUE.rawValue), bytes: $0) }
                }
            }
            if flags != 0 { element.attribute(Int(NFTA_SET_ELEM_FLAGS.rawValue), bigEndian: flags) }
            data.write(to: &element)
        }
        return list.bytes.count - before
    }
}

extension NFSet.Target {
    fileprivate func write(to writer: inout AttributeWriter) {
        switch self {
        case .member: break
        case .value(let fields):
            writer.attribute(Int(NFTA_SET_DATA_TYPE.rawValue), bigEndian: NFSet.typeNumber(fields))
            writer.attribute(Int(NFTA_SET_DATA_LEN.rawValue), bigEndian: UInt32(NFSet.length(fields)))
        case .verdict:
            writer.attribute(Int(NFTA_SET_DATA_TYPE.rawValue), bigEndian: UInt32(NFT_DATA_VERDICT.rawValue))
            writer.attribute(Int(NFTA_SET_DATA_LEN.rawValue), bigEndian: UInt32(0))
        case .counter: writer.attribute(Int(NFTA_SET_OBJ_TYPE.rawValue), bigEndian: UInt32(NFT_OBJECT_COUNTER))
        }
    }
}

extension NFSet {
    /// linux/netfilter/nf_tables.h, enum nft_set_flags.
    var flags: UInt32 {
        var flags: UInt32 = 0
        switch target {
        case .member: break
        case .value, .verdict: flags |= UInt32(NFT_SET_MAP.rawValue)
        case .counter: flags |= UInt32(NFT_SET_OBJECT.rawValue)
        }
        switch form {
        case .keys: break
        case .ranges:
            flags |= UInt32(NFT_SET_INTERVAL.rawValue)
            if key.count > 1 { flags |= UInt32(NFT_SET_CONCAT.rawValue) }
        case .dynamic(size: _, let timeout):
            flags |= UInt32(NFT_SET_EVAL.rawValue)
            if timeout != nil { flags |= UInt32(NFT_SET_TIMEOUT.rawValue) }
        }
        return flags
    }

    fileprivate func writeForm(to writer: inout AttributeWriter) {
        switch form {
        case .keys: break
        case .ranges:
            precondition(key.count > 1 || !key[0].isHostOrder, "ranges are of numbers in network order")
            guard key.count > 1 else { return }
            writer.nested(Int(NFTA_SET_DESC.rawValue)) {
                $0.nested(Int(NFTA_SET_DESC_CONCAT.rawValue)) { fields in
                    for field in key {
                        fields.nested(Int(NFTA_LIST_ELEM.rawValue)) {
                            $0.attribute(Int(NFTA_SET_FIELD_LEN.rawValue), bigEndian: UInt32(field.count))
                        }
                    }
                }
            }
        case .dynamic(let size, let timeout):
            if let timeout {
                writer.attribute(Int(NFTA_SET_TIMEOUT.rawValue), bigEndian: UInt64(timeout) * 1000)
            }
            writer.nested(Int(NFTA_SET_DESC.rawValue)) {
                $0.attribute(Int(NFTA_SET_DESC_SIZE.rawValue), bigEndian: size)
            }
        }
    }

    /// The byte orders of key and data, by which the nft command prints elements (NFTNL_UDATA_SET_KEYBYTEORDER 0,
    /// NFTNL_UDATA_SET_DATABYTEORDER 1; host 1, big-endian 2).
    fileprivate var userData: [UInt8] {
        var bytes: [UInt8] = [0, 4, key.count == 1 && key[0].isHostOrder ? 1 : 2, 0, 0, 0]
        if case .value(let fields) = target {
            bytes += [1, 4, fields.count == 1 && (fields[0].isHostOrder || fields[0] == .integer) ? 1 : 2, 0, 0, 0]
        }
        return bytes
    }
}
