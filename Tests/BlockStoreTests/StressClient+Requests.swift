import ISCSI

/// What a stress client asks for, and how it takes the answers.
extension StressClient {
    /// Sends new requests, as far as the window and its own depth allow.
    func submit() {
        for _ in 0..<3 {
            guard outstanding.count < depth else { return }
            if world.chance(10) { control() }
            guard Int32(bitPattern: maxCmdSN &- cmdSN) >= 0 else {
                world.count("window closed")
                return
            }
            guard world.chance(600) else { return }
            command()
        }
    }

    private func command() {
        let lun = UInt8.random(in: 0..<UInt8(world.models.count), using: &world.dice)
        let blocks = world.models[Int(lun)].blockCount
        let most = [1, 8, 16, 128, 512, 4096].randomElement(using: &world.dice) ?? 1
        var length = min(Int.random(in: 1...most, using: &world.dice), blocks)
        let first = Int.random(in: 0...blocks - length, using: &world.dice)
        let choice = Int.random(in: 0..<100, using: &world.dice)
        if choice >= 92, choice < 95 { length = 1 }
        let range = first..<first + length
        switch choice {
        case 0..<40: send(.read, lun, range)
        case 40..<78: send(.write(version: world.models[Int(lun)].newVersion()), lun, range)
        case 78..<86: send(.erase, lun, range)
        case 86..<90: send(.flush, lun, 0..<0)
        case 90..<92: send(.verify, lun, range)
        case 92..<95:
            guard world.models[Int(lun)].settled(first) != nil else { return }
            send(.exchange(version: world.models[Int(lun)].newVersion()), lun, range)
        default: send(.status, lun, 0..<0)
        }
    }

    private func send(_ kind: StressCommand.Kind, _ lun: UInt8, _ range: Range<Int>) {
        guard let wire else { return }
        let tag = newTag()
        var command = StressCommand(kind: kind, lun: lun, range: range, since: workTime, order: tag)
        let isChanging = command.version != nil
        if command.isClaiming, !world.models[Int(lun)].claim(range, writing: isChanging) { return }
        world.count("\(kind)".prefix { $0 != "(" } + "s")
        var header = RequestHeader(0x01, tag: tag)
        header.put(lun: lun)
        header.put(cmdSN, at: 24)
        header.put(statSN, at: 28)
        cmdSN &+= 1
        let lba = UInt32(range.lowerBound)
        let count = UInt16(range.count)
        var isReading = false
        switch kind {
        case .read:
            header.put(block: 0x28, lba: lba, count: count)
            isReading = true
        case .write(let version):
            header.put(block: 0x2a, lba: lba, count: count)
            command.data = world.models[Int(lun)].bytes(range, version)
        case .exchange(let version):
            header.put(block: 0, lba: 0, count: 0)
            header.bytes[32] = 0x89
            header.put(lba, at: 38)
            header.bytes[45] = 1
            let old = world.models[Int(lun)].settled(range.lowerBound) ?? 0
            command.data = world.models[Int(lun)].bytes(range, old) + world.models[Int(lun)].bytes(range, version)
        case .erase:
            if Bool.random(using: &world.dice) {
                header.put(block: 0x41, lba: lba, count: count)
                command.data = [UInt8](repeating: 0, count: 512)
            } else {
                header.bytes[32] = 0x42
                header.bytes[40] = 24
                command.data = [0, 22, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0]
                for value in [lba, UInt32(count), 0] {
                    for shift in [UInt32(24), 16, 8, 0] { command.data.append(UInt8(value >> shift & 0xff)) }
                }
            }
        case .flush: header.put(block: 0x35, lba: 0, count: 0)
        case .verify: header.put(block: 0x2f, lba: lba, count: count)
        case .status, .ping, .abort, .clear: break
        }
        header.put(UInt32(isReading ? range.count * 512 : command.data.count), at: 20)
        let isWriting = !command.data.isEmpty
        var immediate = 0
        var unsolicited = 0
        if isWriting {
            let burst = min(options.firstBurst, command.data.count)
            if options.immediateData {
                immediate = Int.random(in: 0...min(burst, options.sendSegment), using: &world.dice)
            }
            if !options.initialR2T { unsolicited = burst }
        }
        let isFinal = unsolicited <= immediate
        header.bytes[1] = (isFinal ? 0x80 : 0) | (isReading ? 0x40 : 0) | (isWriting ? 0x20 : 0) | 0x01
        wire.append(header.bytes, data: command.data[..<immediate])
        if !isFinal {
            bursts.append(StressBurst(tag: tag, transferTag: .max, offset: immediate, end: unsolicited))
        }
        outstanding[tag] = command
    }

