internal import CNetlink

/// What a counter has counted.
public struct NFCount: Hashable, Sendable {
    public let packets: UInt64
    public let bytes: UInt64

    public init(packets: UInt64, bytes: UInt64) {
        self.packets = packets
        self.bytes = bytes
    }

    /// Reads the attributes of a counter (linux/netfilter/nf_tables.h, enum nft_counter_attributes).
    init?(reading attribute: Attribute) {
        var packets: UInt64?
        var bytes: UInt64?
        for field in attribute.nested {
            switch field.type {
            case Int(NFTA_COUNTER_PACKETS.rawValue): packets = field.bigEndian()
            case Int(NFTA_COUNTER_BYTES.rawValue): bytes = field.bigEndian()
            default: break
            }
        }
        guard let packets, let bytes else { return nil }
        self.init(packets: packets, bytes: bytes)
    }
}

extension NetlinkSocket {
    /// What the named counters of a table have counted, in one dump; empty where there is no such table.
    public mutating func nftablesCounters(
        _ family: NFTable.Family, _ table: String
    ) throws(NFError) -> [String: NFCount] {
        do throws(NetlinkError) {
            return try readCounters(NFTable(family: family, name: table))
        } catch {
            if error.isMissing { return [:] }
            throw .netlink(error)
        }
    }

    /// Objects of other types than counters are none of ours, and are not shown.
    mutating func readCounters(_ table: NFTable) throws(NetlinkError) -> [String: NFCount] {
        let counters = try dump(
            NFT_MSG_GETOBJ, table, operation: "list nftables counters", Int(NFTA_OBJ_TABLE.rawValue)
        ) { message -> (String, NFCount)? in
            var name: String?
            var isCounter = false
            var count: NFCount?
            for attribute in message.attributes(after: nfgenmsg.self) {
                switch attribute.type {
                // The filter of a dump is a wish: what does not fit is left out here.
                case Int(NFTA_OBJ_TABLE.rawValue): if attribute.text != table.name { return nil }
                case Int(NFTA_OBJ_NAME.rawValue): name = attribute.text
                case Int(NFTA_OBJ_TYPE.rawValue):
                    isCounter = attribute.bigEndian(as: UInt32.self) == UInt32(NFT_OBJECT_COUNTER)
                case Int(NFTA_OBJ_DATA.rawValue): count = NFCount(reading: attribute)
                default: break
                }
            }
            guard isCounter, let name else { return nil }
            return (name, count ?? NFCount(packets: 0, bytes: 0))
        }
        return Dictionary(counters) { $1 }
    }
}
