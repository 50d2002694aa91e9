/// The list of what is implemented: REPORT SUPPORTED OPERATION CODES answers from it, and a test holds it against
/// `Command.decode` in both directions, so that nothing is claimed that is not there, nor the other way round.
struct SupportedOpcode: Equatable {
    /// When a unit has the command at all.
    enum Condition {
        case always
        case thin
        case removable
    }

    let opcode: UInt8
    let serviceAction: UInt16?
    /// The usage map: the opcode, then for each byte of the command block the bits that are looked at.
    let usage: [UInt8]
    let condition: Condition

    init(_ opcode: UInt8, action: UInt16? = nil, _ condition: Condition = .always, usage: [UInt8]) {
        self.opcode = opcode
        serviceAction = action
        self.usage = [opcode] + usage
        self.condition = condition
    }

    func applies(to profile: LogicalUnitProfile) -> Bool {
        switch condition {
        case .always: true
        case .thin: profile.provisioning == .thin
        case .removable: profile.removable
        }
    }

    // Bytes 2 to the end of the four shapes of block commands: LBA, (group,) length, control.
    private static let ten: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0x04]
    private static let twelve: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04]
    private static let sixteen: [UInt8] = [UInt8](repeating: 0xff, count: 12) + [0x00, 0x04]
    private static let lba64 = [UInt8](repeating: 0xff, count: 8)
    private static let unused64 = [UInt8](repeating: 0x00, count: 8)
    private static let reserveOutTail: [UInt8] = [0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x04]

    /// A service action stands in the usage map with its own value.
    static let all: [SupportedOpcode] = blockCommands + controlCommands + reservationCommands

    private static let blockCommands: [SupportedOpcode] = [
        SupportedOpcode(0x08, usage: [0x1f, 0xff, 0xff, 0xff, 0x04]),
        SupportedOpcode(0x0a, usage: [0x1f, 0xff, 0xff, 0xff, 0x04]),
        SupportedOpcode(0x28, usage: [0x18] + ten),
        SupportedOpcode(0x2a, usage: [0x18] + ten),
        SupportedOpcode(0x2e, usage: [0x16] + ten),
        SupportedOpcode(0x2f, usage: [0x16] + ten),
        SupportedOpcode(0x34, usage: [0x02] + ten),
        SupportedOpcode(0x35, usage: [0x02] + ten),
        SupportedOpcode(0x41, usage: [0x08] + ten),
        SupportedOpcode(0x42, .thin, usage: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x04]),
        SupportedOpcode(0x88, usage: [0x18] + sixteen),
        SupportedOpcode(0x89, usage: [0x18] + lba64 + [0x00, 0x00, 0x00, 0xff, 0x00, 0x04]),
        SupportedOpcode(0x8a, usage: [0x18] + sixteen),
        SupportedOpcode(0x8b, usage: [0x18] + sixteen),
        SupportedOpcode(0x8e, usage: [0x16] + sixteen),
        SupportedOpcode(0x8f, usage: [0x16] + sixteen),
        SupportedOpcode(0x90, usage: [0x02] + sixteen),
        SupportedOpcode(0x91, usage: [0x02] + sixteen),
        SupportedOpcode(0x93, usage: [0x09] + sixteen),
        SupportedOpcode(0xa8, usage: [0x18] + twelve),
        SupportedOpcode(0xaa, usage: [0x18] + twelve),
        SupportedOpcode(0xae, usage: [0x16] + twelve),
        SupportedOpcode(0xaf, usage: [0x16] + twelve),
    ]

    private static let controlCommands: [SupportedOpcode] = [
        SupportedOpcode(0x00, usage: [0x00, 0x00, 0x00, 0x00, 0x04]),
        SupportedOpcode(0x03, usage: [0x01, 0x00, 0x00, 0xff, 0x04]),
        SupportedOpcode(0x12, usage: [0x01, 0xff, 0xff, 0xff, 0x04]),
        SupportedOpcode(0x15, usage: [0x10, 0x00, 0x00, 0xff, 0x04]),
        SupportedOpcode(0x1a, usage: [0x08, 0xff, 0xff, 0xff, 0x04]),
        SupportedOpcode(0x1b, usage: [0x00, 0x00, 0x00, 0xf7, 0x04]),
        SupportedOpcode(0x1e, .removable, usage: [0x00, 0x00, 0x00, 0x03, 0x04]),
        SupportedOpcode(0x25, usage: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04]),
        SupportedOpcode(0x55, usage: [0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x04]),
        SupportedOpcode(0x5a, usage: [0x18, 0xff, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff, 0x04]),
        SupportedOpcode(0x9e, action: 0x10, usage: [0x10] + unused64 + [0xff, 0xff, 0xff, 0xff, 0, 0x04]),
        SupportedOpcode(0x9e, action: 0x12, usage: [0x12] + sixteen),
        SupportedOpcode(0xa0, usage: [0x00, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04]),
        SupportedOpcode(0xa3, action: 0x0a, usage: [0xea, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04]),
        SupportedOpcode(0xa3, action: 0x0c, usage: [0x0c, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04]),
        SupportedOpcode(0xa3, action: 0x0d, usage: [0x0d, 0x80, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04]),
    ]

    private static let reservationCommands: [SupportedOpcode] =
        [
            SupportedOpcode(0x16, usage: [0x00, 0x00, 0x00, 0x00, 0x04]),
            SupportedOpcode(0x17, usage: [0x00, 0x00, 0x00, 0x00, 0x04]),
            SupportedOpcode(0x56, usage: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04]),
            SupportedOpcode(0x57, usage: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04]),
        ]
        + PersistentReserveInAction.allCases.map { action in
            SupportedOpcode(
                0x5e, action: UInt16(action.rawValue), usage: [action.rawValue, 0, 0, 0, 0, 0, 0xff, 0xff, 0x04])
        }
        + PersistentReserveOutAction.allCases.map { action in
            SupportedOpcode(0x5f, action: UInt16(action.rawValue), usage: [action.rawValue, 0xff] + reserveOutTail)
        }

    /// Writes the answer to REPORT SUPPORTED OPERATION CODES (SPC-4 section 6.35).
    static func report(
        _ request: SupportedOpcodesRequest, _ profile: LogicalUnitProfile, into answer: inout [UInt8]
    ) throws(Sense) {
        let known = all.filter { $0.applies(to: profile) }
        let opcode: UInt8
        var action: UInt16?
        switch request.subject {
        case .all:
            answer.append(zeros: 4)
            for entry in known.sorted(by: { ($0.opcode, $0.serviceAction ?? 0) < ($1.opcode, $1.serviceAction ?? 0) }) {
                entry.appendDescriptor(timeouts: request.timeouts, &answer)
            }
            answer.patch(uint32: answer.count - 4, at: 0)
            return
        case .opcode(let value):
            opcode = value
            // A command with service actions cannot be asked for by its opcode alone.
            guard !known.contains(where: { $0.opcode == value && $0.serviceAction != nil }) else {
                throw .invalidCommandField(byte: 2, bit: 2)
            }
        case .serviceAction(let value, let wanted):
            opcode = value
            action = wanted
            guard !known.contains(where: { $0.opcode == value && $0.serviceAction == nil }) else {
                throw .invalidCommandField(byte: 2, bit: 2)
            }
        case .either(let value, let wanted):
            opcode = value
            action = known.contains { $0.opcode == value && $0.serviceAction == nil } ? nil : wanted
            // A command without service actions is meant only with service action zero.
            if action == nil, wanted != 0 { return appendOne(nil, request.timeouts, &answer) }
        }
        appendOne(known.first { $0.opcode == opcode && $0.serviceAction == action }, request.timeouts, &answer)
    }

    /// The one_command format: support, length, usage map.
    private static func appendOne(_ entry: SupportedOpcode?, _ timeouts: Bool, _ answer: inout [UInt8]) {
        guard let entry else {
            // SUPPORT 001b: not supported.
            answer += [0x00, 0x01, 0x00, 0x00]
            return
        }
        // SUPPORT 011b: as the standard has it.
        answer += [0x00, (timeouts ? 0x80 : 0) | 0x03]
        answer.append(uint16: UInt16(entry.usage.count))
        answer += entry.usage
        if timeouts { appendTimeouts(&answer) }
    }

    private func appendDescriptor(timeouts: Bool, _ answer: inout [UInt8]) {
        answer += [opcode, 0]
        answer.append(uint16: serviceAction ?? 0)
        answer += [0, (timeouts ? 0x02 : 0) | (serviceAction == nil ? 0 : 0x01)]
        answer.append(uint16: UInt16(usage.count))
        if timeouts { Self.appendTimeouts(&answer) }
    }

    /// A command timeouts descriptor that names none: length 10, zeros (SPC-4 section 6.35.4).
    private static func appendTimeouts(_ answer: inout [UInt8]) {
        answer.append(uint16: 10)
        answer.append(zeros: 10)
    }

    /// Writes the answer to REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 section 6.36).
    static func reportTaskManagement(extended: Bool, into answer: inout [UInt8]) {
        // ATS, ATSS, CTSS, LURS, TRS; no clear ACA, no query functions.
        answer += [0b1101_1010, 0, 0, 0]
        guard extended else { return }
        answer[3] = 12
        answer.append(zeros: 12)
    }
}