    /// Pings, aborts and resets: all immediate, so that a closed window does not keep them.
    private func control() {
        guard let wire else { return }
        let tag = newTag()
        let victim = outstanding.filter { $0.value.isClaiming || $0.value.kind == .flush }.keys.min()
        let choice = Int.random(in: 0..<20, using: &world.dice)
        // Few immediate requests may be under way at a time.
        guard outstanding.values.count(where: \.isImmediate) < 12 else { return }
        var command: StressCommand
        var header: RequestHeader
        if choice < 8 {
            command = StressCommand(kind: .ping, lun: 0, range: 0..<0, since: workTime, order: tag)
            let length = Int.random(in: 0..<100, using: &world.dice)
            command.data = (0..<length).map { UInt8($0) }
            header = RequestHeader(0x40, tag: tag)
            header.put(.max, at: 20)
        } else if choice < 17, let victim, let aborted = outstanding[victim] {
            command = StressCommand(
                kind: .abort(tag: victim), lun: aborted.lun, range: 0..<0, since: workTime, order: tag)
            header = RequestHeader(0x42, flags: 0x81, tag: tag)
            header.put(victim, at: 20)
        } else {
            guard world.chance(300) else { return }
            let lun = UInt8.random(in: 0..<UInt8(world.models.count), using: &world.dice)
            let everyone = Bool.random(using: &world.dice)
            command = StressCommand(
                kind: .clear(everyone: everyone), lun: lun, range: 0..<0, since: workTime, order: tag)
            header = RequestHeader(0x42, flags: everyone ? 0x85 : 0x82, tag: tag)
            header.put(.max, at: 20)
        }
        world.count("\(command.kind)".prefix { $0 != "(" } + "s")
        command.isImmediate = true
        header.bytes[0] |= 0x40
        header.put(lun: command.lun)
        header.put(cmdSN, at: 24)
        header.put(statSN, at: 28)
        wire.append(header.bytes, data: command.data[...])
        outstanding[tag] = command
    }

    // MARK: Answers

    /// Takes one PDU of the target.
    func take(_ pdu: StressWire.PDU) throws(WireFault) {
        do throws(WireFault) {
            try judge(pdu)
        } catch {
            throw WireFault("client \(number): \(error) [\(options)]")
        }
    }

    private func judge(_ pdu: StressWire.PDU) throws(WireFault) {
        let most = pdu.number(32)
        guard Int32(bitPattern: most &- maxCmdSN) >= 0 else { throw WireFault("MaxCmdSN goes back to \(most)") }
        maxCmdSN = most
        guard Int32(bitPattern: pdu.number(28) &- cmdSN) <= 0 else {
            throw WireFault("ExpCmdSN \(pdu.number(28)) after CmdSN \(cmdSN)")
        }
        switch pdu.opcode {
        case 0x20 where pdu.tag == .max: return world.count("window news")
        case 0x31: return try request(pdu)
        case 0x25: try data(pdu)
        case 0x20, 0x21, 0x22: try countStatus(pdu)
        default: throw WireFault("an answer with opcode \(pdu.opcode): \(pdu.header)")
        }
        guard pdu.opcode != 0x25 || pdu.flags & 1 != 0 else { return }
        guard let command = outstanding.removeValue(forKey: pdu.tag) else {
            throw WireFault("an answer to nothing: \(pdu.header)")
        }
        switch (pdu.opcode, command.kind) {
        case (0x20, .ping):
            guard Array(pdu.data) == command.data else { throw WireFault("another ping's data") }
        case (0x22, .abort(let tag)): try aborted(tag, pdu.header[2])
        case (0x22, .clear):
            guard pdu.header[2] == 0 else { throw WireFault("a reset ends with \(pdu.header[2])") }
            // What was sent after the reset is none of its business.
            for (tag, ended) in outstanding
            where ended.lun == command.lun && ended.isScsi && ended.order < command.order {
                outstanding[tag] = nil
                settle(ended, mayHaveHappened: true)
            }
        case (0x21, _), (0x25, _): try answered(command, pdu)
        default: throw WireFault("opcode \(pdu.opcode) answers \(command.kind)")
        }
    }

    private func countStatus(_ pdu: StressWire.PDU) throws(WireFault) {
        guard pdu.number(24) == statSN else { throw WireFault("StatSN \(pdu.number(24)), not \(statSN)") }
        statSN &+= 1
    }

