/// One expression of a rule: those that our rulesets are made of.
///
/// A new one is a case here, its attributes in `ExpressionWriter`, and its way back in `ExpressionReader`.
public enum NFExpression: Hashable, Sendable {
    /// Loads what the kernel knows about the packet.
    case meta(NFMeta, into: NFRegister)
    /// Loads bytes of the packet.
    case payload(NFPayloadBase, offset: UInt32, length: UInt32, into: NFRegister)
    /// Goes on only if the register compares so with the bytes.
    case compare(NFRegister, NFComparison, [UInt8])
    /// Keeps the bits of the mask.
    case mask(NFRegister, [UInt8])
    /// Goes on only if the key is in the set (or is not).
    case lookup(NFRegister, set: String, isInverted: Bool)
    /// Loads what the key leads to; goes on only if it is in the map.
    case map(NFRegister, set: String, into: NFRegister)
    /// Takes the verdict that the key leads to; goes on if it is not in the map.
    case verdictMap(NFRegister, set: String)
    /// Loads constant bytes.
    case immediate(NFRegister, [UInt8])
    /// Decides.
    case verdict(NFVerdict)
    /// Counts packets and bytes. What it has counted is no part of its value.
    case counter
    /// Loads what conntrack knows: the key is of linux/netfilter/nf_tables.h, enum nft_ct_keys.
    case conntrack(NFConntrack, into: NFRegister)
    /// Rewrites an address, and a port where a register is named.
    case nat(NFNAT, isIPv6: Bool, address: NFRegister, port: NFRegister?)
    /// Rewrites the source to an address of the interface on which the packet leaves.
    case masquerade
    /// One that we never make: somebody changed the rule.
    case foreign(String)
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
    case etherType = 1
    case mark = 3
    case inputInterface = 6
    case outputInterface = 7
    case layer3Protocol = 15
    case layer4Protocol = 16
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
    case state = 0
    case status = 2
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
