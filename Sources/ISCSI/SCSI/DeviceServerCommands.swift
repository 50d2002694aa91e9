extension DeviceServer {
    /// Carries out what needs no blocks; hands on what does.
    mutating func perform(_ command: Command, _ nexus: Int, _ answer: inout [UInt8]) throws(Sense) -> Dispatch {
        switch command {
        case .read, .write, .verify, .writeAndVerify, .compareAndWrite, .orWrite, .writeSame, .unmap,
            .synchronizeCache, .preFetch, .getLBAStatus:
            return .store(command)
        case .modeSelect, .persistentReserveOut:
            return .parameters(command)
        case .reportLUNs(let select, let allocation):
            // Whoever reads the list knows what the attention would have told (SPC-4 section 6.33).
            nexuses[nexus]?.attentions.withdraw(.reportedLUNsChanged)
            return .reportLUNs(select: select, allocation: allocation)
        case .testUnitReady: break
        case .startStopUnit(let request): return try startStop(request)
        case .preventAllow(let prevent): nexuses[nexus]?.preventsRemoval = prevent
        case .reserve: reservedBy = nexus
        case .release: if reservedBy == nexus { reservedBy = nil }
        case .requestSense, .inquiry, .readCapacity10, .readCapacity16, .modeSense, .persistentReserveIn,
            .reportSupportedOpcodes, .reportSupportedTaskManagement, .reportTargetPortGroups:
            try report(command, nexus, &answer)
        }
        return .good
    }

    /// The commands whose answer is data.
    private mutating func report(_ command: Command, _ nexus: Int, _ answer: inout [UInt8]) throws(Sense) {
        let limit: UInt32
        switch command {
        case .requestSense(let descriptorFormat, let allocation):
            limit = allocation
            let pending = nexuses[nexus]?.attentions.take().map { Sense.unitAttention($0.code) }
            let sense = pending ?? Sense(.noSense, .noAdditionalSense)
            answer += sense.bytes(descriptorFormat: descriptorFormat)
        case .inquiry(let page, let allocation):
            limit = allocation
            try inquire(page, &answer)
        case .readCapacity10:
            limit = .max
            Capacity.append10(profile.geometry, to: &answer)
        case .readCapacity16(let allocation):
            limit = allocation
            Capacity.append16(profile, to: &answer)
        case .modeSense(let request):
            limit = request.allocation
            try ModeSense.append(request, settings, profile, to: &answer)
        case .persistentReserveIn(let action, let allocation):
            limit = allocation
            reservations.report(action, relativeTargetPort: profile.relativeTargetPort, into: &answer)
        case .reportSupportedOpcodes(let request):
            limit = request.allocation
            try SupportedOpcode.report(request, profile, into: &answer)
        case .reportSupportedTaskManagement(let extended, let allocation):
            limit = allocation
            SupportedOpcode.reportTaskManagement(extended: extended, into: &answer)
        case .reportTargetPortGroups(let extended, let allocation):
            limit = allocation
            TargetReports.portGroups(profile, extended: extended, into: &answer)
        default: throw .invalidOpcode
        }
        answer.truncate(limit)
    }

    private func inquire(_ page: UInt8?, _ answer: inout [UInt8]) throws(Sense) {
        guard let page else { return Inquiry.append(profile, to: &answer) }
        guard let known = VitalProductPage(rawValue: page) else { throw .invalidCommandField(byte: 2) }
        known.append(profile, to: &answer)
    }

    private mutating func startStop(_ request: StartStopRequest) throws(Sense) -> Dispatch {
        if request.loadEject {
            guard !nexuses.contains(where: { $0?.preventsRemoval == true }) else {
                throw Sense(.illegalRequest, .mediumRemovalPrevented)
            }
            mediumLoaded = request.start
        }
        // Stopping flushes what the cache holds, unless NO_FLUSH says otherwise.
        return request.start || !request.flush ? .good : .store(.synchronizeCache(immediate: false))
    }

    /// Ends a command that needed a parameter list.
    public mutating func finish(
        _ command: Command, parameters: UnsafeRawBufferPointer, nexus: Int
    ) -> Dispatch {
        guard nexuses.indices.contains(nexus), let port = nexuses[nexus]?.port else {
            return .failed(.unsupportedUnit)
        }
        switch command {
        case .modeSelect(let request): return select(request, parameters, nexus)
        case .persistentReserveOut(let request):
            do throws(ReservationRefusal) {
                let effect = try reservations.perform(request, parameters: parameters, from: port)
                return apply(effect, except: nexus)
            } catch {
                switch error {
                case .conflict: return .conflict
                case .sense(let sense): return .failed(sense)
                }
            }
        default:
            return .failed(.invalidOpcode)
        }
    }

    private mutating func select(
        _ request: ModeSelectRequest, _ parameters: UnsafeRawBufferPointer, _ nexus: Int
    ) -> Dispatch {
        do throws(Sense) {
            let changed = try ModeSelect.parse(request, parameters, settings, profile.geometry)
            if changed != settings {
                settings = changed
                raise(.modeParametersChanged, except: nexus)
            }
            return .good
        } catch {
            return .failed(error)
        }
    }

    private mutating func apply(_ effect: ReservationEffect, except nexus: Int) -> Dispatch {
        for index in nexuses.indices where index != nexus {
            for told in effect.attentions where told.port == nexuses[index]?.port {
                nexuses[index]?.attentions.raise(told.attention)
            }
        }
        let aborted = nexuses.indices.filter { index in
            index != nexus && nexuses[index].map { effect.aborted.contains($0.port) } == true
        }
        return aborted.isEmpty ? .good : .goodAborting(aborted)
    }
}
