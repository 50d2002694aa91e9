import Netlink
import Reconcile
import Rules
import VSwitch

/// What has been refused of each NIC, as JSON: what `denied --output json` prints and `GET /v1/denied` answers.
struct DeniedDocument: Codable, Hashable, Sendable {
    /// Every NIC of the manifest, by name.
    let nics: [DeniedNIC]

    /// Reads the counts of the NICs of a manifest.
    static func look(_ kinds: Kinds, _ desired: Desired) throws(NFError) -> DeniedDocument {
        let guards = kinds.all.compactMap { $0 as? GuardKind }
        guard let location = guards.first?.owned.location else { return DeniedDocument(nics: []) }
        let denials = try Denials(in: location)
        let nics = desired.specs(of: NICKind.self).sorted { $0.key < $1.key }
        return DeniedDocument(nics: nics.map { DeniedNIC($0.value, denials) })
    }
}

/// One NIC's refused packets.
struct DeniedNIC: Codable, Hashable, Sendable {
    struct Count: Codable, Hashable, Sendable {
        let packets: UInt64
        let bytes: UInt64
    }

    /// How many for one reason.
    struct Reason: Codable, Hashable, Sendable {
        /// The word of a guard, `ethertype`, `egress`, `ingress` or `invalid`.
        let reason: String
        let packets: UInt64
        let bytes: UInt64
    }

    /// `machine/nic`.
    let nic: String
    /// The interface on this node.
    let interface: String
    /// Sent in another's name, or as what it may not be.
    let `guard`: Count
    /// Sent, and allowed by no group.
    let egress: Count
    /// Sent to it, and allowed by no group.
    let ingress: Count
    /// Sent by it or to it, as part of a connection that nobody knows.
    let invalid: Count
    /// All of these by their reasons: those for which anything was refused.
    let reasons: [Reason]

    init(_ nic: String, _ interface: String, _ counts: [DenialReason: NFCount]) {
        func sum(where isOf: (DenialReason) -> Bool) -> Count {
            counts.reduce(Count(packets: 0, bytes: 0)) { sum, next in
                guard isOf(next.key) else { return sum }
                return Count(packets: sum.packets &+ next.value.packets, bytes: sum.bytes &+ next.value.bytes)
            }
        }
        self.nic = nic
        self.interface = interface
        self.guard = sum { $0.isOfGuard }
        egress = sum { $0 == .egress }
        ingress = sum { $0 == .ingress }
        invalid = sum { $0 == .invalid }
        reasons = DenialReason.allCases.compactMap { reason in
            guard let count = counts[reason], count.packets > 0 else { return nil }
            return Reason(reason: reason.word, packets: count.packets, bytes: count.bytes)
        }
    }

    init(_ nic: NICSpec, _ denials: Denials) {
        let counts = DenialReason.allCases.map { ($0, denials.count($0, of: nic)) }
        self.init(nic.resourceName, "\(nic.interface)", Dictionary(counts) { first, _ in first })
    }

    /// Packets of all reasons.
    var packets: UInt64 { reasons.reduce(0) { $0 &+ $1.packets } }

    var isDenied: Bool { !reasons.isEmpty }
}
