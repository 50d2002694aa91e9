internal import CNetlink
internal import Netlink

/// One nftables transaction of a probe, written attribute by attribute: a probe must stand where the product's own
/// expressions do not reach yet.
struct RuleDraft {
    /// Families by their number (linux/netfilter.h, enum nfproto).
    enum Family: UInt8 {
        case inet = 1
        case netdev = 5
        case bridge = 7
    }

    private let family: Family
    private let table: String
    private var writer = MessageWriter()

    /// Begins with a table of the capability's own name, so that probes do not meet.
    init(_ capability: Capability, _ family: Family, tableFlags: UInt32 = 0) {
        self.family = family
        table = "sdp-\(capability.rawValue)"
        writer.message(UInt16(NFNL_MSG_BATCH_BEGIN), operation: "begin a probe") { $0.append(Self.frame) }
        add(NFT_MSG_NEWTABLE, "try a table") {
            $0.attribute(Int(NFTA_TABLE_NAME.rawValue), $1)
            if tableFlags != 0 { $0.attribute(Int(NFTA_TABLE_FLAGS.rawValue), bigEndian: tableFlags) }
        }
    }

    /// The header of NFNL_MSG_BATCH_BEGIN and _END: the subsystem stands in `res_id`, big-endian.
    private static var frame: nfgenmsg {
        nfgenmsg(
            nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0), res_id: UInt16(NFNL_SUBSYS_NFTABLES).bigEndian
        )
    }

    private mutating func add(
        _ type: nf_tables_msg_types, _ operation: StaticString, _ body: (inout AttributeWriter, String) -> Void
    ) {
        let number = UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(truncatingIfNeeded: type.rawValue)
        let (family, table) = (family, table)
        writer.message(number, .create, operation: operation) {
            $0.append(nfgenmsg(nfgen_family: family.rawValue, version: UInt8(NFNETLINK_V0), res_id: 0))
            body(&$0, table)
        }
    }

    /// A base chain at a hook; of the netdev family on loopback, which every namespace has.
    mutating func chain(_ kind: String = "filter", hook: UInt32) {
        let isOnDevice = family == .netdev
        add(NFT_MSG_NEWCHAIN, "try a chain") {
            $0.attribute(Int(NFTA_CHAIN_TABLE.rawValue), $1)
            $0.attribute(Int(NFTA_CHAIN_NAME.rawValue), "chain")
            $0.nested(Int(NFTA_CHAIN_HOOK.rawValue)) {
                $0.attribute(Int(NFTA_HOOK_HOOKNUM.rawValue), bigEndian: hook)
                $0.attribute(Int(NFTA_HOOK_PRIORITY.rawValue), bigEndian: Int32(0))
                if isOnDevice { $0.attribute(Int(NFTA_HOOK_DEV.rawValue), "lo") }
            }
            $0.attribute(Int(NFTA_CHAIN_TYPE.rawValue), kind)
        }
    }

    /// A rule of these expressions.
    mutating func rule(_ expressions: (name: String, body: (inout AttributeWriter) -> Void)...) {
        add(NFT_MSG_NEWRULE, "try a rule") {
            $0.attribute(Int(NFTA_RULE_TABLE.rawValue), $1)
            $0.attribute(Int(NFTA_RULE_CHAIN.rawValue), "chain")
            $0.nested(Int(NFTA_RULE_EXPRESSIONS.rawValue)) { list in
                for expression in expressions {
                    list.nested(Int(NFTA_LIST_ELEM.rawValue)) {
                        $0.attribute(Int(NFTA_EXPR_NAME.rawValue), expression.name)
                        $0.nested(Int(NFTA_EXPR_DATA.rawValue), expression.body)
                    }
                }
            }
        }
    }

    /// A set of IPv4 addresses (data type 7), or of pairs of them.
    mutating func set(flags: UInt32, fields: Int = 1) {
        add(NFT_MSG_NEWSET, "try a set") {
            $0.attribute(Int(NFTA_SET_TABLE.rawValue), $1)
            $0.attribute(Int(NFTA_SET_NAME.rawValue), "set")
            $0.attribute(Int(NFTA_SET_ID.rawValue), bigEndian: UInt32(1))
            $0.attribute(Int(NFTA_SET_FLAGS.rawValue), bigEndian: flags)
            $0.attribute(Int(NFTA_SET_KEY_TYPE.rawValue), bigEndian: UInt32(fields == 1 ? 7 : 7 << 6 | 7))
            $0.attribute(Int(NFTA_SET_KEY_LEN.rawValue), bigEndian: UInt32(4 * fields))
            guard fields > 1 else { return }
            $0.nested(Int(NFTA_SET_DESC.rawValue)) {
                $0.nested(Int(NFTA_SET_DESC_CONCAT.rawValue)) { list in
                    for _ in 0..<fields {
                        list.nested(Int(NFTA_LIST_ELEM.rawValue)) {
                            $0.attribute(Int(NFTA_SET_FIELD_LEN.rawValue), bigEndian: UInt32(4))
                        }
                    }
                }
            }
        }
    }

    /// A flowtable over loopback.
    mutating func flowtable() {
        add(NFT_MSG_NEWFLOWTABLE, "try a flowtable") {
            $0.attribute(Int(NFTA_FLOWTABLE_TABLE.rawValue), $1)
            $0.attribute(Int(NFTA_FLOWTABLE_NAME.rawValue), "flows")
            $0.nested(Int(NFTA_FLOWTABLE_HOOK.rawValue)) {
                $0.attribute(Int(NFTA_FLOWTABLE_HOOK_NUM.rawValue), bigEndian: UInt32(NF_NETDEV_INGRESS.rawValue))
                $0.attribute(Int(NFTA_FLOWTABLE_HOOK_PRIORITY.rawValue), bigEndian: Int32(0))
                $0.nested(Int(NFTA_FLOWTABLE_HOOK_DEVS.rawValue)) {
                    $0.attribute(Int(NFTA_DEVICE_NAME.rawValue), "lo")
                }
            }
        }
    }

    /// Commits: the first refusal, or nil where all of it was taken.
    consuming func commit(on socket: inout NetlinkSocket) throws(NetlinkError) -> NetlinkError? {
        writer.message(UInt16(NFNL_MSG_BATCH_END), operation: "commit a probe") { $0.append(Self.frame) }
        return try socket.transaction(writer).first?.error
    }
}
