internal import CNetlink

/// A filter on all packets of a link (RTM_NEWTFILTER): an u32 that matches everything, and what becomes of them.
public struct TrafficFilter: Hashable, Sendable {
    /// Which way the packets go, seen from the link.
    public enum Direction: Hashable, Sendable {
        /// Those that it has received.
        case ingress
        /// Those that it is about to send.
        case egress
    }

    /// What becomes of them, by the index of another link.
    public enum Action: Hashable, Sendable {
        /// They go out by the other link, and no further here.
        case redirect(to: Int32)
        /// A copy goes out by the other link; filters behind this one see the packet.
        case mirror(to: Int32)
        /// Something else, or something on top.
        case other
    }

    public var link: Int32
    public var direction: Direction
    /// Lower ones come first.
    public var priority: UInt16
    public var action: Action

    /// A filter of ours.
    public init(on link: Int32, _ direction: Direction, priority: UInt16, _ action: Action) {
        self.link = link
        self.direction = direction
        self.priority = priority
        self.action = action
    }
}

extension TrafficFilter.Direction {
    /// TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), and the same of TC_H_MIN_EGRESS.
    var parent: UInt32 {
        switch self {
        case .ingress: 0xffff_fff2
        case .egress: 0xffff_fff3
        }
    }
}

extension TrafficFilter {
    /// ETH_P_ALL, big-endian, as the lower half of `tcm_info` has it.
    private static let allProtocols = UInt32(UInt16(3).bigEndian)

    var information: UInt32 { UInt32(priority) << 16 | Self.allProtocols }

    /// One key whose mask is 0: every packet matches. Sixteen bytes of tc_u32_sel (TC_U32_TERMINAL, one key), then
    /// sixteen of tc_u32_key.
    static let everything: [UInt8] = [UInt8(TC_U32_TERMINAL), 0, 1] + [UInt8](repeating: 0, count: 29)

    /// A message of the kernel; nil where it lists what a filter is made of rather than a filter.
    init?(_ message: Message, _ direction: Direction) {
        guard message.type == UInt16(RTM_NEWTFILTER), let header = message.header(as: tcmsg.self) else { return nil }
        var kind = ""
        var action: Action?
        for attribute in message.attributes(after: tcmsg.self) {
            switch attribute.type {
            case Int(TCA_KIND): kind = attribute.text
            case Int(TCA_OPTIONS): action = kind == "u32" ? Self.action(attribute.nested) : .other
            default: break
            }
        }
        guard let action else { return nil }
        let isForAll = header.tcm_info & 0xffff == Self.allProtocols
        self.init(
            on: header.tcm_ifindex, direction, priority: UInt16(truncatingIfNeeded: header.tcm_info >> 16),
            isForAll ? action : .other)
    }

    /// Nil for a hash table, which an u32 lists beside its filters.
    private static func action(_ options: AttributeReader) -> Action? {
        var matchesAll = false
        var found: [Action] = []
        var isTable = false
        for option in options {
            switch option.type {
            case Int(TCA_U32_DIVISOR): isTable = true
            case Int(TCA_U32_SEL):
                // One key of mask and value 0; a kernel may set further flags.
                let bytes = option.bytes
                matchesAll = bytes.count == everything.count && bytes[2] == 1 && bytes[16..<24].allSatisfy { $0 == 0 }
            case Int(TCA_U32_ACT): found = option.nested.map { mirrored($0.nested) ?? .other }
            default: break
            }
        }
        if isTable { return nil }
        return matchesAll && found.count == 1 ? found[0] : .other
    }

    private static func mirrored(_ attributes: AttributeReader) -> Action? {
        var isMirred = false
        var action: Action?
        for attribute in attributes {
            switch attribute.type {
            case Int(TCA_ACT_KIND): isMirred = attribute.isText("mirred")
            case Int(TCA_ACT_OPTIONS):
                for option in attribute.nested where option.type == Int(TCA_MIRRED_PARMS) {
                    action = option.value(as: tc_mirred.self).flatMap(Action.init)
                }
            default: break
            }
        }
        return isMirred ? action : nil
    }
}

extension TrafficFilter.Action {
    fileprivate init?(_ mirred: tc_mirred) {
        // The kernel writes 0 where the other link has gone.
        let link = Int32(bitPattern: mirred.ifindex)
        switch (mirred.eaction, mirred.action) {
        case (TCA_EGRESS_REDIR, TC_ACT_STOLEN): self = .redirect(to: link)
        case (TCA_EGRESS_MIRROR, TC_ACT_UNSPEC): self = .mirror(to: link)
        default: return nil
        }
    }

    fileprivate var mirred: tc_mirred? {
        var mirred = tc_mirred()
        switch self {
        case .redirect(let link):
            mirred.action = TC_ACT_STOLEN
            mirred.eaction = TCA_EGRESS_REDIR
            mirred.ifindex = UInt32(bitPattern: link)
        case .mirror(let link):
            mirred.action = TC_ACT_UNSPEC
            mirred.eaction = TCA_EGRESS_MIRROR
            mirred.ifindex = UInt32(bitPattern: link)
        case .other: return nil
        }
        return mirred
    }
}

extension NetlinkSocket {
    /// Lists the filters of one direction of a link; none where it has no hook for them.
    public mutating func filters(
        of link: Int32, _ direction: TrafficFilter.Direction
    ) throws(NetlinkError) -> [TrafficFilter] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETTFILTER), .dump, operation: "list filters of link") {
            $0.appendDiscipline(of: link, parent: direction.parent)
        }
        return try dump(request) { TrafficFilter($0, direction) }
    }
}

extension MessageWriter {
    /// Adds a filter; EEXIST if there is one of that priority and direction. The link must have a hook.
    @discardableResult
    public mutating func addFilter(_ filter: TrafficFilter) -> Int {
        message(UInt16(RTM_NEWTFILTER), [.create, .exclusive], operation: "add filter to link") {
            $0.append(filter)
            $0.attribute(Int(TCA_KIND), "u32")
            $0.nested(Int(TCA_OPTIONS)) {
                $0.attribute(Int(TCA_U32_SEL), bytes: TrafficFilter.everything)
                guard let mirred = filter.action.mirred else { return }
                $0.nested(Int(TCA_U32_ACT)) {
                    // The first of a list.
                    $0.nested(1) {
                        $0.attribute(Int(TCA_ACT_KIND), "mirred")
                        $0.nested(Int(TCA_ACT_OPTIONS)) { $0.attribute(Int(TCA_MIRRED_PARMS), structure: mirred) }
                    }
                }
            }
        }
    }

    /// Takes all filters of that priority and direction from a link; ENOENT if there is none.
    @discardableResult
    public mutating func removeFilters(like filter: TrafficFilter) -> Int {
        message(UInt16(RTM_DELTFILTER), operation: "remove filter from link") {
            $0.append(filter)
        }
    }
}

extension AttributeWriter {
    fileprivate mutating func append(_ filter: TrafficFilter) {
        var header = tcmsg()
        header.tcm_ifindex = filter.link
        header.tcm_parent = filter.direction.parent
        header.tcm_info = filter.information
        append(header)
    }
}
