public import Netlink
internal import Reconcile

/// How a switch keeps the VLANs of its ports apart.
public struct SwitchVLANs: Hashable, Sendable {
    public enum Way: Hashable, Sendable {
        /// One bridge, which filters (CONFIG_BRIDGE_VLAN_FILTERING).
        case filtering
        /// A bridge for each VLAN, since this kernel lacks an option: access ports only.
        case bridges(lack: String)
    }

    public var way: Way
    /// All that ports of it name, and 1, where those are that name none; with a bridge for each, those of access ports.
    public var ids: VLANSet

    /// What an uplink carries: all of them with their tags, and without one what is in VLAN 1.
    var ofUplinks: PortVLANs { PortVLANs(untagged: 1, tagged: ids.subtracting(VLANSet(1))) }

    /// In words, for plan and status.
    var words: String {
        switch way {
        case .filtering: "\(ids), by VLAN filtering"
        case .bridges(let lack): "\(ids), bridge per VLAN: this kernel lacks \(lack)"
        }
    }
}

/// What a switch is that stands for one VLAN of another, where a bridge cannot filter.
public struct VLANPart: Hashable, Sendable {
    /// The switch of the manifest.
    public var whole: String
    public var vlan: UInt16
    /// The option that this kernel lacks.
    public var lack: String
    /// Why this kernel cannot have that either; nil if it can.
    public var refusal: String?

    var words: String { "\(vlan) of switch '\(whole)', bridge per VLAN: this kernel lacks \(lack)" }
}

extension SwitchSpec {
    /// How it keeps VLANs apart, in a plan and in the status of one that is as asked.
    var vlanWords: FieldChange? {
        if let part { return FieldChange("vlan", to: part.words) }
        return vlans.map { FieldChange("vlans", to: $0.words) }
    }
}

extension PortVLANs {
    /// As the manifest has them: `10`, `10, tagged 20, 30-40`.
    var words: String {
        let plain = untagged.isEmpty ? [] : [untagged.description]
        let rest = tagged.isEmpty ? [] : ["tagged \(tagged)"]
        return plain.isEmpty && rest.isEmpty ? "none" : (plain + rest).joined(separator: ", ")
    }
}
