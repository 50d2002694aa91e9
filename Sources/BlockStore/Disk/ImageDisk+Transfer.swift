import IOLoop
import Syscall
import SystemPackage

/// Moving bytes: every transfer is one ring operation at a time, repeated until it is whole.
extension ImageDisk {
    /// Starts a read of a layer's file.
    @inline(__always)
    func startRead(
        _ owner: Transfer.Owner, layer: Int, at offset: HostOffset, into bytes: UnsafeMutableRawPointer, _ length: Int
    ) {
        let index = transfers.take(
            Transfer(
                owner: owner, file: chain.files[layer].descriptor.raw, isWrite: false, bytes: bytes,
                offset: offset.bytes,
                length: length))
        submit(index)
    }

    /// Starts a write of the top file.
    @inline(__always)
    func startWrite(
        _ owner: Transfer.Owner, at offset: HostOffset, from bytes: UnsafeMutableRawPointer, _ length: Int,
        isDurable: Bool = false
    ) {
        let index = transfers.take(
            Transfer(
                owner: owner, file: topFile, isWrite: true, isDurable: isDurable, bytes: bytes, offset: offset.bytes,
                length: length))
        if recorder != nil { recordWrite(index) }
        submit(index)
    }

    private func submit(_ index: Int) {
        let transfer = transfers.slot(index)
        if transfer.pointee.isWrite {
            loop.write(
                transfer.pointee.file, from: UnsafeRawPointer(transfer.pointee.bytes), count: transfer.pointee.length,
                at: transfer.pointee.offset, durable: transfer.pointee.isDurable, for: self, tag: UInt32(index))
        } else {
            loop.read(
                transfer.pointee.file, into: transfer.pointee.bytes, count: transfer.pointee.length,
                at: transfer.pointee.offset, for: self, tag: UInt32(index))
        }
    }

    /// Starts an operation without bytes: a sync, or a change of space.
    func startOther(_ owner: Transfer.Owner, at offset: UInt64 = 0, _ length: Int = 0) -> UInt32 {
        UInt32(
            transfers.take(
                Transfer(
                    owner: owner, file: topFile, isWrite: true, bytes: zeroes, offset: offset, length: length)))
    }

    private func recordWrite(_ index: Int) {
        let transfer = transfers.slot(index)
        transfer.pointee.event = nextEvent
        nextEvent += 1
        let bytes = UnsafeRawBufferPointer(start: transfer.pointee.bytes, count: transfer.pointee.length)
        recorder?(.writeBegan(id: transfer.pointee.event, offset: transfer.pointee.offset, bytes: Array(bytes)))
    }

    func recordZero(_ tag: UInt32) {
        guard recorder != nil else { return }
        let transfer = transfers.slot(Int(tag))
        transfer.pointee.event = nextEvent
        nextEvent += 1
        recorder?(
            .zeroBegan(
                id: transfer.pointee.event, offset: transfer.pointee.offset, length: transfer.pointee.length))
    }

    func transferEnded(_ index: Int, _ result: Int32) {
        let transfer = transfers[index]
        var error = result < 0 ? -result : 0
        var wrote = transfer.isWrite
        switch transfer.owner {
        case .operation, .part, .copyUp, .load, .commit, .mark:
            if result >= 0, Int(result) < transfer.length {
                // A write that gets nowhere would be repeated for ever.
                let isStuck = result == 0 && transfer.isWrite
                if !isStuck, goOn(index, result) { return }
                if isStuck { error = Errno.ioError.rawValue }
            }
        case .sync:
            wrote = false
        case .punch, .room:
            break
        }
        transfers.give(index)
        if transfer.event != 0 { recorder?(.writeEnded(id: transfer.event, isDurable: transfer.isDurable)) }
        if wrote { commit.isUnsynced = true }
        if error != 0 { note(transfer, Errno(rawValue: error)) }
        ended(transfer, error)
    }

    /// Goes on with a transfer that ended early; false if the file has no more.
    private func goOn(_ index: Int, _ result: Int32) -> Bool {
        let transfer = transfers.slot(index)
        if result == 0 {
            // What lies beyond the end of the file was never written and reads as zero.
            transfer.pointee.bytes.initializeMemory(as: UInt8.self, repeating: 0, count: transfer.pointee.length)
            return false
        }
        transfer.pointee.bytes += Int(result)
        transfer.pointee.offset += UInt64(result)
        transfer.pointee.length -= Int(result)
        submit(index)
        return true
    }

    @inline(__always)
    private func ended(_ transfer: Transfer, _ error: CInt) {
        switch transfer.owner {
        case .operation(let index):
            let operation = operations.slot(index)
            operation.pointee.outstanding -= 1
            if error != 0 { fail(index, Errno(rawValue: error)) } else { endIfDone(index) }
        case .part(let index), .copyUp(let index): partTransferEnded(index, error)
        case .load(let index): loadEnded(index, error)
        case .commit: commitWriteEnded(error)
        case .sync: syncEnded(error)
        case .mark: break
        case .punch: punchEnded(error)
        case .room: roomEnded(error)
        }
    }

    // MARK: Tables

    /// Starts reading a table, unless it is on its way already.
    /// - Returns: what to wait for.
    func load(_ layer: Int, _ table: TableRead) -> Int {
        for (index, load) in loads where load.layer == layer && load.table == table { return index }
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: table.length, alignment: 4096)
        nextLoad += 1
        loads[nextLoad] = Load(layer: layer, table: table, bytes: bytes)
        startRead(.load(nextLoad), layer: layer, at: table.at, into: bytes, table.length)
        return nextLoad
    }

    private func loadEnded(_ index: Int, _ error: CInt) {
        guard let load = loads.removeValue(forKey: index) else { return }
        defer { load.bytes.deallocate() }
        guard error == 0 else {
            failWaiting(for: index, Errno(rawValue: error))
            return
        }
        guard case .qcow2(let image) = chain.layers[load.layer] else { return }
        let bytes = UnsafeRawBufferPointer(start: load.bytes, count: load.table.length)
        switch image.install(load.table, bytes) {
        case .installed: wake()
        case .noRoom:
            // Only changes can fill the cache for good, and a commit makes them clean; one that cannot be had ends who
            // waits for it.
            startCommit()
            if let error = commit.lastError { failWaiting(for: index, error) } else { wake() }
        case .damaged(let damage):
            note(damage, in: load.layer)
            failWaiting(for: index, .ioError)
        }
    }

    /// A table, or room for one, cannot be had: who waits for it fails.
    func failWaiting(for load: Int, _ error: Errno) {
        let waiting = parked
        parked = []
        for item in waiting {
            let awaited = item >= 0 ? operations.slot(item).pointee.awaited : parts.slot(~item).pointee.awaited
            guard awaited == load else {
                parked.append(item)
                continue
            }
            if item >= 0 {
                operations.slot(item).pointee.isParked = false
                fail(item, error)
            } else {
                parts.slot(~item).pointee.isParked = false
                failPart(~item, error)
            }
        }
    }
}