    private func data(_ pdu: StressWire.PDU) throws(WireFault) {
        guard var command = outstanding[pdu.tag], command.kind == .read else {
            throw WireFault("data for nothing: \(pdu.header)")
        }
        guard pdu.number(36) == command.count, Int(pdu.number(40)) == command.received else {
            throw WireFault("Data-In \(pdu.number(36)) at \(pdu.number(40)), not \(command.count), \(command.received)")
        }
        let total = command.range.count * 512
        let inBurst = command.received % options.maxBurst
        guard !pdu.data.isEmpty, pdu.data.count <= options.receiveSegment, pdu.data.count <= total - command.received,
            inBurst + pdu.data.count <= options.maxBurst, pdu.data.count % 512 == 0
        else { throw WireFault("Data-In of \(pdu.data.count) bytes") }
        try world.models[Int(command.lun)].check(pdu.data, from: command.range.lowerBound + command.received / 512)
        command.received += pdu.data.count
        command.count += 1
        let isEnd = command.received == total || inBurst + pdu.data.count == options.maxBurst
        guard (pdu.flags & 0x80 != 0) == isEnd else { throw WireFault("Data-In with flags \(pdu.flags)") }
        outstanding[pdu.tag] = command
        if pdu.flags & 1 != 0 { try countStatus(pdu) }
    }

    private func request(_ pdu: StressWire.PDU) throws(WireFault) {
        guard let command = outstanding[pdu.tag], !command.data.isEmpty else {
            throw WireFault("an R2T for nothing: \(pdu.header)")
        }
        let offset = Int(pdu.number(40))
        let length = Int(pdu.number(44))
        guard pdu.number(36) == command.count, length > 0, length <= options.maxBurst,
            offset + length <= command.data.count, command.openR2Ts < options.r2ts
        else { throw WireFault("an R2T out of bounds: \(pdu.header) for \(command.data.count) bytes") }
        outstanding[pdu.tag]?.count += 1
        outstanding[pdu.tag]?.openR2Ts += 1
        bursts.append(
            StressBurst(tag: pdu.tag, transferTag: pdu.number(20), offset: offset, end: offset + length))
    }

    /// ABORT TASK was answered: with "complete" nothing more comes of the task; "does not exist" is true only of one
    /// that was answered before.
    private func aborted(_ tag: UInt32, _ outcome: UInt8) throws(WireFault) {
        switch outcome {
        case 0:
            guard let command = outstanding.removeValue(forKey: tag) else { return }
            world.count("aborted")
            settle(command, mayHaveHappened: true)
        case 1:
            guard let command = outstanding[tag] else { return }
            // A reset that is still at work on others may have ended this one.
            let isCleared = outstanding.values.contains { other in
                guard case .clear = other.kind else { return false }
                return other.lun == command.lun && other.order > command.order
            }
            guard isCleared else { throw WireFault("task \(tag) does not exist, and was not answered") }
            outstanding[tag] = nil
            settle(command, mayHaveHappened: true)
        default: throw WireFault("an abort ends with \(outcome)")
        }
    }

    private func answered(_ command: StressCommand, _ pdu: StressWire.PDU) throws(WireFault) {
        let status = pdu.header[3]
        switch status {
        case 0:
            guard pdu.flags & 0x06 == 0 else { throw WireFault("a residual of \(command.kind): \(pdu.header)") }
            guard command.kind != .read || command.received == command.range.count * 512 else {
                throw WireFault("good status after \(command.received) bytes of \(command.range.count) blocks")
            }
            settle(command, mayHaveHappened: true, hasHappened: true)
        case 2:
            // Only unit attentions: these tell of resets.
            guard pdu.data.count > 15, pdu.data[pdu.data.startIndex + 4] & 0xf == 6 else {
                throw WireFault("\(command) fails: \(Array(pdu.data))")
            }
            world.count("attentions")
            settle(command, mayHaveHappened: false)
        case 0x08, 0x28, 0x40:
            world.count("status \(status)")
            settle(command, mayHaveHappened: true)
        default: throw WireFault("\(command.kind) ends with status \(status)")
        }
    }
}

extension StressCommand {
    /// A SCSI command, which a reset ends.
    var isScsi: Bool {
        switch kind {
        case .ping, .abort, .clear: false
        case .read, .write, .exchange, .erase, .flush, .verify, .status: true
        }
    }
}
