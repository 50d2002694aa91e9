import SystemPackage

/// Filling new clusters: copy-up and data first, the mapping when all of it is in the file.
extension ImageDisk {
    func startPart(_ allocation: Allocation, for operation: Int, data: UnsafeMutableRawPointer, _ length: Int) {
        let index = parts.take(
            Part(
                allocation: allocation, operation: operation, stage: .write, data: data, length: length))
        if allocation.head == 0 && allocation.tail == 0 {
            writeData(index)
        } else if allocation.showsBacking {
            parts.slot(index).pointee.stage = .awaitsBuffer
            advancePart(index)
        } else {
            if !allocation.run.isZero { writeZeroesAround(index) }
            writeData(index)
        }
    }

    private func host(_ allocation: Allocation) -> HostOffset {
        HostOffset(bytes: allocation.run.first.index * UInt64(clusterBytes))
    }

    private func writeData(_ index: Int) {
        let part = parts.slot(index)
        part.pointee.stage = .write
        part.pointee.outstanding += 1
        let at = HostOffset(bytes: host(part.pointee.allocation).bytes + UInt64(part.pointee.allocation.head))
        startWrite(.part(index), at: at, from: part.pointee.data, part.pointee.length)
    }

    /// A cluster that was used before holds old bytes around the new ones.
    private func writeZeroesAround(_ index: Int) {
        let part = parts.slot(index)
        let allocation = part.pointee.allocation
        let start = host(allocation)
        if allocation.head > 0 {
            part.pointee.outstanding += 1
            startWrite(.part(index), at: start, from: zeroes, allocation.head)
        }
        if allocation.tail > 0 {
            part.pointee.outstanding += 1
            let end = HostOffset(bytes: start.bytes + UInt64(allocation.head + part.pointee.length))
            startWrite(.part(index), at: end, from: zeroes, allocation.tail)
        }
    }

    /// Goes on with copying up: reads of what is around the data, into one buffer of a cluster.
    func advancePart(_ index: Int) {
        let part = parts.slot(index)
        if part.pointee.stage == .awaitsBuffer {
            guard let buffer = takeCopyBuffer() else { return parkPart(index) }
            part.pointee.buffer = buffer
            part.pointee.stage = .copyUp
        }
        guard part.pointee.stage == .copyUp, let buffer = part.pointee.buffer else { return }
        let head = part.pointee.allocation.head
        let dataEnd = head + part.pointee.length
        let guest = part.pointee.allocation.guest.index * UInt64(clusterBytes)
        while part.pointee.cursor < clusterBytes, part.pointee.error == 0 {
            if part.pointee.cursor == head { part.pointee.cursor = dataEnd }
            let cursor = part.pointee.cursor
            guard cursor < clusterBytes else { break }
            let end = cursor < head ? head : clusterBytes
            switch chain.map(from: 1, guest + UInt64(cursor), end - cursor) {
            case .data(let layer, let at, let count):
                part.pointee.foundZeroes = false
                part.pointee.cursor += count
                part.pointee.outstanding += 1
                startRead(.copyUp(index), layer: layer, at: at, into: buffer + cursor, count)
            case .zero(let count):
                (buffer + cursor).initializeMemory(as: UInt8.self, repeating: 0, count: count)
                part.pointee.cursor += count
            case .needs(let layer, let table):
                return parkPart(index, on: load(layer, table))
            case .fault(let layer, let fault):
                noteMapping(layer, fault, guest: guest + UInt64(cursor))
                return failPart(index, .ioError)
            }
        }
        if part.pointee.outstanding == 0 { copyUpEnded(index) }
    }

    private func copyUpEnded(_ index: Int) {
        let part = parts.slot(index)
        guard part.pointee.error == 0, let buffer = part.pointee.buffer else { return endPart(index) }
        if part.pointee.foundZeroes, part.pointee.allocation.run.isZero { return writeData(index) }
        (buffer + part.pointee.allocation.head).copyMemory(from: part.pointee.data, byteCount: part.pointee.length)
        part.pointee.stage = .write
        part.pointee.outstanding += 1
        startWrite(.part(index), at: host(part.pointee.allocation), from: buffer, clusterBytes)
    }

    func partTransferEnded(_ index: Int, _ error: CInt) {
        let part = parts.slot(index)
        part.pointee.outstanding -= 1
        if error != 0, part.pointee.error == 0 { part.pointee.error = error }
        guard part.pointee.outstanding == 0, !part.pointee.isParked else { return }
        if part.pointee.stage == .copyUp {
            // Reads may all have ended while others are still to be started.
            if part.pointee.error != 0 { endPart(index) } else { advancePart(index) }
        } else {
            endPart(index)
        }
    }

    func failPart(_ index: Int, _ error: Errno) {
        let part = parts.slot(index)
        if part.pointee.error == 0 { part.pointee.error = error.rawValue }
        if part.pointee.outstanding == 0 { endPart(index) }
    }

    private func endPart(_ index: Int) {
        let part = parts[index]
        parts.give(index)
        if let buffer = part.buffer { copyBuffers.append(buffer) }
        if part.error == 0 {
            image.finish(part.allocation)
            health.foundRoom()
        } else {
            // No mapping ever led there, so nobody can be reading: they go back as what an old commit has freed.
            space.batches.append(FreedBatch(epoch: 0, clusters: image.abandon(part.allocation)))
        }
        noteChange()
        operations.slot(part.operation).pointee.outstanding -= 1
        if part.error != 0 { fail(part.operation, Errno(rawValue: part.error)) } else { endIfDone(part.operation) }
        wake()
    }

    private func takeCopyBuffer() -> UnsafeMutableRawPointer? {
        if let buffer = copyBuffers.popLast() { return buffer }
        guard copyBuffersLeft > 0 else { return nil }
        copyBuffersLeft -= 1
        return .allocate(byteCount: clusterBytes, alignment: 4096)
    }
}
