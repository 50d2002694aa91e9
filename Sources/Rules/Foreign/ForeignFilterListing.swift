public import Netlink
internal import Synchronization
internal import Syscall
internal import SystemPackage

/// Looks at what others filter in one network namespace, and follows their rules once for each change of them.
public final class ForeignFilterListing: Sendable {
    private let ledger: NFLedger
    private let known = Mutex<Known?>(nil)

    /// What was seen at the last look, and what came of it.
    private struct Known {
        let sight: Sight
        let filters: ForeignFilters
    }

    /// All that the filters follow from. The ledger's rules are the same memory as long as nobody has committed.
    private struct Sight: Equatable {
        let rules: NFForeignRules
        /// What the old iptables filters; of its changes nobody is told, so it is read each time.
        let tables: [OldTable]
        let sees4: Bool
        let sees6: Bool
    }

    /// - Parameter ledger: of the same namespace; it knows when somebody has committed something.
    public init(_ ledger: NFLedger) { self.ledger = ledger }

    /// What others filter now; where that cannot be read, what they filtered at the last look. A switch is not out of
    /// order because of it, and our own tables cannot be read then either, which their kinds tell of.
    public func look() -> ForeignFilters {
        let sight: Sight
        do throws(NFError) {
            sight = try see()
        } catch {
            return known.withLock { $0?.filters } ?? .none
        }
        return known.withLock { known in
            if let known, known.sight == sight { return known.filters }
            var rules = sight.rules
            for table in sight.tables { rules.add(table) }
            let filters = ForeignFilters(rules, sees4: sight.sees4, sees6: sight.sees6)
            known = Known(sight: sight, filters: filters)
            return filters
        }
    }

    private func see() throws(NFError) -> Sight {
        let rules = try ledger.foreign(ours: ForeignFilters.prefix)
        do throws(Errno) {
            return try ledger.location.run {
                Result { () throws(Errno) in
                    Sight(
                        rules: rules, tables: try Self.oldTables(),
                        sees4: try Self.isOn("net/bridge/bridge-nf-call-iptables"),
                        sees6: try Self.isOn("net/bridge/bridge-nf-call-ip6tables"))
                }
            }.get()
        } catch {
            throw .netlink(NetlinkError(operation: "read what others filter", cause: .system(error)))
        }
    }

    private static func oldTables() throws(Errno) -> [OldTable] {
        var tables: [OldTable] = []
        for isIPv4 in [true, false] {
            if let table = try OldTable.read("filter", isIPv4: isIPv4) { tables.append(table) }
        }
        return tables
    }

    /// Without br_netfilter there are no such settings.
    private static func isOn(_ path: String) throws(Errno) -> Bool {
        do throws(Errno) { return try Sysctl.read(path) == "1" } catch .noSuchFileOrDirectory { return false }
    }
}
