internal import CNetlink

/// A queueing discipline of a link as the kernel lists it (RTM_NEWQDISC), so far as we care.
public struct QueueDiscipline: Hashable, Sendable {
    /// The link whose packets wait in it.
    public var link: Int32
    /// `tbf`, `fq_codel`, `noqueue`, as tc(8) prints it.
    public var kind: String
    /// The number before the colon, by which filters and programs know it; 0 if the kernel put it there unasked.
    public var major: UInt16
    /// It is the first that a link's packets come to.
    public var isRoot: Bool
    /// It holds the filters of what a link receives (`clsact`, or the older `ingress`), and no packets.
    public var isHook: Bool
    /// What is added to the length of each packet (`stab overhead`).
    public var overhead: Int32 = 0
    /// Of a `tbf`.
    public var bucket: TokenBucket?

    /// Whether another one at its place would take something from somebody: not the kernel's own choice, nor none.
    public var isChosen: Bool { major != 0 && kind != "noqueue" }
}

extension QueueDiscipline {
    init?(_ message: Message) {
        guard message.type == UInt16(RTM_NEWQDISC), let header = message.header(as: tcmsg.self) else { return nil }
        link = header.tcm_ifindex
        major = UInt16(truncatingIfNeeded: header.tcm_handle >> 16)
        isRoot = header.tcm_parent == UInt32(TC_H_ROOT)
        isHook = header.tcm_parent == UInt32(TC_H_INGRESS)
        kind = ""
        for attribute in message.attributes(after: tcmsg.self) {
            switch attribute.type {
            case Int(TCA_KIND): kind = attribute.text
            // The kernel writes the kind before its options.
            case Int(TCA_OPTIONS): if kind == TokenBucket.kind { bucket = TokenBucket(attribute.nested) }
            case Int(TCA_STAB):
                for part in attribute.nested where part.type == Int(TCA_STAB_BASE) {
                    overhead = part.value(as: tc_sizespec.self)?.overhead ?? 0
                }
            default: break
            }
        }
    }
}

extension NetlinkSocket {
    /// Lists the queueing disciplines of all links.
    public mutating func disciplines() throws(NetlinkError) -> [QueueDiscipline] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETQDISC), .dump, operation: "list queueing disciplines") { $0.append(tcmsg()) }
        return try dump(request) { QueueDiscipline($0) }
    }
}

extension MessageWriter {
    /// Takes the transmit queue off a link: packets go straight to the device (`tc qdisc add dev … root noqueue`).
    ///
    /// A tap has queues of its own towards the hypervisor. The kernel's default discipline in front of them is waste: a
    /// multi-queue tap that comes up with it gets 256 pfifo_fast, which take 6.9 MB and 4 ms, measured on Linux 6.18.
    /// It must go before the link comes up. EOPNOTSUPP: a kernel without CONFIG_NET_SCHED, which has no queue anyway.
    @discardableResult
    public mutating func removeQueue(of link: Int32) -> Int {
        message(UInt16(RTM_NEWQDISC), [.create, .replace], operation: "remove queue of link") {
            $0.appendDiscipline(of: link, parent: UInt32(TC_H_ROOT))
            $0.attribute(Int(TCA_KIND), "noqueue")
        }
    }

    /// Takes the root discipline from a link, which gets the kernel's default; ENOENT if it has that already.
    @discardableResult
    public mutating func removeRootDiscipline(of link: Int32) -> Int {
        message(UInt16(RTM_DELQDISC), operation: "remove queueing discipline") {
            $0.appendDiscipline(of: link, parent: UInt32(TC_H_ROOT))
        }
    }

    /// Makes the place where a link's filters are (`clsact`); EEXIST if there is one, or an `ingress`.
    @discardableResult
    public mutating func addHook(to link: Int32) -> Int {
        message(UInt16(RTM_NEWQDISC), [.create, .exclusive], operation: "add hook for filters") {
            $0.appendDiscipline(of: link, parent: UInt32(TC_H_CLSACT), major: 0xffff)
            $0.attribute(Int(TCA_KIND), "clsact")
        }
    }

    /// Takes that place away, with all filters in it.
    @discardableResult
    public mutating func removeHook(of link: Int32) -> Int {
        message(UInt16(RTM_DELQDISC), operation: "remove hook for filters") {
            $0.appendDiscipline(of: link, parent: UInt32(TC_H_CLSACT), major: 0xffff)
        }
    }
}

extension AttributeWriter {
    /// The header of a message about a discipline.
    mutating func appendDiscipline(of link: Int32, parent: UInt32, major: UInt16 = 0) {
        var header = tcmsg()
        header.tcm_ifindex = link
        header.tcm_parent = parent
        header.tcm_handle = UInt32(major) << 16
        append(header)
    }
}
