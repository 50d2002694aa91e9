/// One thing that somebody does to a manifest.
enum Edit: CaseIterable, Sendable {
    case addSwitch, dropSwitch, changeSwitch
    case addNIC, dropNIC, moveNIC, renumberNIC, swapNICs, regroupNIC, changePort
    case addGroup, dropGroup, addRule, dropRule, changeGroup
    case addSet, dropSet, changeSet
    case addRouter, dropRouter, changeInterfaces, addTranslation, addForward, dropTranslations, dropForward

    /// Does it, where it can be done.
    func perform(on sketch: inout Sketch, _ dice: inout Dice) {
        switch self {
        case .addSwitch, .dropSwitch, .changeSwitch: editSwitches(&sketch, &dice)
        case .addNIC, .dropNIC, .moveNIC, .renumberNIC, .swapNICs, .regroupNIC, .changePort: editNICs(&sketch, &dice)
        case .addGroup, .dropGroup, .addRule, .dropRule, .changeGroup: editGroups(&sketch, &dice)
        case .addSet, .dropSet, .changeSet: editSets(&sketch, &dice)
        case .addRouter, .dropRouter, .changeInterfaces: editRouters(&sketch, &dice)
        case .addTranslation, .addForward, .dropTranslations, .dropForward: editNAT(&sketch, &dice)
        }
        sketch.mend()
    }

    private func editSwitches(_ sketch: inout Sketch, _ dice: inout Dice) {
        switch self {
        case .addSwitch:
            guard let name = dice.pick(Names.switches.filter { sketch.switches[$0] == nil }) else { return }
            sketch.switches[name] = dice.network()
        case .dropSwitch:
            guard sketch.switches.count > 1, let name = dice.pick(sketch.switches.keys.sorted()) else { return }
            sketch.switches[name] = nil
        default:
            guard let name = dice.pick(sketch.switches.keys.sorted()) else { return }
            let subnet = sketch.switches[name]?.subnet ?? 0
            sketch.switches[name] = dice.network()
            if !dice.isOne(in: 3) { sketch.switches[name]?.subnet = subnet }
        }
    }

    private func editNICs(_ sketch: inout Sketch, _ dice: inout Dice) {
        let name = dice.pick(sketch.nics.keys.sorted()) ?? ""
        switch self {
        case .addNIC:
            guard let name = dice.pick(Names.machines.filter { sketch.nics[$0] == nil }),
                let place = dice.pick(sketch.switches.keys.sorted())
            else { return }
            let number = (Names.machines.firstIndex(of: name) ?? 0) + 1
            sketch.nics[name] = dice.nic(on: place, number: number, sketch)
        case .dropNIC: sketch.nics[name] = nil
        case .moveNIC: sketch.nics[name]?.switchName = dice.pick(sketch.switches.keys.sorted()) ?? ""
        case .renumberNIC: sketch.nics[name]?.number = Int.random(in: 1...40, using: &dice)
        case .swapNICs:
            // Each takes the other's address.
            guard let other = dice.pick(sketch.nics.keys.sorted()), let number = sketch.nics[other]?.number,
                let own = sketch.nics[name]?.number
            else { return }
            sketch.nics[other]?.number = own
            sketch.nics[name]?.number = number
        case .regroupNIC: sketch.nics[name]?.groups = dice.some(of: sketch.groups.keys.sorted(), 0...3)
        default:
            guard let nic = sketch.nics[name] else { return }
            var changed = dice.nic(on: nic.switchName, number: nic.number, sketch)
            changed.groups = nic.groups
            sketch.nics[name] = changed
        }
    }

    private func editGroups(_ sketch: inout Sketch, _ dice: inout Dice) {
        let name = dice.pick(sketch.groups.keys.sorted()) ?? ""
        let rules = dice.isOne(in: 2) ? \Sketch.Group.ingress : \Sketch.Group.egress
        switch self {
        case .addGroup:
            guard let name = dice.pick(Names.groups.filter { sketch.groups[$0] == nil }) else { return }
            sketch.groups[name] = dice.group(sketch)
        case .dropGroup: sketch.groups[name] = nil
        case .addRule:
            let rule = dice.rule(sketch)
            sketch.groups[name]?[keyPath: rules].append(rule)
        case .dropRule:
            let count = sketch.groups[name]?[keyPath: rules].count ?? 0
            if count > 0 {
                sketch.groups[name]?[keyPath: rules].remove(at: Int.random(in: 0..<count, using: &dice))
            }
        default:
            guard sketch.groups[name] != nil else { return }
            sketch.groups[name] = dice.group(sketch)
        }
    }

    private func editSets(_ sketch: inout Sketch, _ dice: inout Dice) {
        let name = dice.pick(sketch.sets.keys.sorted()) ?? ""
        switch self {
        case .addSet:
            guard let name = dice.pick(Names.sets.filter { sketch.sets[$0] == nil }) else { return }
            sketch.sets[name] = dice.networks(sketch)
        case .dropSet: sketch.sets[name] = nil
        default: if sketch.sets[name] != nil { sketch.sets[name] = dice.networks(sketch) }
        }
    }

    private func editRouters(_ sketch: inout Sketch, _ dice: inout Dice) {
        let name = dice.pick(sketch.routers.keys.sorted()) ?? ""
        switch self {
        case .addRouter:
            guard let name = dice.pick(Names.routers.filter { sketch.routers[$0] == nil }) else { return }
            sketch.routers[name] = dice.router(sketch)
        case .dropRouter: sketch.routers[name] = nil
        default:
            let interfaces = dice.router(sketch).interfaces
            sketch.routers[name]?.interfaces = interfaces
        }
    }

    private func editNAT(_ sketch: inout Sketch, _ dice: inout Dice) {
        guard let name = dice.pick(sketch.routers.keys.sorted()), let router = sketch.routers[name] else { return }
        switch self {
        case .addTranslation:
            if let new = dice.translation(router, sketch) { sketch.routers[name]?.translations.append(new) }
        case .addForward:
            if let new = dice.forward(router, sketch) { sketch.routers[name]?.forwards.append(new) }
        case .dropTranslations: sketch.routers[name]?.translations.removeAll()
        default:
            if !router.forwards.isEmpty {
                let index = Int.random(in: 0..<router.forwards.count, using: &dice)
                sketch.routers[name]?.forwards.remove(at: index)
            }
        }
    }
}

/// What things may be called.
enum Names {
    static let switches = ["blue", "green", "red"]
    static let groups = ["admin", "client", "closed", "db", "web"]
    static let sets = ["lab", "office", "outside"]
    static let routers = ["gw", "up"]
    /// Machines in namespaces, which ask and answer.
    static let guests = ["a", "b", "c", "d", "e", "f"]
    /// And two with taps, whose addresses count in groups.
    static let machines = guests + ["t", "u"]
}
