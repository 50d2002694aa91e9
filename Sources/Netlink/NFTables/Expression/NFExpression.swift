/// One expression of a rule: those that our rulesets are made of.
///
/// A new one is a case here, its attributes in `ExpressionWriter`, and its way back in `ExpressionReader`. Each has one
/// form only for one meaning, so that what the kernel shows compares equal to what was written.
public enum NFExpression: Hashable, Sendable {
    /// Loads what the kernel knows about the packet.
    case meta(NFMeta, into: NFRegister)
    /// Sets what the kernel knows about the packet: its mark, its priority.
    case setMeta(NFMeta, from: NFRegister)
    /// Loads bytes of the packet.
    case payload(NFPayloadBase, offset: UInt32, length: UInt32, into: NFRegister)
    /// Writes bytes of the packet, and puts right the Internet checksum (RFC 1071) at that offset of the same header.
    case setPayload(NFPayloadBase, offset: UInt32, length: UInt32, from: NFRegister, checksum: UInt32? = nil)
    /// Goes on only if the register compares so with the bytes.
    case compare(NFRegister, NFComparison, [UInt8])
    /// Goes on only if the bytes are within the bounds, both included (or are not).
    case range(NFRegister, from: [UInt8], through: [UInt8], isInverted: Bool = false)
    /// Keeps the bits of the mask, then flips those of the other: `mask`, `setBits` and `flip` are made of it.
    case bits(NFRegister, mask: [UInt8], xor: [UInt8])
    /// Goes on only if the key is in the set (or is not).
    case lookup(NFRegister, set: String, isInverted: Bool)
    /// Loads what the key leads to; goes on only if it is in the map.
    case map(NFRegister, set: String, into: NFRegister)
    /// Takes the verdict that the key leads to; goes on if it is not in the map.
    case verdictMap(NFRegister, set: String)
    /// Puts the key into a dynamic set, or takes it out; goes on only if that was done (a full set takes none).
    case change(NFDynamicChange)
    /// Loads constant bytes.
    case immediate(NFRegister, [UInt8])
    /// Decides.
    case verdict(NFVerdict)
    /// Refuses the packet, and tells its sender.
    case reject(NFRejection)
    /// Counts packets and bytes. What it has counted is no part of its value.
    case counter
    /// Counts on a named counter of the table.
    case count(String)
    /// Counts on the named counter that the key leads to; goes on only if it is in the map.
    case countMapped(NFRegister, set: String)
    /// Goes on only while packets or bytes come slower than this (or faster).
    case limit(NFLimit)
    /// Tells of the packet.
    case log(NFLog)
    /// Loads what conntrack knows of the packet's flow; of one direction of it, where one is named.
    case conntrack(NFConntrack, NFDirection? = nil, into: NFRegister)
    /// Sets the flow's mark; or, before conntrack, the zone in which it looks, of one direction where one is named.
    case setConntrack(NFConntrack, NFDirection? = nil, from: NFRegister)
    /// Rewrites an address, and a port where a register is named.
    case nat(NFNAT, isIPv6: Bool, address: NFRegister, port: NFRegister?)
    /// Rewrites the source to an address of the interface on which the packet leaves.
    case masquerade
    /// Sends a copy out of the interface whose number (ifindex) the register holds. Family netdev only.
    case duplicate(device: NFRegister)
    /// Sends the packet itself out of the interface whose number the register holds, and ends. Family netdev only.
    case forward(device: NFRegister)
    /// One that we never make: somebody changed the rule.
    case foreign(String)

    /// Keeps the bits of the mask.
    public static func mask(_ register: NFRegister, _ mask: [UInt8]) -> NFExpression {
        .bits(register, mask: mask, xor: Array(repeating: 0, count: mask.count))
    }

    /// Flips bits.
    public static func flip(_ register: NFRegister, _ bits: [UInt8]) -> NFExpression {
        .bits(register, mask: Array(repeating: 0xff, count: bits.count), xor: bits)
    }

    /// Replaces the bits of a field: those of the mask become those of `bits`, the others stay.
    public static func setBits(_ register: NFRegister, _ bits: [UInt8], of mask: [UInt8]) -> NFExpression {
        precondition(bits.count == mask.count, "bits and their mask are equally wide")
        return .bits(register, mask: mask.map { ~$0 }, xor: zip(bits, mask).map { $0 & $1 })
    }
}

