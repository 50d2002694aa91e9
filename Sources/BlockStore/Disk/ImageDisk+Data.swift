import SystemPackage

/// Reads and writes, as the image's extents say.
extension ImageDisk {
    func advanceRead(_ index: Int) {
        let operation = operations.slot(index)
        guard let bytes = operation.pointee.bytes else { return fail(index, .badAddress) }
        while operation.pointee.cursor < operation.pointee.length {
            let cursor = operation.pointee.cursor
            let offset = operation.pointee.offset + UInt64(cursor)
            switch chain.map(offset, operation.pointee.length - cursor) {
            case .data(let layer, let host, let count):
                operation.pointee.cursor += count
                operation.pointee.outstanding += 1
                startRead(.operation(index), layer: layer, at: host, into: bytes + cursor, count)
            case .zero(let count):
                (bytes + cursor).initializeMemory(as: UInt8.self, repeating: 0, count: count)
                operation.pointee.cursor += count
            case .needs(let layer, let table):
                return park(index, on: load(layer, table))
            case .fault(let layer, let fault):
                return failMapping(index, layer: layer, fault)
            }
        }
    }

    func advanceWrite(_ index: Int) {
        let operation = operations.slot(index)
        guard let bytes = operation.pointee.bytes else { return fail(index, .badAddress) }
        while operation.pointee.cursor < operation.pointee.length {
            let cursor = operation.pointee.cursor
            let offset = operation.pointee.offset + UInt64(cursor)
            let left = operation.pointee.length - cursor
            switch image.prepareWrite(offset, left) {
            case .inPlace(let host, let count):
                operation.pointee.cursor += count
                operation.pointee.outstanding += 1
                // A write in place, with no mapping waiting to be committed, is durable by itself.
                let isDurable = operation.pointee.isDurable && count == operation.pointee.length && isSettled
                if isDurable { operation.pointee.isDurable = false }
                startWrite(.operation(index), at: host, from: bytes + cursor, count, isDurable: isDurable)
            case .allocate(let allocation, let count):
                operation.pointee.cursor += count
                operation.pointee.outstanding += 1
                noteChange()
                startPart(allocation, for: index, data: bytes + cursor, count)
            case .needs(let table):
                return park(index, on: load(0, table))
            case .busy:
                return park(index)
            case .full:
                park(index, awaitsCommit: true)
                return startCommit()
            case .needsRoom:
                return park(index, on: makeRoom())
            case .noSpace:
                return fail(index, .noSpace)
            case .fault(let fault):
                return failMapping(index, fault)
            }
        }
    }

    /// No change of the tables waits for a commit, nor is one under way.
    var isSettled: Bool { !commit.isRunning && !commit.hasChanges }
}
