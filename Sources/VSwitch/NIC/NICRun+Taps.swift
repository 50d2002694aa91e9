internal import Netlink
internal import Reconcile
internal import Syscall
internal import SystemPackage

// Taps: made in parts whose descriptors are held until the kernel has taken their marks.
extension NICRun {
    /// How many unfinished taps are held open at a time: well below the usual limit of 1,024 descriptors.
    private static let tapsAtATime = 256

    mutating func makeTaps(_ bridges: [String: Int32]) throws(NetlinkError) {
        let wanted = creations { if case .tap = $0 { true } else { false } }
        var owners = OwnerLookup()
        var start = 0
        while start < wanted.count {
            let part = wanted[start..<min(start + Self.tapsAtATime, wanted.count)]
            start = part.endIndex
            var orders: [TapOrder] = []
            for (step, spec) in part {
                switch owners.number(of: spec) {
                case .success(let owner): orders.append(TapOrder(step: step, name: spec.interface, owner: owner))
                case .failure(let problem): fail(step, problem.text)
                }
            }
            try makeTaps(orders, bridges)
        }
    }

    /// A tap stays only when its mark is set: until then it goes with our descriptor.
    private mutating func makeTaps(_ orders: [TapOrder], _ bridges: [String: Int32]) throws(NetlinkError) {
        let opened: [Result<NewTap, NICProblem>]
        do throws(Errno) {
            let all = try location.run { () -> Result<[Result<NewTap, NICProblem>], Errno> in
                do throws(Errno) {
                    let links = try LinkQuery()
                    return .success(orders.map { $0.open(asking: links) })
                } catch {
                    return .failure(error)
                }
            }
            opened = try all.get()
        } catch {
            throw NetlinkError(operation: "make taps", cause: .system(error))
        }
        // They have none before a hypervisor comes.
        try socket.settleCarriers(of: opened.compactMap { (try? $0.get())?.index })
        var batch = StepBatch(count: steps.count)
        for (order, tap) in zip(orders, opened) {
            switch tap {
            case .success(let tap):
                guard let spec = steps[order.step].spec else { continue }
                let change = portChange(spec, bridges)
                batch.add(step: order.step, tolerating: .unsupported) { $0.removeQueue(of: tap.index) }
                batch.add(step: order.step) {
                    Self.enslave(.index(tap.index), spec, change, &$0)
                    Self.open(tap.index, spec, &$0)
                }
            case .failure(let problem): fail(order.step, problem.text)
            }
        }
        let errors = try batch.errors(on: &socket)
        for (order, tap) in zip(orders, opened) {
            if let error = errors[order.step] {
                fail(order.step, "\(error.about(order.name))")
                continue
            }
            guard case .success(let tap) = tap else { continue }
            do throws(Errno) {
                try tap.persist()
            } catch {
                fail(order.step, "make tap \(order.name) persistent: \(error)")
            }
        }
    }
}

/// One tap to be made.
private struct TapOrder: Sendable {
    let step: Int
    let name: InterfaceName
    let owner: UInt32?

    /// Makes the tap, and switches IPv6 off on it before it can come up.
    func open(asking links: borrowing LinkQuery) -> Result<NewTap, NICProblem> {
        let tap: NewTap
        do throws(Errno) {
            tap = try NewTap(name.description, access: Tap.Access(owner: owner), asking: links)
        } catch {
            return .failure(NICProblem(text: Self.words(error, name)))
        }
        do throws(Errno) {
            try PortIPv6.switchOff(name)
            return .success(tap)
        } catch {
            return .failure(NICProblem(text: PortIPv6.words(error, name)))
        }
    }

    private static func words(_ error: Errno, _ name: InterfaceName) -> String {
        switch error {
        case .resourceBusy: "make tap \(name): a link of that name exists already"
        case .noSuchFileOrDirectory, .noSuchAddressOrDevice:
            "make tap \(name): \(error); this kernel has no /dev/net/tun, load the module `tun`"
        default: "make tap \(name): \(error)"
        }
    }
}
