internal import Glibc
internal import IOLoop
internal import ISCSI
internal import SystemPackage

/// The commands that look at what the disk holds (VERIFY, COMPARE AND WRITE, ORWRITE), and those that fill or give back
/// ranges (WRITE SAME, UNMAP, GET LBA STATUS).
extension Connection {
    /// Reads, into a second buffer, what stands where the first one's data belongs.
    func readSecond(_ slot: UInt16, _ offset: UInt64, _ unit: LogicalUnit, count: Int? = nil) {
        let task = tasks[slot]
        let length = count ?? Int(task.pointee.bufferEnd &- task.pointee.bufferBase)
        guard length > 0 else { return respond(slot) }
        guard let buffer = secondBuffer(task, length) else { return }
        submit(slot, .read, offset, length, buffer.start, unit)
    }

    /// A second buffer; without one the initiator is asked to try again.
    private func secondBuffer(_ task: UnsafeMutablePointer<ServedTask>, _ length: Int) -> Buffer? {
        if let buffer = task.pointee.second, buffer.capacity >= length { return buffer }
        if let small = task.pointee.second.take() { loop.buffers.give(small) }
        task.pointee.second = loop.buffers.take(length)
        if task.pointee.second == nil, let slot = tasks.slot(of: task) {
            task.pointee.status = .busy
            respond(slot)
        }
        return task.pointee.second
    }

    /// Compares what was sent with what the disk holds; answers with a miscompare if they differ.
    func checkEqual(_ slot: UInt16) -> Bool {
        let task = tasks[slot]
        let length = Int(task.pointee.bufferEnd &- task.pointee.bufferBase)
        guard let difference = firstDifference(task, length) else { return true }
        respond(slot, failing: .miscompare(offset: UInt64(task.pointee.bufferBase) + UInt64(difference)))
        return false
    }

    private func firstDifference(_ task: UnsafeMutablePointer<ServedTask>, _ length: Int) -> Int? {
        guard let sent = task.pointee.buffer?.start, let found = task.pointee.second?.start else { return 0 }
        guard memcmp(sent, found, length) != 0 else { return nil }
        let left = UnsafeRawBufferPointer(start: sent, count: length)
        let right = UnsafeRawBufferPointer(start: found, count: length)
        return zip(left, right).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    }

    /// VERIFY without data: everything is read once, piece by piece.
    func verifyChunk(_ slot: UInt16, _ range: BlockRange, _ unit: LogicalUnit) {
        let task = tasks[slot]
        let total = range.byteCount(unit.geometry)
        guard task.pointee.position < total else { return respond(slot) }
        let length = Int(min(total - task.pointee.position, 262_144))
        guard let buffer = secondBuffer(task, length) else { return }
        let offset = range.byteOffset(unit.geometry) + task.pointee.position
        task.pointee.position += UInt64(length)
        submit(slot, .read, offset, length, buffer.start, unit)
    }

    /// COMPARE AND WRITE: the disk has answered the read, or the write.
    func compared(_ slot: UInt16, _ range: BlockRange, _ durable: Bool, _ unit: LogicalUnit) {
        let task = tasks[slot]
        guard task.pointee.step == .first else { return respond(slot) }
        let length = Int(range.byteCount(unit.geometry))
        if let difference = firstDifference(task, length) {
            return respond(slot, failing: .miscompare(offset: UInt64(difference)))
        }
        guard let buffer = task.pointee.buffer else { return respond(slot) }
        task.pointee.step = .second
        submit(
            slot, .write, range.byteOffset(unit.geometry), length, buffer.start + length, durable: durable, unit)
    }

    /// ORWRITE: the disk has answered the read, or the write, of one window.
    func combined(_ slot: UInt16, _ range: BlockRange, _ durable: Bool, _ unit: LogicalUnit) {
        let task = tasks[slot]
        let length = Int(task.pointee.bufferEnd &- task.pointee.bufferBase)
        guard task.pointee.step == .first, let sent = task.pointee.buffer, let found = task.pointee.second else {
            task.pointee.step = .first
            return windowWritten(slot)
        }
        let target = sent.bytes(length)
        let source = found.bytes(length)
        for index in 0..<length { target[index] |= source[index] }
        task.pointee.step = .second
        let offset = range.byteOffset(unit.geometry) + UInt64(task.pointee.bufferBase)
        submit(slot, .write, offset, length, sent.start, durable: durable, unit)
    }

