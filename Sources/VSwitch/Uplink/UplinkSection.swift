internal import Manifest
internal import Netlink

extension UplinkSpec {
    /// Reads an item of `uplinks`: a name, or a mapping with `port` and `rate`. Nil after a mistake.
    init?(reading item: Node, of switchName: String, _ diagnostics: Diagnostics) {
        let expecting = "an interface name of at most \(InterfaceName.maximumLength) bytes"
        let what = "'uplinks' of switch '\(switchName)'"
        guard case .mapping = item.content else {
            guard let port = item.value(InterfaceName.self, as: what, expecting: expecting, diagnostics) else {
                return nil
            }
            self.init(interface: port, switchName: switchName)
            return
        }
        var fields = Fields(item, of: "uplink of switch '\(switchName)'", diagnostics)
        let port = fields.value("port", InterfaceName.self, expecting: expecting, required: true)
        let rate = fields.node("rate").flatMap { RateCap.readRate($0, "'rate' of \(fields.subject)", diagnostics) }
        fields.finish()
        guard let port else { return nil }
        self.init(interface: port, switchName: switchName, rate: rate)
    }
}
