internal import CNetlink

/// The VLANs that a port of a bridge is in, or the bridge itself.
public struct PortVLANs: Hashable, Sendable {
    /// What becomes of a frame that comes in without a tag: it is in this VLAN (the port's PVID); nil where it is
    /// dropped.
    public var native: UInt16?
    /// The VLANs whose frames leave without a tag.
    public var untagged = VLANSet()
    /// The VLANs whose frames come and leave with theirs.
    public var tagged = VLANSet()

    /// In no VLAN: nothing passes.
    public init() {}

    /// In one VLAN both ways without a tag, or in none, and in others with theirs.
    public init(untagged native: UInt16?, tagged: VLANSet = VLANSet()) {
        self.native = native
        untagged = native.map { VLANSet($0) } ?? VLANSet()
        self.tagged = tagged
    }

    /// Where frames without a tag are that nobody has put elsewhere.
    public static let usual = PortVLANs(untagged: 1)

    /// All of them.
    public var members: VLANSet { untagged.union(tagged) }
}

// MARK: Reading

extension NetlinkSocket {
    /// The VLANs of all bridges and of their ports, by index; those that are in none are left out.
    public mutating func portVLANs() throws(NetlinkError) -> [Int32: PortVLANs] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETLINK), .dump, operation: "list VLANs of ports") {
            var header = ifinfomsg()
            header.ifi_family = UInt8(AF_BRIDGE)
            $0.append(header)
            $0.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_BRVLAN_COMPRESSED))
        }
        let found = try dump(request) { PortVLANs.read($0) }
        return Dictionary(found.map { ($0.link, $0.vlans) }) { first, _ in first }
    }
}

extension PortVLANs {
    /// The VLANs in a message of the kernel; nil if it tells of none.
    static func read(_ message: Message) -> (link: Int32, vlans: PortVLANs)? {
        guard message.type == UInt16(RTM_NEWLINK), let header = message.header(as: ifinfomsg.self) else { return nil }
        guard Int32(header.ifi_family) == AF_BRIDGE else { return nil }
        var vlans: PortVLANs?
        for attribute in message.attributes(after: ifinfomsg.self) where attribute.type == Int(IFLA_AF_SPEC) {
            vlans = PortVLANs(attribute.nested)
        }
        return vlans.map { (header.ifi_index, $0) }
    }

    /// Ranges are two entries: the first with RANGE_BEGIN, the last with RANGE_END. The PVID is never within one.
    private init(_ attributes: AttributeReader) {
        var (open, tagged): (UInt16?, [VLANRange]) = (nil, [])
        var untagged: [VLANRange] = []
        for attribute in attributes where attribute.type == Int(IFLA_BRIDGE_VLAN_INFO) {
            guard let entry = attribute.value(as: bridge_vlan_info.self), 1...4094 ~= entry.vid else { continue }
            let flags = Int32(entry.flags)
            if flags & BRIDGE_VLAN_INFO_RANGE_BEGIN != 0 {
                open = entry.vid
                continue
            }
            let first = flags & BRIDGE_VLAN_INFO_RANGE_END != 0 ? open ?? entry.vid : entry.vid
            guard first <= entry.vid else { continue }
            let range = VLANRange(first, entry.vid)
            if flags & BRIDGE_VLAN_INFO_PVID != 0 { native = entry.vid }
            if flags & BRIDGE_VLAN_INFO_UNTAGGED != 0 { untagged.append(range) } else { tagged.append(range) }
        }
        self.untagged = VLANSet(untagged)
        self.tagged = VLANSet(tagged)
    }
}

// MARK: Changing

/// Whose VLANs a message changes.
public enum VLANHolder: Hashable, Sendable {
    /// A link, as a port of its bridge, by index.
    case port(Int32)
    /// A bridge itself, which has the node behind it, by index.
    case bridge(Int32)
}

extension MessageWriter {
    /// Brings a port from the VLANs that it is in to others: out of the old ones first, so that at no moment it is in
    /// two without a tag. VLANs that it keeps are not touched.
    ///
    /// - Parameter seen: nil where they are not known: then it leaves all.
    public mutating func changeVLANs(of holder: VLANHolder, from seen: PortVLANs?, to wanted: PortVLANs) {
        removeVLANs((seen?.members ?? VLANSet([.all])).subtracting(wanted.members), of: holder)
        // Of a VLAN that it is in already a message sets anew how: without the flag, it is the PVID no longer.
        let native = seen?.native.map { VLANSet($0) } ?? VLANSet()
        addVLANs(wanted.tagged.subtracting((seen?.tagged ?? VLANSet()).subtracting(native)), flags: 0, to: holder)
        for id in wanted.untagged.ids {
            let isNative = id == wanted.native
            if seen?.untagged.contains(id) == true, isNative == (id == seen?.native) { continue }
            let pvid = isNative ? BRIDGE_VLAN_INFO_PVID : 0
            addVLANs(VLANSet(id), flags: BRIDGE_VLAN_INFO_UNTAGGED | pvid, to: holder)
        }
    }

    private mutating func addVLANs(_ vlans: VLANSet, flags: Int32, to holder: VLANHolder) {
        guard !vlans.isEmpty else { return }
        message(UInt16(RTM_SETLINK), operation: "add VLANs to port") { $0.write(vlans, flags: flags, holder) }
    }

    /// VLANs that it is not in are passed over.
    private mutating func removeVLANs(_ vlans: VLANSet, of holder: VLANHolder) {
        guard !vlans.isEmpty else { return }
        message(UInt16(RTM_DELLINK), operation: "remove VLANs from port") { $0.write(vlans, flags: 0, holder) }
    }
}

extension AttributeWriter {
    fileprivate mutating func write(_ vlans: VLANSet, flags: Int32, _ holder: VLANHolder) {
        var header = ifinfomsg()
        header.ifi_family = UInt8(AF_BRIDGE)
        var isBridge = false
        switch holder {
        case .port(let index): append(header, .index(index))
        case .bridge(let index):
            append(header, .index(index))
            isBridge = true
        }
        nested(Int(IFLA_AF_SPEC)) {
            if isBridge { $0.attribute(Int(IFLA_BRIDGE_FLAGS), UInt16(BRIDGE_FLAGS_SELF)) }
            for range in vlans.ranges {
                guard range.first < range.last else {
                    $0.attribute(range.first, flags)
                    continue
                }
                $0.attribute(range.first, flags | BRIDGE_VLAN_INFO_RANGE_BEGIN)
                $0.attribute(range.last, flags | BRIDGE_VLAN_INFO_RANGE_END)
            }
        }
    }

    private mutating func attribute(_ id: UInt16, _ flags: Int32) {
        let entry = bridge_vlan_info(flags: UInt16(truncatingIfNeeded: flags), vid: id)
        attribute(Int(IFLA_BRIDGE_VLAN_INFO), structure: entry)
    }
}
