internal import CNetlink

/// A class of an `htb`, the discipline that shares a link's rate out: what it is sure of, and what it may have.
public struct TokenClass: Hashable, Sendable {
    /// The number behind the colon.
    public var minor: UInt16
    /// The number of the class that it borrows from; nil of one that stands at the top.
    public var parent: UInt16?
    /// What it is sure of, in bytes a second.
    public var rate: UInt64
    /// What it may have where others leave it, in bytes a second.
    public var ceiling: UInt64
    /// How many bytes it sends in its turn, where several borrow.
    public var quantum: UInt32
    /// How many bytes may pass at once after a silence, on top of its rate.
    public var burst: UInt32
    /// The same of its ceiling.
    public var ceilingBurst: UInt32

    public init(
        _ minor: UInt16, parent: UInt16? = nil, rate: UInt64, ceiling: UInt64, quantum: UInt32, burst: UInt32,
        ceilingBurst: UInt32
    ) {
        self.minor = minor
        self.parent = parent
        self.rate = rate
        self.ceiling = ceiling
        self.quantum = quantum
        self.burst = burst
        self.ceilingBurst = ceilingBurst
    }

    /// Whether the kernel shows this one where `wanted` was asked for (`SchedulerTick`).
    public func isAs(_ wanted: TokenClass) -> Bool {
        var same = self
        same.burst = wanted.burst
        same.ceilingBurst = wanted.ceilingBurst
        return same == wanted && SchedulerTick.isSame(burst, as: wanted.burst)
            && SchedulerTick.isSame(ceilingBurst, as: wanted.ceilingBurst)
    }
}

extension TokenClass {
    /// A class in a message of the kernel; nil where it is none of an `htb`.
    init?(_ message: Message) {
        guard message.type == UInt16(RTM_NEWTCLASS), let header = message.header(as: tcmsg.self) else { return nil }
        var isOurs = false
        var options: tc_htb_opt?
        var (rate, ceiling): (UInt64?, UInt64?)
        for attribute in message.attributes(after: tcmsg.self) {
            switch attribute.type {
            case Int(TCA_KIND): isOurs = attribute.isText("htb")
            case Int(TCA_OPTIONS):
                for option in attribute.nested {
                    switch option.type {
                    case Int(TCA_HTB_PARMS): options = option.value()
                    case Int(TCA_HTB_RATE64): rate = option.number()
                    case Int(TCA_HTB_CEIL64): ceiling = option.number()
                    default: break
                    }
                }
            default: break
            }
        }
        guard isOurs, let options else { return nil }
        minor = UInt16(truncatingIfNeeded: header.tcm_handle)
        parent = header.tcm_parent == UInt32(TC_H_ROOT) ? nil : UInt16(truncatingIfNeeded: header.tcm_parent)
        self.rate = rate ?? UInt64(options.rate.rate)
        self.ceiling = ceiling ?? UInt64(options.ceil.rate)
        quantum = options.quantum
        burst = SchedulerTick.bytes(options.buffer, at: self.rate)
        ceilingBurst = SchedulerTick.bytes(options.cbuffer, at: self.ceiling)
    }

    fileprivate func write(_ writer: inout AttributeWriter) {
        var options = tc_htb_opt()
        options.rate = AttributeWriter.rate(rate)
        options.ceil = AttributeWriter.rate(ceiling)
        options.buffer = SchedulerTick.ticks(burst, at: rate)
        options.cbuffer = SchedulerTick.ticks(ceilingBurst, at: ceiling)
        options.quantum = quantum
        writer.attribute(Int(TCA_HTB_PARMS), structure: options)
        if rate > UInt64(UInt32.max) { writer.attribute(Int(TCA_HTB_RATE64), rate) }
        if ceiling > UInt64(UInt32.max) { writer.attribute(Int(TCA_HTB_CEIL64), ceiling) }
    }
}

extension NetlinkSocket {
    /// Lists the classes of the `htb` of a link; none where it has another discipline.
    public mutating func classes(of link: Int32) throws(NetlinkError) -> [TokenClass] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETTCLASS), .dump, operation: "list classes of link") {
            $0.appendDiscipline(of: link, parent: 0)
        }
        return try dump(request) { TokenClass($0) }
    }
}

extension MessageWriter {
    /// Makes an `htb` the root discipline of a link, without classes; EEXIST if there is one that somebody has chosen.
    ///
    /// - Parameter fallback: the class of packets that nobody has put into one.
    @discardableResult
    public mutating func addHierarchy(to link: Int32, major: UInt16, fallback: UInt16, overhead: Int32) -> Int {
        message(UInt16(RTM_NEWQDISC), [.create], operation: "share out rate of link") {
            $0.appendDiscipline(of: link, parent: UInt32(TC_H_ROOT), major: major)
            $0.attribute(Int(TCA_KIND), "htb")
            $0.nested(Int(TCA_OPTIONS)) {
                // The version that the kernel speaks (TC_HTB_PROTOVER); no class is without a quantum of its own.
                let options = tc_htb_glob(
                    version: 3, rate2quantum: 10, defcls: UInt32(fallback), debug: 0, direct_pkts: 0)
                $0.attribute(Int(TCA_HTB_INIT), structure: options)
            }
            $0.appendSize(overhead: overhead)
        }
    }

    /// Makes a class, or changes the one of that number, which loses no packet.
    @discardableResult
    public mutating func setClass(_ share: TokenClass, of link: Int32, major: UInt16) -> Int {
        message(UInt16(RTM_NEWTCLASS), [.create, .replace], operation: "set class of link") {
            $0.appendClass(share.minor, of: link, major: major, parent: share.parent)
            $0.attribute(Int(TCA_KIND), "htb")
            $0.nested(Int(TCA_OPTIONS)) { share.write(&$0) }
        }
    }

    /// Takes a class away, with the packets that wait in it.
    @discardableResult
    public mutating func removeClass(_ minor: UInt16, of link: Int32, major: UInt16) -> Int {
        message(UInt16(RTM_DELTCLASS), operation: "remove class of link") {
            $0.appendClass(minor, of: link, major: major, parent: nil)
        }
    }
}

extension AttributeWriter {
    fileprivate mutating func appendClass(_ minor: UInt16, of link: Int32, major: UInt16, parent: UInt16?) {
        var header = tcmsg()
        header.tcm_ifindex = link
        header.tcm_handle = UInt32(major) << 16 | UInt32(minor)
        header.tcm_parent = parent.map { UInt32(major) << 16 | UInt32($0) } ?? UInt32(TC_H_ROOT)
        append(header)
    }

    /// How the length of packets is counted (`stab`).
    mutating func appendSize(overhead: Int32) {
        nested(Int(TCA_STAB)) {
            var size = tc_sizespec()
            size.overhead = overhead
            size.linklayer = TC_LINKLAYER_ETHERNET.rawValue
            $0.attribute(Int(TCA_STAB_BASE), structure: size)
        }
    }
}
