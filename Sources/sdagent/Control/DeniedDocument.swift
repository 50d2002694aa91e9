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
        return DeniedDocument(nics: nics.map { DeniedNIC($0.key, $0.value.interface, denials) })
    }
}

/// One NIC's refused packets.
struct DeniedNIC: Codable, Hashable, Sendable {
    struct Count: Codable, Hashable, Sendable {
        let packets: UInt64
        let bytes: UInt64

        init(_ count: NFCount) {
            packets = count.packets
            bytes = count.bytes
        }
    }

    /// `machine/nic`.
    let nic: String
    /// The interface on this node.
    let interface: String
    /// Sent in another's name.
    let `guard`: Count
    /// Sent, and allowed by no group.
    let egress: Count
    /// Sent to it, and allowed by no group.
    let ingress: Count

    init(_ nic: String, _ interface: InterfaceName, _ denials: Denials) {
        self.nic = nic
        self.interface = "\(interface)"
        self.guard = Count(denials.count(.guard, of: interface))
        egress = Count(denials.count(.egress, of: interface))
        ingress = Count(denials.count(.ingress, of: interface))
    }

    var isDenied: Bool { self.guard.packets + egress.packets + ingress.packets > 0 }
}