    /// WRITE SAME: zeros cost no data; anything else is written piece by piece from a buffer full of the block.
    func writeSame(_ slot: UInt16, _ range: BlockRange, _ content: Command.SameContent, _ unit: LogicalUnit) {
        let task = tasks[slot]
        let total = range.byteCount(unit.geometry)
        let start = range.byteOffset(unit.geometry)
        let blockBytes = Int(unit.geometry.blockBytes)
        let block = task.pointee.buffer?.bytes(blockBytes)
        if task.pointee.position == 0, content == .zeros || block?.allSatisfy({ $0 == 0 }) != false {
            task.pointee.step = .second
            return submit(slot, .writeZeroes, start, Int(total), nil, unit)
        }
        guard let block, task.pointee.position < total else { return respond(slot) }
        let isNew = task.pointee.second == nil
        guard let buffer = secondBuffer(task, 65536) else { return }
        if isNew {
            for offset in stride(from: 0, to: buffer.capacity, by: blockBytes) {
                UnsafeMutableRawBufferPointer(rebasing: buffer.bytes()[offset...]).copyBytes(
                    from: UnsafeRawBufferPointer(block))
            }
        }
        let length = Int(min(total - task.pointee.position, UInt64(buffer.capacity)))
        let offset = start + task.pointee.position
        task.pointee.position += UInt64(length)
        if task.pointee.position == total { task.pointee.step = .second }
        submit(slot, .write, offset, length, buffer.start, unit)
    }

    /// UNMAP: what is given back reads as zeros (LBPRZ), so that is what the disk is asked for.
    func unmap(_ slot: UInt16, _ unit: LogicalUnit) {
        let task = tasks[slot]
        let list = UnsafeRawBufferPointer(start: task.pointee.buffer?.start, count: Int(task.pointee.bufferEnd))
        do throws(Sense) {
            let ranges = try UnmapList.parse(list, unit.server.profile)
            guard !ranges.isEmpty else { return respond(slot) }
            for range in ranges {
                let offset = range.byteOffset(unit.geometry)
                submit(slot, .writeZeroes, offset, Int(range.byteCount(unit.geometry)), nil, unit)
            }
        } catch {
            respond(slot, failing: error)
        }
    }

    /// GET LBA STATUS: as many extents as the initiator has room for, from what the disk knows without reading.
    func reportStatus(_ slot: UInt16, _ lba: UInt64, _ allocation: UInt32, _ unit: LogicalUnit) {
        let task = tasks[slot]
        let geometry = unit.geometry
        let room = max(1, (Int(allocation) - 8) / 16)
        var status = LBAStatus()
        var next = lba
        while next < geometry.blockCount, status.count < room {
            let left = (geometry.blockCount - next) * UInt64(geometry.blockBytes)
            let offset = next * UInt64(geometry.blockBytes)
            // An extent has 32 bits of blocks.
            let limit = min(left, UInt64(UInt32.max / 2) * UInt64(geometry.blockBytes))
            let found = unit.disk.allocation(at: offset, length: limit) ?? (isAllocated: true, length: limit)
            let blocks = UInt32(max(1, found.length / UInt64(geometry.blockBytes)))
            status.append(BlockRange(lba: next, count: blocks), found.isAllocated ? .mapped : .deallocated)
            next += UInt64(blocks)
        }
        let bytes = status.bytes.prefix(Int(task.pointee.read.total))
        task.pointee.read = ReadTransfer(task.pointee.command, available: UInt64(bytes.count), limits: transferLimits)
        task.pointee.residual = task.pointee.read.residual
        task.pointee.bufferEnd = UInt32(bytes.count)
        task.pointee.buffer?.bytes().copyBytes(from: bytes)
        enqueue(slot, bytes.isEmpty ? .response : .data)
    }
}
