internal import CNetlink

/// Reading of conntrack's messages (linux/netfilter/nfnetlink_conntrack.h).
extension ConntrackEntry {
    /// The flow in a message; nil for one without both directions.
    init?(_ message: Message) {
        var original: ConntrackTuple?
        var reply: ConntrackTuple?
        var zone: UInt16 = 0
        var mark: UInt32 = 0
        var status: UInt32 = 0
        var id: UInt32 = 0
        var timeout: UInt32 = 0
        var isPickedUp = false
        for attribute in message.attributes(after: nfgenmsg.self) {
            switch attribute.type {
            case Int(CTA_TUPLE_ORIG.rawValue): original = ConntrackTuple(attribute)
            case Int(CTA_TUPLE_REPLY.rawValue): reply = ConntrackTuple(attribute)
            case Int(CTA_ZONE.rawValue): zone = attribute.bigEndian() ?? 0
            case Int(CTA_MARK.rawValue): mark = attribute.bigEndian() ?? 0
            case Int(CTA_STATUS.rawValue): status = attribute.bigEndian() ?? 0
            case Int(CTA_ID.rawValue): id = attribute.bigEndian() ?? 0
            case Int(CTA_TIMEOUT.rawValue): timeout = attribute.bigEndian() ?? 0
            case Int(CTA_PROTOINFO.rawValue): isPickedUp = Self.isPickedUp(attribute)
            default: break
            }
        }
        guard let original, let reply else { return nil }
        self.init(
            original: original, reply: reply, zone: zone, mark: mark, status: ConntrackStatus(rawValue: status), id: id,
            timeout: timeout, isPickedUp: isPickedUp)
    }

    /// Of a connection that it has not seen from its beginning, the kernel knows no window scale, and takes any window
    /// (net/netfilter/nf_conntrack_proto_tcp.c, tcp_new): IP_CT_TCP_FLAG_BE_LIBERAL of nf_conntrack_tcp.h. The first of
    /// the two bytes of nf_ct_tcp_flags has the flags.
    private static func isPickedUp(_ information: Attribute) -> Bool {
        for part in information.nested where part.type == Int(CTA_PROTOINFO_TCP.rawValue) {
            for field in part.nested where field.type == Int(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL.rawValue) {
                let flags: UInt16? = field.bigEndian()
                return (flags ?? 0) >> 8 & 0x08 != 0
            }
        }
        return false
    }
}

extension ConntrackTuple {
    /// One direction; nil without two addresses of one family.
    fileprivate init?(_ attribute: Attribute) {
        var source: IPAddress?
        var destination: IPAddress?
        var transport = Transport()
        var zone: UInt16?
        for part in attribute.nested {
            switch part.type {
            case Int(CTA_TUPLE_IP.rawValue):
                for field in part.nested {
                    switch field.type {
                    case Int(CTA_IP_V4_SRC.rawValue), Int(CTA_IP_V6_SRC.rawValue): source = field.address
                    case Int(CTA_IP_V4_DST.rawValue), Int(CTA_IP_V6_DST.rawValue): destination = field.address
                    default: break
                    }
                }
            case Int(CTA_TUPLE_PROTO.rawValue): transport = Transport(part)
            case Int(CTA_TUPLE_ZONE.rawValue): zone = part.bigEndian()
            default: break
            }
        }
        guard let source, let destination, source.isIPv4 == destination.isIPv4 else { return nil }
        self.init(
            source: source, destination: destination, transport: transport.number, ends: transport.ends, zone: zone)
    }

    /// What CTA_TUPLE_PROTO says.
    private struct Transport {
        var number: UInt8 = 0
        var ends: Ends = .none

        init() {}

        init(_ attribute: Attribute) {
            var ports: (source: UInt16?, destination: UInt16?)
            var icmp: (type: UInt8?, code: UInt8?, id: UInt16?)
            for field in attribute.nested {
                switch field.type {
                case Int(CTA_PROTO_NUM.rawValue): number = field.number() ?? 0
                case Int(CTA_PROTO_SRC_PORT.rawValue): ports.source = field.bigEndian()
                case Int(CTA_PROTO_DST_PORT.rawValue): ports.destination = field.bigEndian()
                case Int(CTA_PROTO_ICMP_TYPE.rawValue), Int(CTA_PROTO_ICMPV6_TYPE.rawValue): icmp.type = field.number()
                case Int(CTA_PROTO_ICMP_CODE.rawValue), Int(CTA_PROTO_ICMPV6_CODE.rawValue): icmp.code = field.number()
                case Int(CTA_PROTO_ICMP_ID.rawValue), Int(CTA_PROTO_ICMPV6_ID.rawValue): icmp.id = field.bigEndian()
                default: break
                }
            }
            if let source = ports.source, let destination = ports.destination {
                ends = .ports(source: source, destination: destination)
            } else if let type = icmp.type, let code = icmp.code, let id = icmp.id {
                ends = .icmp(type: type, code: code, id: id)
            }
        }
    }

