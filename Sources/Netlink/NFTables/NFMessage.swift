internal import CNetlink

/// The numbers of nftables messages, and the header that they all begin with.
enum NFMessage {
    /// The message type on the wire: the subsystem in the upper byte.
    static func type(_ message: nf_tables_msg_types) -> UInt16 {
        UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(truncatingIfNeeded: message.rawValue)
    }

    static func header(_ family: NFTable.Family?) -> nfgenmsg {
        nfgenmsg(nfgen_family: family?.rawValue ?? 0, version: UInt8(NFNETLINK_V0), res_id: 0)
    }

    /// The header of NFNL_MSG_BATCH_BEGIN and _END: the subsystem stands in `res_id`, big-endian.
    static var batchHeader: nfgenmsg {
        nfgenmsg(
            nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0),
            res_id: UInt16(NFNL_SUBSYS_NFTABLES).bigEndian)
    }
}

extension NFData {
    /// Writes NFTA_SET_ELEM_DATA or NFTA_SET_ELEM_OBJREF (or nothing for a member).
    func write(to writer: inout AttributeWriter) {
        switch self {
        case .member: break
        case .counter(let name): writer.attribute(Int(NFTA_SET_ELEM_OBJREF.rawValue), name)
        case .value(let value):
            writer.nested(Int(NFTA_SET_ELEM_DATA.rawValue)) { data in
                value.withBytes { data.attribute(Int(NFTA_DATA_VALUE.rawValue), bytes: $0) }
            }
        case .verdict(let verdict):
            writer.nested(Int(NFTA_SET_ELEM_DATA.rawValue)) { data in
                data.nested(Int(NFTA_DATA_VERDICT.rawValue)) {
                    $0.attribute(Int(NFTA_VERDICT_CODE.rawValue), bigEndian: verdict.code)
                    if let chain = verdict.chain { $0.attribute(Int(NFTA_VERDICT_CHAIN.rawValue), chain) }
                }
            }
        }
    }

    /// Reads NFTA_SET_ELEM_DATA.
    init?(reading attribute: Attribute) {
        for part in attribute.nested {
            switch part.type {
            case Int(NFTA_DATA_VALUE.rawValue):
                guard let value = NFKey(bytes: part.payload) else { return nil }
                self = .value(value)
                return
            case Int(NFTA_DATA_VERDICT.rawValue):
                var code: Int32?
                var chain: String?
                for field in part.nested {
                    switch field.type {
                    case Int(NFTA_VERDICT_CODE.rawValue): code = field.bigEndian()
                    case Int(NFTA_VERDICT_CHAIN.rawValue): chain = field.text
                    default: break
                    }
                }
                guard let code, let verdict = NFVerdict(code: code, chain: chain) else { return nil }
                self = .verdict(verdict)
                return
            default: break
            }
        }
        return nil
    }
}
