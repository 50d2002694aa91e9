/// What an initiator can set by MODE SELECT.
struct ModeSettings: Equatable {
    /// The SWP bit: software write protect.
    var writeProtect = false
    /// The D_SENSE bit: sense data in descriptor format.
    var descriptorSense = false
}

/// The mode pages of a unit (SPC-4 section 7.5, SBC-3 section 6.5): each with its current values and the mask of what
/// can be changed.
enum ModePage: UInt8, CaseIterable {
    case errorRecovery = 0x01
    case caching = 0x08
    case control = 0x0a
    case informationalExceptions = 0x1c

    /// The whole page with its two bytes of header. PS is 0: nothing can be saved.
    func bytes(_ settings: ModeSettings) -> [UInt8] {
        var page: [UInt8]
        switch self {
        case .errorRecovery:
            page = Self.empty(rawValue, length: 0x0a)
        case .caching:
            page = Self.empty(rawValue, length: 0x12)
            // WCE: written data may stay in the cache until SYNCHRONIZE CACHE or FUA.
            page[2] = 0x04
        case .control:
            page = Self.empty(rawValue, length: 0x0a)
            // GLTSD; QUEUE ALGORITHM MODIFIER 1: simple tasks in any order.
            page[2] = 0x02 | (settings.descriptorSense ? 0x04 : 0)
            page[3] = 0x10
            page[4] = settings.writeProtect ? 0x08 : 0
            // TAS: a command that another nexus has aborted ends with TASK ABORTED, not in silence.
            page[5] = 0x40
            // BUSY TIMEOUT PERIOD: unlimited.
            page[8] = 0xff
            page[9] = 0xff
        case .informationalExceptions:
            page = Self.empty(rawValue, length: 0x0a)
            // DEXCPT: nothing is reported this way.
            page[2] = 0x08
        }
        return page
    }

    /// A one for each bit that MODE SELECT may change.
    var changeable: [UInt8] {
        switch self {
        case .errorRecovery, .informationalExceptions: return Self.empty(rawValue, length: 0x0a)
        case .caching: return Self.empty(rawValue, length: 0x12)
        case .control:
            var mask = Self.empty(rawValue, length: 0x0a)
            mask[2] = 0x04
            mask[4] = 0x08
            return mask
        }
    }

    private static func empty(_ code: UInt8, length: UInt8) -> [UInt8] {
        [code, length] + [UInt8](repeating: 0, count: Int(length))
    }
}

/// MODE SENSE data (SPC-4 sections 6.13 and 7.5.5).
enum ModeSense {
    static func append(
        _ request: ModeSenseRequest, _ settings: ModeSettings, _ profile: LogicalUnitProfile, to answer: inout [UInt8]
    ) throws(Sense) {
        let pages: [ModePage]
        switch (request.page, request.subpage) {
        case (0x3f, 0x00), (0x3f, 0xff): pages = ModePage.allCases
        case (let code, 0x00), (let code, 0xff):
            guard let page = ModePage(rawValue: code) else { throw .invalidCommandField(byte: 2, bit: 5) }
            pages = [page]
        default: throw .invalidCommandField(byte: 3)
        }
        let descriptor = request.omitBlocks ? [] : blockDescriptor(request, profile.geometry)
        // WP and DPOFUA.
        let protected = profile.readOnly || settings.writeProtect
        let parameter: UInt8 = request.control == .changeable ? 0 : (protected ? 0x80 : 0) | 0x10
        if request.longForm {
            answer += [0, 0, 0, parameter, request.longBlocks ? 0x01 : 0, 0]
            answer.append(uint16: UInt16(descriptor.count))
        } else {
            answer += [0, 0, parameter, UInt8(descriptor.count)]
        }
        answer += descriptor
        for page in pages {
            switch request.control {
            case .current: answer += page.bytes(settings)
            case .changeable: answer += page.changeable
            case .defaults, .saved: answer += page.bytes(ModeSettings())
            }
        }
        // The length counts what follows it; all pages together stay below 256 bytes.
        if request.longForm {
            answer.patch(uint16: answer.count - 2, at: 0)
        } else {
            answer[0] = UInt8(truncatingIfNeeded: answer.count - 1)
        }
    }

    private static func blockDescriptor(_ request: ModeSenseRequest, _ geometry: LogicalUnitGeometry) -> [UInt8] {
        var bytes: [UInt8] = []
        if request.longBlocks {
            bytes.append(uint64: geometry.blockCount)
            bytes.append(zeros: 4)
            bytes.append(uint32: geometry.blockBytes)
        } else {
            bytes.append(uint32: UInt32(clamping: geometry.blockCount))
            // The top byte is reserved; the block size has three bytes.
            bytes.append(uint32: geometry.blockBytes & 0xff_ffff)
        }
        return bytes
    }
}

/// MODE SELECT: reads a parameter list and says what the settings become (SPC-4 section 6.11).
enum ModeSelect {
    static func parse(
        _ request: ModeSelectRequest, _ bytes: UnsafeRawBufferPointer, _ settings: ModeSettings,
        _ geometry: LogicalUnitGeometry
    ) throws(Sense) -> ModeSettings {
        guard bytes.count > 0 else { return settings }
        let reader = ByteReader(bytes)
        let header = request.longForm ? 8 : 4
        guard bytes.count >= header else { throw .parameterListLength }
        let long = request.longForm && reader.uint8(4) & 0x01 != 0
        let described = request.longForm ? Int(reader.uint16(6)) : Int(reader.uint8(3))
        guard described == 0 || described == (long ? 16 : 8) else {
            throw .invalidParameterField(byte: request.longForm ? 6 : 3)
        }
        guard bytes.count >= header + described else { throw .parameterListLength }
        if described > 0 {
            let size = long ? reader.uint32(header + 12) : reader.uint24(header + 5)
            guard size == geometry.blockBytes else { throw .invalidParameterField(byte: UInt16(header + 5)) }
        }
        var result = settings
        var offset = header + described
        while offset < bytes.count {
            offset = try parsePage(reader, at: offset, settings, &result)
        }
        return result
    }

    /// One page: it must be what it is now, but for the bits that can be changed. Gives the offset of the next.
    private static func parsePage(
        _ reader: ByteReader, at offset: Int, _ settings: ModeSettings, _ result: inout ModeSettings
    ) throws(Sense) -> Int {
        let place = UInt16(truncatingIfNeeded: offset)
        // Bit 6 would announce a subpage, bit 7 is reserved here.
        guard reader.has(2, at: offset) else { throw .parameterListLength }
        guard let page = ModePage(rawValue: reader.uint8(offset)) else { throw .invalidParameterField(byte: place) }
        let current = page.bytes(settings)
        guard reader.uint8(offset + 1) == current[1] else { throw .invalidParameterField(byte: place + 1) }
        guard reader.has(current.count, at: offset) else { throw .parameterListLength }
        let mask = page.changeable
        for index in 2..<current.count {
            guard (reader.uint8(offset + index) ^ current[index]) & ~mask[index] == 0 else {
                throw .invalidParameterField(byte: place &+ UInt16(index))
            }
        }
        if page == .control {
            result.descriptorSense = reader.uint8(offset + 2) & 0x04 != 0
            result.writeProtect = reader.uint8(offset + 4) & 0x08 != 0
        }
        return offset + current.count
    }
}