    /// Writes CTA_TUPLE_ORIG.
    fileprivate func write(to writer: inout AttributeWriter) {
        writer.nested(Int(CTA_TUPLE_ORIG.rawValue)) { tuple in
            let isIPv4 = source.isIPv4
            tuple.nested(Int(CTA_TUPLE_IP.rawValue)) {
                $0.attribute(Int((isIPv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC).rawValue), bytes: source.bytes)
                $0.attribute(Int((isIPv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST).rawValue), bytes: destination.bytes)
            }
            tuple.nested(Int(CTA_TUPLE_PROTO.rawValue)) {
                $0.attribute(Int(CTA_PROTO_NUM.rawValue), transport)
                switch ends {
                case .ports(let source, let destination):
                    $0.attribute(Int(CTA_PROTO_SRC_PORT.rawValue), bigEndian: source)
                    $0.attribute(Int(CTA_PROTO_DST_PORT.rawValue), bigEndian: destination)
                case .icmp(let type, let code, let id):
                    $0.attribute(Int((isIPv4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID).rawValue), bigEndian: id)
                    $0.attribute(Int((isIPv4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE).rawValue), type)
                    $0.attribute(Int((isIPv4 ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE).rawValue), code)
                case .none: break
                }
            }
            if let zone { tuple.attribute(Int(CTA_TUPLE_ZONE.rawValue), bigEndian: zone) }
        }
    }
}

extension MessageWriter {
    /// Lists the flows that the filter means, as far as the kernel can filter (family; mark; zone since Linux 6.8).
    mutating func listConntrack(_ filter: ConntrackFilter) {
        message(ConntrackMessage.type(IPCTNL_MSG_CT_GET), .dump, operation: "list flows") {
            $0.append(ConntrackMessage.header(isIPv4: filter.isIPv4))
            if let mark = filter.mark {
                $0.attribute(Int(CTA_MARK.rawValue), bigEndian: mark.bits & mark.mask)
                $0.attribute(Int(CTA_MARK_MASK.rawValue), bigEndian: mark.mask)
            }
            if let zone = filter.zone { $0.attribute(Int(CTA_ZONE.rawValue), bigEndian: zone) }
        }
    }

    /// Asks how many flows there are.
    mutating func countConntrack() {
        message(ConntrackMessage.type(IPCTNL_MSG_CT_GET_STATS), operation: "count flows") {
            $0.append(ConntrackMessage.header(isIPv4: nil))
        }
    }

    /// Forgets one flow.
    ///
    /// It is named by its tuple always: a message of this type without one would forget all flows there are.
    mutating func deleteConntrack(_ entry: ConntrackEntry) {
        message(ConntrackMessage.type(IPCTNL_MSG_CT_DELETE), operation: "forget flow") {
            $0.append(ConntrackMessage.header(isIPv4: entry.original.source.isIPv4))
            entry.original.write(to: &$0)
            if entry.zone != 0 { $0.attribute(Int(CTA_ZONE.rawValue), bigEndian: entry.zone) }
            $0.attribute(Int(CTA_ID.rawValue), bigEndian: entry.id)
        }
    }
}

/// The numbers of conntrack's messages, and the header that they all begin with.
private enum ConntrackMessage {
    static func type(_ message: cntl_msg_types) -> UInt16 {
        UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(truncatingIfNeeded: message.rawValue)
    }

    static func header(isIPv4: Bool?) -> nfgenmsg {
        let family = isIPv4.map { $0 ? AF_INET : AF_INET6 } ?? AF_UNSPEC
        return nfgenmsg(nfgen_family: UInt8(family), version: UInt8(NFNETLINK_V0), res_id: 0)
    }
}
