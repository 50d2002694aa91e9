public import Netlink
public import Reconcile
public import Rules

/// What routers translate and let pass: one table, changed as one transaction, untouched where it is equal.
///
/// It comes before the routers, so that nothing is forwarded before the rules say what may be.
public struct NATKind: TableKind {
    public typealias Subject = RouterKind

    public static let name = "nat"
    /// The one resource of this kind: `nat/inet`.
    public static let resourceName = "inet"

    public let owned: NFOwnedTable

    /// The table of the network namespace in which the routers are.
    ///
    /// - Parameter ledger: all kinds of tables in the namespace share it.
    public init(_ ledger: NFLedger) {
        owned = NFOwnedTable(in: ledger, NATTable.family, NATTable.name, mark: NATTable.comment)
    }

    /// With a ledger of its own, as a command has it.
    public init(in location: NetworkLocation = .own) { self.init(NFLedger(in: location, tenure: .passing)) }

    public static func compile(_ subjects: [String: RouterSpec], _ desired: Desired) -> NFTable {
        NATTable.compile(subjects.values)
    }

    /// A router on a link of somebody else's is left out. A bridge that a router is to leave passes nothing on until
    /// the router has left it.
    public func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment
    ) throws(NetlinkError) -> NFTable? {
        let routers = desired.specs(of: RouterKind.self)
        var socket = try owned.location.socket(.route)
        let bridges = try socket.bridges()
        let marked = Set(bridges.filter { !RouterMark.routers(of: $0).isEmpty }.map(\.name))
        let interfaces = routers.values.flatMap(\.interfaces)
        let leaving = moment == .planning ? [] : marked.subtracting(interfaces.map(\.bridge))
        let known = Dictionary(bridges.map { ($0.name, $0) }) { first, _ in first }
        var foreign: Set<InterfaceName> = []
        for interface in interfaces where !marked.contains(interface.bridge) {
            var link = known[interface.bridge]
            if link == nil { link = try socket.link(named: interface.bridge) }
            if let link, link.alias != interface.bridgeAlias { foreign.insert(interface.bridge) }
        }
        if foreign.isEmpty, leaving.isEmpty { return wanted }
        let placed = routers.values.filter { router in !router.interfaces.contains { foreign.contains($0.bridge) } }
        return NATTable.compile(placed, shutting: leaving)
    }

    public func fields(from seen: NFTable?, to wanted: NFTable?, _ change: NFTableChange) -> [FieldChange] {
        NATFields.compare(seen, wanted)
    }
}
