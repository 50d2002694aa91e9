/// What a PERSISTENT RESERVE OUT changed for others.
struct ReservationEffect: Equatable {
    /// Ports that are to hear of it by a unit attention.
    var attentions: [(port: InitiatorPort, attention: UnitAttention)] = []
    /// Ports whose tasks are to be aborted.
    var aborted: [InitiatorPort] = []

    static func == (left: ReservationEffect, right: ReservationEffect) -> Bool {
        left.aborted == right.aborted && left.attentions.map(\.port) == right.attentions.map(\.port)
            && left.attentions.map(\.attention) == right.attentions.map(\.attention)
    }
}

/// Why an action is refused: RESERVATION CONFLICT, or sense.
enum ReservationRefusal: Error, Equatable {
    case conflict
    case sense(Sense)
}

extension PersistentReservations {
    /// Performs an action with its parameter list (SPC-4 section 6.16).
    mutating func perform(
        _ request: PersistentReserveOutRequest, parameters: UnsafeRawBufferPointer, from port: InitiatorPort
    ) throws(ReservationRefusal) -> ReservationEffect {
        guard request.parameterBytes == 24, parameters.count == 24 else { throw .sense(.parameterListLength) }
        let reader = ByteReader(parameters)
        let key = reader.uint64(0)
        let actionKey = reader.uint64(8)
        // SPEC_I_PT, ALL_TG_PT, APTPL: REPORT CAPABILITIES says that we have none of them.
        guard reader.uint8(20) & 0x0d == 0 else { throw .sense(.invalidParameterField(byte: 20)) }
        switch request.action {
        case .register: return try register(port, key, actionKey, ignoreKey: false)
        case .registerAndIgnore: return try register(port, key, actionKey, ignoreKey: true)
        case .reserve, .release, .clear, .preempt, .preemptAndAbort:
            guard self.key(of: port) == key else { throw .conflict }
        }
        switch (request.action, request.type) {
        case (.clear, _): return clear(port)
        case (.reserve, let type?): return try reserve(port, type)
        case (.release, let type?): return try release(port, type)
        case (.preempt, let type?): return try preempt(port, actionKey, type, abort: false)
        case (.preemptAndAbort, let type?): return try preempt(port, actionKey, type, abort: true)
        default: throw .sense(.invalidCommandField(byte: 2, bit: 3))
        }
    }

    private mutating func register(
        _ port: InitiatorPort, _ key: UInt64, _ newKey: UInt64, ignoreKey: Bool
    ) throws(ReservationRefusal) -> ReservationEffect {
        let index = registrants.firstIndex { $0.port == port }
        if !ignoreKey {
            guard key == index.map({ registrants[$0].key }) ?? 0 else { throw .conflict }
        }
        guard newKey != 0 else {
            guard let index else { return ReservationEffect() }
            generation &+= 1
            registrants.remove(at: index)
            return afterUnregistering(port)
        }
        if let index {
            registrants[index].key = newKey
        } else {
            guard registrants.count < Self.maxRegistrants else {
                throw .sense(Sense(.illegalRequest, .insufficientRegistrationResources))
            }
            registrants.append(Registrant(port: port, key: newKey))
        }
        generation &+= 1
        return ReservationEffect()
    }

    /// The holder has gone: its reservation goes too, except that one held by all stays until the last has gone.
    private mutating func afterUnregistering(_ port: InitiatorPort) -> ReservationEffect {
        guard let held = reservation else { return ReservationEffect() }
        let gone = held.type.isHeldByAll ? registrants.isEmpty : held.holder == port
        guard gone else { return ReservationEffect() }
        reservation = nil
        return released(held.type, by: port)
    }

    /// Registrants hear of the end of a reservation that gave them rights (SPC-4 section 5.13.11.2).
    private func released(_ type: PersistentReservationType, by port: InitiatorPort) -> ReservationEffect {
        guard type.admitsRegistrants else { return ReservationEffect() }
        return ReservationEffect(
            attentions: registrants.filter { $0.port != port }.map { ($0.port, .reservationsReleased) })
    }

    private mutating func reserve(
        _ port: InitiatorPort, _ type: PersistentReservationType
    ) throws(ReservationRefusal) -> ReservationEffect {
        if let held = reservation {
            guard holds(port), held.type == type else { throw .conflict }
            return ReservationEffect()
        }
        reservation = Reservation(holder: port, type: type)
        return ReservationEffect()
    }

    private mutating func release(
        _ port: InitiatorPort, _ type: PersistentReservationType
    ) throws(ReservationRefusal) -> ReservationEffect {
        guard let held = reservation, holds(port) else { return ReservationEffect() }
        guard held.type == type else {
            throw .sense(Sense(.illegalRequest, .invalidReleaseOfPersistentReservation))
        }
        reservation = nil
        return released(type, by: port)
    }

    private mutating func clear(_ port: InitiatorPort) -> ReservationEffect {
        let others = registrants.filter { $0.port != port }
        generation &+= 1
        registrants = []
        reservation = nil
        return ReservationEffect(attentions: others.map { ($0.port, .reservationsPreempted) })
    }

    private mutating func preempt(
        _ port: InitiatorPort, _ victimKey: UInt64, _ type: PersistentReservationType, abort: Bool
    ) throws(ReservationRefusal) -> ReservationEffect {
        let held = reservation
        // Key 0 names all other registrants, and only where the reservation is held by all (SPC-4 section 5.13.11.4).
        let all = victimKey == 0
        if all {
            guard let held, held.type.isHeldByAll else { throw .sense(.invalidParameterField(byte: 8)) }
        }
        let victims = registrants.filter { all ? $0.port != port : $0.key == victimKey }
        let takesOver =
            held.map { held in
                held.type.isHeldByAll ? all : key(of: held.holder) == victimKey
            } ?? false
        guard takesOver || !victims.isEmpty else { throw .conflict }
        generation &+= 1
        registrants.removeAll { registrant in
            registrant.port != port && victims.contains { $0.port == registrant.port }
        }
        var effect = ReservationEffect()
        let lost = victims.filter { $0.port != port }
        effect.attentions = lost.map { ($0.port, .registrationsPreempted) }
        if abort { effect.aborted = victims.map(\.port) }
        if takesOver, let held {
            reservation = Reservation(holder: port, type: type)
            // Who stays registered hears that the rules have changed.
            if held.type != type, held.type.admitsRegistrants {
                let stayed = registrants.filter { $0.port != port }
                effect.attentions += stayed.map { ($0.port, .reservationsReleased) }
            }
        } else if victims.contains(where: { $0.port == port }) {
            // A port may preempt its own key: it unregisters itself.
            registrants.removeAll { $0.port == port }
            let after = afterUnregistering(port)
            effect.attentions += after.attentions
        }
        return effect
    }
}
