import SystemPackage

/// Ranges that shall read as zero, or need not be kept.
extension ImageDisk {
    func advanceUnmap(_ index: Int) {
        let operation = operations.slot(index)
        while operation.pointee.cursor < operation.pointee.length {
            let cursor = operation.pointee.cursor
            let offset = operation.pointee.offset + UInt64(cursor)
            let left = operation.pointee.length - cursor
            let within = Int(offset & image.geometry.clusterMask)
            // The disk may end within its last cluster, which is then whole.
            let reachesEnd = offset + UInt64(left) == length
            let whole =
                reachesEnd
                ? Int(image.geometry.clusters(for: UInt64(left))) << image.geometry.clusterBits
                : left & ~(clusterBytes - 1)
            if within != 0 || whole == 0 {
                let count = min(left, clusterBytes - within)
                if operation.pointee.kind == .discard {
                    operation.pointee.cursor += count
                } else if !writeSomeZeroes(index, image, offset, count) {
                    return
                }
                continue
            }
            switch image.unmap(offset, whole) {
            case .done(let count):
                operation.pointee.cursor += min(count, left)
                noteChange()
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

    /// Writes zeroes to a part of a cluster, unless it reads as zero; false if the operation waits or has ended.
    private func writeSomeZeroes(_ index: Int, _ image: Image, _ offset: UInt64, _ length: Int) -> Bool {
        let operation = operations.slot(index)
        switch chain.map(offset, length) {
        case .zero(let count):
            // Zero as of now; who is just filling the cluster is not ordered with us.
            operation.pointee.cursor += count
            return true
        case .needs(let layer, let table):
            park(index, on: load(layer, table))
            return false
        case .fault(let layer, let fault):
            failMapping(index, layer: layer, fault)
            return false
        case .data:
            break
        }
        switch image.prepareWrite(offset, length) {
        case .inPlace(let host, let count):
            operation.pointee.cursor += count
            operation.pointee.outstanding += 1
            startWrite(.operation(index), at: host, from: zeroes, count)
            return true
        case .allocate(let allocation, let count):
            operation.pointee.cursor += count
            operation.pointee.outstanding += 1
            noteChange()
            startPart(allocation, for: index, data: zeroes, count)
            return true
        case .needs(let table):
            park(index, on: load(0, table))
        case .busy:
            park(index)
        case .full:
            park(index, awaitsCommit: true)
            startCommit()
        case .needsRoom:
            park(index, on: makeRoom())
        case .noSpace:
            fail(index, .noSpace)
        case .fault(let fault):
            failMapping(index, fault)
        }
        return false
    }
}
