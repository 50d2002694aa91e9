internal import ISCSI

/// What initiators may still take for the disk behind a number. Owned by the registry.
///
/// An initiator knows its disks by their numbers, and one that comes back after a broken connection goes on where it
/// was, without a look at what is there. If the number leads to another disk meanwhile, it would put the file system
/// of the one onto the other. So it is kept in mind what was there: for each initiator until it logs out, for those of
/// whom nothing is known, what the number led to before.
struct UnitHistory {
    /// Initiators that are kept in mind; the oldest are forgotten first.
    static let viewLimit = 4096

    private struct Place: Hashable {
        let target: String
        let number: UInt16
    }

    private var current: [Place: UInt64] = [:]
    private var former: [Place: UInt64] = [:]
    private var views: [SessionParameters.Identity: [UInt16: UInt64]] = [:]
    private var order: [SessionParameters.Identity] = []

    /// A number of a target leads to this unit from now on, or did so when it was last served.
    mutating func leads(_ number: UInt16, of target: String, to identity: UInt64) {
        let place = Place(target: target, number: number)
        if let last = current[place], last != identity { former[place] = last }
        current[place] = identity
    }

    /// The identity that the initiator may expect at a number of its target; nil if it expects nothing there.
    func expectation(of nexus: SessionParameters.Identity, at number: UInt16) -> UInt64? {
        if let view = views[nexus] { return view[number] }
        return nexus.targetName.flatMap { former[Place(target: $0, number: number)] }
    }

    /// The initiator's connection has ended without a logout: it may come back and go on.
    mutating func left(_ nexus: SessionParameters.Identity, knowing view: [UInt16: UInt64]) {
        if views.updateValue(view, forKey: nexus) == nil { order.append(nexus) }
        if order.count > Self.viewLimit { views[order.removeFirst()] = nil }
    }

    /// The initiator has logged out: when it comes again, it looks at everything anew.
    mutating func loggedOut(_ nexus: SessionParameters.Identity) {
        views[nexus] = nil
        order.removeAll { $0 == nexus }
    }
}
