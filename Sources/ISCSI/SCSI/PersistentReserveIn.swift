extension PersistentReservations {
    /// The whole answer to a PERSISTENT RESERVE IN; the caller cuts it at the allocation length, which changes no
    /// field.
    func report(_ action: PersistentReserveInAction, relativeTargetPort: UInt16, into answer: inout [UInt8]) {
        switch action {
        case .readKeys:
            answer.append(uint32: generation)
            answer.append(uint32: UInt32(registrants.count * 8))
            for registrant in registrants { answer.append(uint64: registrant.key) }
        case .readReservation:
            answer.append(uint32: generation)
            answer.append(uint32: reservation == nil ? 0 : 16)
            guard let reservation else { return }
            // A reservation that all registrants hold shows no key.
            answer.append(uint64: reservation.type.isHeldByAll ? 0 : key(of: reservation.holder) ?? 0)
            answer.append(zeros: 5)
            answer.append(reservation.type.rawValue)
            answer.append(zeros: 2)
        case .reportCapabilities:
            answer.append(uint16: 8)
            // No compatible RESERVE handling, no SPEC_I_PT, no ALL_TG_PT, no persistence through power loss.
            answer.append(0)
            // TMV: the type mask is valid.
            answer.append(0x80)
            answer.append(contentsOf: Self.typeMask)
            answer.append(zeros: 2)
        case .readFullStatus:
            answer.append(uint32: generation)
            answer.append(zeros: 4)
            for registrant in registrants { appendStatus(of: registrant, relativeTargetPort, &answer) }
            answer.patch(uint32: answer.count - 8, at: 4)
        }
    }

    /// Types 1, 3, 5, 6, 7 in the first byte, 8 in the second (SPC-4 table 214).
    private static let typeMask: [UInt8] = [0b1110_1010, 0b0000_0001]

    private func appendStatus(of registrant: Registrant, _ relativeTargetPort: UInt16, _ answer: inout [UInt8]) {
        let holder = holds(registrant.port)
        answer.append(uint64: registrant.key)
        answer.append(zeros: 4)
        answer.append(holder ? 0x01 : 0)
        answer.append(holder ? reservation?.type.rawValue ?? 0 : 0)
        answer.append(zeros: 4)
        answer.append(uint16: relativeTargetPort)
        let identity = Self.transportID(of: registrant.port)
        answer.append(uint32: UInt32(identity.count))
        answer.append(contentsOf: identity)
    }

    /// The iSCSI TransportID of an initiator port: format 01b, name and ISID, NUL-padded (SPC-4 section 7.6.4.6).
    private static func transportID(of port: InitiatorPort) -> [UInt8] {
        var name = Array(port.description.utf8) + [0]
        name.append(zeros: -name.count & 3)
        name.append(zeros: max(0, 20 - name.count))
        var bytes: [UInt8] = [0x45, 0]
        bytes.append(uint16: UInt16(truncatingIfNeeded: name.count))
        return bytes + name
    }
}