/// A place of four bytes in the kernel's scratch memory: 0 to 15, four of them in a row hold 16 bytes.
public struct NFRegister: Hashable, Sendable, ExpressibleByIntegerLiteral {
    /// From 0 to 15.
    public let slot: UInt32

    public init(integerLiteral slot: UInt32) { self.slot = slot & 15 }

    /// The kernel's number: NFT_REG_1 to 4 for a place that begins 16 bytes, else NFT_REG32_00 and on.
    var number: UInt32 { slot % 4 == 0 ? 1 + slot / 4 : 8 + slot }

    /// The place of such a number; nil for the verdict register and for numbers that there are not.
    init?(number: UInt32) {
        switch number {
        case 1...4: slot = (number - 1) * 4
        case 8...23: slot = number - 8
        default: return nil
        }
    }
}

/// linux/netfilter/nf_tables.h, enum nft_meta_keys.
public enum NFMeta: UInt32, Hashable, Sendable {
    /// Bytes of the packet.
    case length = 0
    case etherType = 1
    /// The class that a queueing discipline puts it into (a TC handle).
    case priority = 2
    case mark = 3
    /// By number: ifindex, 4 bytes in the machine's order.
    case inputIndex = 4
    case outputIndex = 5
    /// By name: 16 bytes.
    case inputInterface = 6
    case outputInterface = 7
    case layer3Protocol = 15
    case layer4Protocol = 16
    /// By name: the bridge that the port belongs to (needs NFT_BRIDGE_META).
    case inputBridge = 17
    case outputBridge = 18
    /// Whether for this host, broadcast, multicast or another (linux/if_packet.h: PACKET_HOST and on), 1 byte.
    case packetType = 19
}

/// linux/netfilter/nf_tables.h, enum nft_payload_bases.
public enum NFPayloadBase: UInt32, Hashable, Sendable {
    case link = 0
    case network = 1
    case transport = 2
}

/// linux/netfilter/nf_tables.h, enum nft_cmp_ops. Bytes compare as one big-endian number.
public enum NFComparison: UInt32, Hashable, Sendable {
    case equal = 0
    case notEqual = 1
    case less = 2
    case lessOrEqual = 3
    case greater = 4
    case greaterOrEqual = 5
}

/// linux/netfilter/nf_tables.h, enum nft_ct_keys.
public enum NFConntrack: UInt32, Hashable, Sendable {
    /// A bit for each of NFConntrackState; 4 bytes in the machine's order.
    case state = 0
    /// 0 for packets of who opened the flow, 1 for answers; 1 byte.
    case direction = 1
    /// Bits IPS_… of linux/netfilter/nf_conntrack_common.h; 4 bytes in the machine's order.
    case status = 2
    /// 4 bytes in the machine's order.
    case mark = 3
    /// 2 bytes in the machine's order.
    case zone = 17
}

/// The two ways of a flow (linux/netfilter/nf_conntrack_tuple_common.h, enum ip_conntrack_dir).
public enum NFDirection: UInt8, Hashable, Sendable {
    case original = 0
    case reply = 1
}

/// linux/netfilter/nf_tables.h, enum nft_nat_types.
public enum NFNAT: UInt32, Hashable, Sendable {
    case source = 0
    case destination = 1
}

/// What becomes of the packet.
public enum NFVerdict: Hashable, Sendable {
    case accept
    case drop
    case `return`
    case jump(String)
    case goto(String)

    /// NF_ACCEPT, NF_DROP and linux/netfilter/nf_tables.h, enum nft_verdicts.
    var code: Int32 {
        switch self {
        case .drop: 0
        case .accept: 1
        case .jump: -3
        case .goto: -4
        case .return: -5
        }
    }

    var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        case .accept, .drop, .return: nil
        }
    }

    init?(code: Int32, chain: String?) {
        switch (code, chain) {
        case (0, nil): self = .drop
        case (1, nil): self = .accept
        case (-3, let chain?): self = .jump(chain)
        case (-4, let chain?): self = .goto(chain)
        case (-5, nil): self = .return
        default: return nil
        }
    }
}
