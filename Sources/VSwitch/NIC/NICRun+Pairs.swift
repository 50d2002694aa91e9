internal import Netlink
internal import Reconcile
internal import Syscall
internal import SystemPackage

// Veth pairs: made, then marked, then their far ends given addresses.
extension NICRun {
    private static let pairsAtATime = 256

    mutating func makePairs(_ bridges: [String: Int32]) throws(NetlinkError) {
        let wanted = creations { if case .namespace = $0 { true } else { false } }
        var start = 0
        while start < wanted.count {
            let part = wanted[start..<min(start + Self.pairsAtATime, wanted.count)]
            start = part.endIndex
            try makePairs(Array(part), bridges)
        }
    }

    private mutating func makePairs(
        _ part: [(step: Int, spec: NICSpec)], _ bridges: [String: Int32]
    ) throws(NetlinkError) {
        var namespaces: [String: OpenNamespace] = [:]
        var batch = StepBatch(count: steps.count)
        for (step, spec) in part {
            guard case .namespace(let reference, let far, _) = spec.attachment else { continue }
            do throws(Errno) {
                if namespaces[reference] == nil { namespaces[reference] = try OpenNamespace(reference) }
                guard let namespace = namespaces[reference] else { continue }
                batch.add(step: step) {
                    $0.createVeth(
                        spec.interface, mac: spec.hostMAC, mtu: spec.mtu ?? 1500, far: far, farMAC: spec.mac,
                        namespace: namespace.space.raw)
                }
            } catch {
                fail(step, "open network namespace \(reference): \(error)")
            }
        }
        for (step, error) in try batch.errors(on: &socket).enumerated() {
            guard let error, let spec = steps[step].spec else { continue }
            fail(step, Self.words(error, spec))
        }
        try markPairs(part.filter { failures[$0.step] == nil }, bridges)
    }

    private static func words(_ error: NetlinkError, _ spec: NICSpec) -> String {
        guard error.isExisting, case .namespace(let namespace, let far, _) = spec.attachment else {
            return "\(error.about(spec.interface))"
        }
        // The kernel does not say which of the two.
        return "\(error.about(spec.interface)): a link \(spec.interface) here, or \(far) in namespace \(namespace)"
    }

    /// Makes new near ends ports of ours, and takes those away again that cannot be.
    private mutating func markPairs(
        _ made: [(step: Int, spec: NICSpec)], _ bridges: [String: Int32]
    ) throws(NetlinkError) {
        let names = made.map(\.spec.interface)
        let quiet: [Errno?]
        do throws(Errno) {
            quiet = try location.run {
                names.map { name in
                    do throws(Errno) { try PortIPv6.switchOff(name) } catch { return error }
                    return nil
                }
            }
        } catch {
            throw NetlinkError(operation: "switch IPv6 off on ports", cause: .system(error))
        }
        var batch = StepBatch(count: steps.count)
        for ((step, spec), error) in zip(made, quiet) {
            if let error { fail(step, PortIPv6.words(error, spec.interface)) }
            let change = portChange(spec, bridges)
            batch.add(step: step) { Self.enslave(.name(spec.interface), spec, change, &$0) }
        }
        let errors = try batch.errors(on: &socket)
        for ((step, spec), error) in zip(made, try openPairs(made, errors)) {
            if let error { fail(step, "\(error.about(spec.interface))") }
        }
        var removal = StepBatch(count: steps.count)
        for (step, spec) in made {
            if let error = errors[step] { fail(step, "\(error.about(spec.interface))") }
            guard failures[step] != nil else { continue }
            removal.add(step: step, tolerating: .missing) { $0.deleteLink(.name(spec.interface)) }
        }
        _ = try removal.errors(on: &socket)
    }

    /// Switches new near ends on whose ports have settings of their own.
    private mutating func openPairs(
        _ made: [(step: Int, spec: NICSpec)], _ errors: [NetlinkError?]
    ) throws(NetlinkError) -> [NetlinkError?] {
        var batch = StepBatch(count: steps.count)
        for (step, spec) in made where errors[step] == nil && spec.port != PortSettings() {
            guard let link = try socket.link(named: spec.interface) else { continue }
            batch.add(step: step) { Self.open(link.index, spec, &$0) }
        }
        let found = try batch.errors(on: &socket)
        return made.map { found[$0.step] }
    }

    /// Looks after the far ends of all pairs of the run that are new or differ.
    mutating func mendFarEnds() throws(NetlinkError) {
        var byNamespace: [String: [(step: Int, spec: NICSpec)]] = [:]
        for index in steps.indices where failures[index] == nil && steps[index].change != .delete {
            guard let spec = steps[index].spec, case .namespace(let name, _, _) = spec.attachment else { continue }
            byNamespace[name, default: []].append((index, spec))
        }
        guard !byNamespace.isEmpty else { return }
        let listing = try socket.links()
        let near = Dictionary(listing.map { ($0.name, $0) }) { first, _ in first }
        for (namespace, members) in byNamespace.sorted(by: { $0.key < $1.key }) {
            let present = members.compactMap { member in
                near[member.spec.interface].map { (member.step, member.spec, $0) }
            }
            do throws(NetlinkError) {
                let errors = try FarEnds.converge(present.map { (spec: $0.1, near: $0.2) }, in: namespace)
                for (member, error) in zip(present, errors) {
                    if let error { fail(member.0, FarEnds.words(error, farEndIn: namespace)) }
                }
            } catch {
                for member in members { fail(member.step, "in namespace \(namespace): \(error)") }
            }
        }
    }
}

/// A network namespace held open while messages name its descriptor.
private final class OpenNamespace {
    let space: NetworkNamespace

    init(_ reference: String) throws(Errno) { space = try NetworkNamespace(reference) }
}
