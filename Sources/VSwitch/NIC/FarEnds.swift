internal import Netlink
internal import Syscall
internal import SystemPackage

/// The far ends of veth pairs, looked at and mended one network namespace at a time.
enum FarEnds {
    /// What one namespace shows: one dump each of links, addresses and, where routes are asked for, routes.
    private struct Sight {
        var links: [Link]
        var addresses: [InterfaceAddress]
        var routes: [Route]

        init(_ socket: inout NetlinkSocket) throws(NetlinkError) {
            links = try socket.links()
            addresses = try socket.addresses()
            routes = try socket.routes()
        }

        /// The far end of a near end, each naming the other's index.
        func farEnd(of near: Link) -> Link? {
            links.first { $0.kind == .veth && $0.index == near.peer && $0.peer == near.index }
        }

        func observation(_ link: Link) -> FarEndObservation {
            let own = OwnershipMark.protocolNumber
            let mine = addresses.filter { $0.link == link.index }
            let defaults = routes.filter {
                $0.link == link.index && $0.protocolNumber == own && $0.destination.length == 0
            }
            return FarEndObservation(
                link: link, addresses: Set(mine.map(\.prefix)),
                ownAddresses: Set(mine.filter { $0.protocolNumber == own }.map(\.prefix)),
                gateways: Set(defaults.compactMap(\.gateway)))
        }
    }

    /// Adds to the observations what the namespaces show that the specs name.
    static func observe(_ specs: [String: NICSpec], _ seen: inout [String: NICObservation]) {
        var byNamespace: [String: [String]] = [:]
        for (name, spec) in specs {
            guard case .namespace(let namespace, _, _) = spec.attachment else { continue }
            byNamespace[namespace, default: []].append(name)
        }
        for (namespace, names) in byNamespace {
            do throws(NetlinkError) {
                var socket = try NetworkLocation.namespace(namespace).socket(.route)
                let sight = try Sight(&socket)
                for name in names {
                    guard let near = seen[name]?.link, let far = sight.farEnd(of: near) else { continue }
                    seen[name]?.farEnd = sight.observation(far)
                }
            } catch {
                let problem = words(error, namespace)
                for name in names { seen[name, default: NICObservation()].problem = problem }
            }
        }
    }

    private static func words(_ error: NetlinkError, _ namespace: String) -> String {
        if error.errno == .noSuchFileOrDirectory {
            return "there is no network namespace '\(namespace)'; make it with `ip netns add \(namespace)`"
        }
        // setns(2).
        if error.errno == .notPermitted {
            return
                "network namespace '\(namespace)' cannot be entered: that needs CAP_SYS_ADMIN, here and where it was "
                + "made; run as root"
        }
        return "network namespace '\(namespace)': \(error)"
    }

    /// What went wrong with a far end, in words.
    static func words(_ error: NetlinkError, farEndIn namespace: String) -> String {
        if error.isExisting, error.operation == "add route" {
            return "namespace \(namespace) has another default route already: take it out, or leave 'gateway' out"
        }
        return "in namespace \(namespace): \(error)"
    }

    /// Makes far ends in one namespace as the specs ask: MAC, MTU, up, addresses, default routes.
    ///
    /// - Parameter nics: each with its near end, as it is now.
    /// - Returns: one entry for each of `nics`; nil where all went well.
    static func converge(
        _ nics: [(spec: NICSpec, near: Link)], in namespace: String
    ) throws(NetlinkError) -> [NetlinkError?] {
        var socket = try NetworkLocation.namespace(namespace).socket(.route)
        let sight = try Sight(&socket)
        var batch = StepBatch(count: nics.count)
        var errors = [NetlinkError?](repeating: nil, count: nics.count)
        for (index, nic) in nics.enumerated() {
            guard let far = sight.farEnd(of: nic.near) else {
                let missing = NetlinkError.Cause.refused(.noSuchAddressOrDevice, words: "it is gone", offset: nil)
                errors[index] = NetlinkError(operation: "find far end of", subject: "\(nic.near.name)", cause: missing)
                continue
            }
            batch.add(step: index) { mend(nic.spec, sight.observation(far), &$0) }
        }
        let answers = try batch.errors(on: &socket)
        return zip(errors, answers).map { $0 ?? $1 }
    }

    /// The messages that make one far end so, in the order in which the kernel can take them.
    private static func mend(_ spec: NICSpec, _ seen: FarEndObservation, _ writer: inout MessageWriter) {
        guard case .namespace(_, _, let gateways) = spec.attachment else { return }
        let index = seen.link.index
        var change = LinkChange()
        if seen.link.mac != spec.mac { change.mac = spec.mac }
        if let mtu = spec.mtu, seen.link.mtu != mtu { change.mtu = mtu }
        if !seen.link.isUp { change.isUp = true }
        if change != LinkChange() { writer.changeLink(.index(index), change) }

        let wanted = Set(spec.addresses.map(\.prefix))
        // Routes hang on addresses: what must go goes first, what is new comes last.
        for gateway in seen.gateways.subtracting(gateways).sorted() { writer.removeRoute(route(gateway, spec, index)) }
        for prefix in seen.ownAddresses.subtracting(wanted).sorted() {
            writer.removeAddressAlone(prefix, from: seen.link)
        }
        for prefix in spec.addresses.map(\.prefix) where !seen.addresses.contains(prefix) {
            writer.addAddress(prefix, to: index)
        }
        for gateway in gateways where !seen.gateways.contains(gateway) { writer.addRoute(route(gateway, spec, index)) }
    }

    /// The default route through a gateway, which need not lie in a subnet of the NIC's own.
    private static func route(_ gateway: IPAddress, _ spec: NICSpec, _ link: Int32) -> Route {
        let everywhere: IPAddress = gateway.isIPv4 ? .v4(.unspecified) : .v6(.unspecified)
        let destination = IPPrefix(address: everywhere, length: 0) ?? IPPrefix(host: everywhere)
        var route = Route(to: destination, via: gateway, link: link)
        route.isOnLink = !spec.addresses.contains { $0.prefix.contains(gateway) }
        return route
    }
}
