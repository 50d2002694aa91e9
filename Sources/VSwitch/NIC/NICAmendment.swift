public import Netlink
public import Reconcile

/// What of a NIC its policy is made of: where nothing else differs, nothing but rules does.
enum NICPolicy {
    /// The kinds of which policies are made.
    static let kinds: Set<String> = [NICKind.name, GroupKind.name, AddressSetKind.name]
}

extension Amendment {
    /// The NICs that differ, each in its addresses or groups only; nil where any differs in more, or in what has
    /// effects beyond its rules: whether it has any at all, or what its far end is given.
    var repolicedNICs: [SpecChange<NICSpec>]? {
        let changes = changes(of: NICKind.self)
        return changes.allSatisfy(\.isOfPolicy) ? changes : nil
    }
}

extension SpecChange<NICSpec> {
    fileprivate var isOfPolicy: Bool {
        isOfRules && after.addresses.isEmpty == before.addresses.isEmpty
            && after.groups.isEmpty == before.groups.isEmpty && after.allow == Allowance() && after.vlans == nil
    }

    /// Whether its tap is the same, and nothing differs but what rules are made of.
    fileprivate var isOfRules: Bool {
        guard case .tap = after.attachment else { return false }
        var same = after
        same.change { fields in
            fields.addresses = before.addresses
            fields.groups = before.groups
        }
        return same == before
    }
}

extension NICKind {
    /// For a derivation that asks neither for addresses of NICs nor for their groups.
    static let indifference: Derivation.Amend = { _, amendment in
        amendment.concernsOnly(NICPolicy.kinds) && amendment.repolicedNICs != nil
    }

    /// Resolves NICs that have other addresses or groups, and looks whether anybody has these already.
    ///
    /// - Returns: false where somebody has, or may have by more than an address of his own.
    static func amend(
        _ revision: inout Revision, _ amendment: Amendment, _ subnets: (Desired) -> [String: [IPPrefix]]
    ) -> Bool {
        guard let changes = amendment.repolicedNICs else { return false }
        guard !changes.isEmpty else { return true }
        guard let twins = Twins(of: changes, in: revision.desired) else { return false }
        revision.note(twins)
        let switches = revision.desired.specs(of: SwitchKind.self)
        let subnets = subnets(revision.desired)
        for change in changes {
            guard var spec = revision.desired.specs(of: NICKind.self)[change.name], spec.refusal == nil else {
                return false
            }
            spec.change { fields in
                fields.addresses = change.after.addresses
                fields.groups = change.after.groups
            }
            spec.resolve(switches[spec.switchName], subnets[spec.segment] ?? [])
            guard !twins.areInTrouble(with: spec), spec.isSound else { return false }
            revision.replace(NICKind.self, change.name, spec)
        }
        return true
    }

    /// A NIC's tap is the same whatever its addresses and groups are.
    public func steps(for changes: [SpecChange<NICSpec>]) -> [Step<NICSpec, NICObservation>]? {
        changes.allSatisfy(\.isOfRules) ? [] : nil
    }
}

extension NICKind {
    /// The addresses that NICs get by an amendment; nil where NICs differ in more than their policy.
    @Sendable
    public static func addresses(in amendment: Amendment) -> [IPAddress]? {
        amendment.repolicedNICs?.flatMap { $0.after.addresses.map(\.address) }
    }
}

/// The NICs that have, after an amendment, an address which a NIC that differs has, before or after it.
struct Twins: Sendable {
    private var nics: [IPAddress: [NICSpec]] = [:]

    /// Found in one walk over all.
    ///
    /// - Returns: nil where any NIC is allowed more than its own addresses: then others must not have these either.
    fileprivate init?(of changes: [SpecChange<NICSpec>], in desired: Desired) {
        let addresses = Set(changes.flatMap { $0.before.addresses + $0.after.addresses }.map(\.address))
        let differing = Set(changes.map(\.name))
        for nic in desired.specs(of: NICKind.self).values {
            guard nic.allow == Allowance() else { return nil }
            for own in nic.addresses where addresses.contains(own.address) {
                if !differing.contains(nic.resourceName) { nics[own.address, default: []].append(nic) }
            }
        }
        for nic in changes.map(\.after) {
            for own in nic.addresses { nics[own.address, default: []].append(nic) }
        }
    }

    /// Whether another one on its switch has one of its addresses.
    fileprivate func areInTrouble(with spec: NICSpec) -> Bool {
        spec.addresses.contains { own in
            nics[own.address, default: []].contains {
                $0.resourceName != spec.resourceName && $0.segment == spec.segment
            }
        }
    }

    /// Whether another member of a group has an address: on another switch, it may.
    func isHeld(_ address: IPAddress, in group: String, besides name: String) -> Bool {
        nics[address, default: []].contains { $0.resourceName != name && $0.groups.contains(group) }
    }
}

extension NICSpec {
    /// Whether its addresses are what they may be, by themselves.
    fileprivate var isSound: Bool {
        let addresses = self.addresses.map(\.address)
        guard Set(addresses).count == addresses.count else { return false }
        guard let mtu = self.mtu, mtu < PortIPv6.minimumMTU else { return true }
        return addresses.allSatisfy(\.isIPv4)
    }
}
