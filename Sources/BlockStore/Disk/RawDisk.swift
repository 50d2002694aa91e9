internal import IOLoop
internal import Syscall
internal import SystemPackage

/// A disk that is a plain file or a block device, byte for byte.
final class RawDisk: Disk {
    private struct Flight {
        var request: DiskRequest
        var client: Unmanaged<DiskClient>
        /// Bytes done: the kernel may do fewer than asked.
        var done = 0
        var zeroesByWriting = false
    }

    private let file: Descriptor
    private let path: FilePath
    // Requests in flight by tag; freed places are used again.
    private var flights: [Flight] = []
    private var free: [UInt32] = []
    private var ending: ((Errno?) -> Void)?
    /// Why it takes no more writes: the kernel may have dropped what it could not make durable.
    private var failure: Errno?
    /// What the file system cannot do, once it has said so.
    private var cannotPunch = false

    private static let closingTag = UInt32.max
    private static let zeroBytes = 65536
    private let zeroes: UnsafeMutableRawPointer

    /// - Parameters:
    ///   - file: open for reading, and for writing unless `isReadOnly`.
    ///   - path: of the file, for the log.
    ///   - health: names the disk, and hears of what goes wrong.
    init(
        on loop: Loop, _ file: consuming Descriptor, path: FilePath, isReadOnly: Bool, health: DiskHealth
    ) throws(Errno) {
        let status = try File.status(file)
        self.file = file
        zeroes = .allocate(byteCount: Self.zeroBytes, alignment: 4096)
        zeroes.initializeMemory(as: UInt8.self, repeating: 0, count: Self.zeroBytes)
        self.path = path
        super.init(on: loop, length: status.length, isReadOnly: isReadOnly, granularity: 4096, health: health)
    }

    deinit { zeroes.deallocate() }

    override func submit(_ request: DiskRequest, for client: DiskClient) {
        let flight = Flight(request: request, client: .passUnretained(client))
        let tag: UInt32
        if let place = free.popLast() {
            tag = place
            flights[Int(tag)] = flight
        } else {
            tag = UInt32(flights.count)
            flights.append(flight)
        }
        start(tag)
    }

    private func start(_ tag: UInt32) {
        let flight = flights[Int(tag)]
        let request = flight.request
        let offset = request.offset + UInt64(flight.done)
        let left = request.length - flight.done
        if failure != nil, request.operation != .read { return loop.nop(for: self, tag: tag) }
        switch request.operation {
        case .read, .write:
            guard let buffer = request.buffer, left > 0 else { return loop.nop(for: self, tag: tag) }
            if request.operation == .read {
                loop.read(file.raw, into: buffer + flight.done, count: left, at: offset, for: self, tag: tag)
            } else {
                loop.write(
                    file.raw, from: buffer + flight.done, count: left, at: offset, durable: request.durable, for: self,
                    tag: tag)
            }
        case .flush:
            loop.syncData(file.raw, for: self, tag: tag)
        case .writeZeroes where flight.zeroesByWriting:
            loop.write(
                file.raw, from: zeroes, count: min(left, Self.zeroBytes), at: offset, durable: request.durable,
                for: self, tag: tag)
        case .writeZeroes, .discard:
            guard request.length > 0, !(cannotPunch && request.operation == .discard) else {
                return loop.nop(for: self, tag: tag)
            }
            loop.changeSpace(
                file.raw, .punchHole, at: request.offset, length: UInt64(request.length), for: self, tag: tag)
        }
    }

    override func completed(tag: UInt32, result: Int32, more: Bool) {
        if tag == Self.closingTag { return finishClosing(result) }
        let place = Int(tag)
        let request = flights[place].request
        if let failure, request.operation != .read { return finish(tag, failure) }
        guard result >= 0 else {
            let error = Errno(rawValue: -result)
            guard error != .notSupported else { return fallBack(tag) }
            note(request, error)
            return finish(tag, error)
        }
        switch request.operation {
        case .read, .write:
            flights[place].done += Int(result)
            if flights[place].done >= request.length { return finish(tag, nil) }
            // The file is shorter than it was: someone else has cut it.
            if result == 0 {
                note(request, .ioError)
                return finish(tag, .ioError)
            }
            start(tag)
        case .writeZeroes where flights[place].zeroesByWriting:
            flights[place].done += Int(result)
            if flights[place].done >= request.length { return finish(tag, nil) }
            if result == 0 { return finish(tag, .ioError) }
            start(tag)
        case .flush, .writeZeroes, .discard:
            finish(tag, nil)
        }
    }

    /// The file system has no holes: zeros are written, and a discard does nothing.
    private func fallBack(_ tag: UInt32) {
        switch flights[Int(tag)].request.operation {
        case .discard:
            cannotPunch = true
            finish(tag, nil)
        case .writeZeroes where !flights[Int(tag)].zeroesByWriting:
            flights[Int(tag)].zeroesByWriting = true
            start(tag)
        default:
            finish(tag, .notSupported)
        }
    }

    private func note(_ request: DiskRequest, _ error: Errno) {
        let range = "\(request.length) bytes at \(request.offset) of \(path)"
        switch request.operation {
        case .read: health.failed("reading \(range)", error, at: loop.now)
        case .write: health.failed("writing \(range)", error, at: loop.now)
        case .writeZeroes, .discard: health.failed("zeroing \(range)", error, at: loop.now)
        case .flush:
            failure = error
            health.stops(DiskHealth.notDurable(path, error))
        }
    }

    private func finish(_ tag: UInt32, _ error: Errno?) {
        let flight = flights[Int(tag)]
        if error == nil, flight.request.operation == .write { health.foundRoom() }
        free.append(tag)
        flight.client._withUnsafeGuaranteedRef { $0.diskCompleted(tag: flight.request.tag, error: error) }
        if ending != nil { closeIfIdle() }
    }

    override func beginGrow(to bytes: UInt64) throws(ImageError) {
        guard bytes >= length, bytes % 512 == 0 else {
            throw .size(bytes, rule: "a multiple of 512, and no less than \(length)")
        }
        try fileCall(.truncate) { () throws(Errno) in try File.truncate(file, to: bytes) }
    }

    override func allocation(at offset: UInt64, length: UInt64) -> (isAllocated: Bool, length: UInt64)? {
        guard let extent = try? File.extent(file, at: offset) else { return nil }
        return (extent.hasData, min(length, extent.end > offset ? extent.end - offset : length))
    }

    override func close(_ done: @escaping (Errno?) -> Void) {
        ending = done
        closeIfIdle()
    }

    private func closeIfIdle() {
        guard free.count == flights.count else { return }
        if isReadOnly {
            loop.nop(for: self, tag: Self.closingTag)
        } else {
            loop.syncData(file.raw, for: self, tag: Self.closingTag)
        }
    }

    private func finishClosing(_ result: Int32) {
        retire()
        var error = result < 0 ? Errno(rawValue: -result) : nil
        // Now, whoever still refers to the open file.
        do throws(Errno) { try ImageFile.unlock(file) } catch let failed { error = error ?? failed }
        let done = ending
        ending = nil
        done?(error)
    }
}
