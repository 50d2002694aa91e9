internal import Netlink
internal import Reconcile

extension BridgeAttributes {
    /// As far as it is the manifest's to say: a bridge that follows another root has that one's times, and one whose
    /// tree changes forgets faster for a while (net/bridge/br_stp.c).
    func settled(as wanted: BridgeAttributes) -> BridgeAttributes {
        var bridge = self
        if isSTPEnabled, wanted.isSTPEnabled {
            if followsAnother {
                bridge.forwardDelay = wanted.forwardDelay
                bridge.maximumAge = wanted.maximumAge
            }
            if isChangingTree { bridge.ageing = wanted.ageing }
        }
        bridge.followsAnother = false
        bridge.isChangingTree = false
        return bridge
    }

    /// What is otherwise than it should be, in words.
    func differences(from wanted: BridgeAttributes) -> [FieldChange] {
        func word(_ isOn: Bool) -> String { isOn ? "on" : "off" }
        func seconds(_ hundredths: UInt32) -> String {
            hundredths.isMultiple(of: 100) ? "\(hundredths / 100) s" : "\(hundredths)/100 s"
        }
        func limit(_ number: UInt32) -> String { number == 0 ? "no limit" : "\(number)" }
        let pairs: [(field: String, from: String, to: String)] = [
            ("stp", word(isSTPEnabled), word(wanted.isSTPEnabled)),
            ("forward delay", seconds(forwardDelay), seconds(wanted.forwardDelay)),
            ("maximum age", seconds(maximumAge), seconds(wanted.maximumAge)),
            ("priority", "\(priority)", "\(wanted.priority)"),
            ("snooping", word(isMulticastSnooping), word(wanted.isMulticastSnooping)),
            ("querier", word(isQuerier), word(wanted.isQuerier)),
            ("igmp version", "\(igmpVersion)", "\(wanted.igmpVersion)"),
            ("mld version", "\(mldVersion)", "\(wanted.mldVersion)"),
            ("ageing", seconds(ageing), seconds(wanted.ageing)),
            ("macs", limit(learnedLimit), limit(wanted.learnedLimit)),
            ("br_netfilter", word(callsNetfilter), word(wanted.callsNetfilter)),
            ("vlan filtering", word(filtersVLANs), word(wanted.filtersVLANs)),
            ("vlan of new ports", defaultVLAN.map { "\($0)" } ?? "none", "none"),
        ]
        return pairs.filter { $0.from != $0.to }.map { FieldChange($0.field, from: $0.from, to: $0.to) }
    }
}

extension SwitchSettings {
    /// What a reader wants to know before the switch is made.
    var summary: [FieldChange] {
        let usual = SwitchSettings().bridging
        return usual.differences(from: bridging).filter {
            !["maximum age", "igmp version", "mld version"].contains($0.field)
        }
        .map { FieldChange($0.field, to: $0.to) }
    }
}
