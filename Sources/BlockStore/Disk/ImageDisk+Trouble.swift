import IOLoop
import Syscall
import SystemPackage

/// What goes wrong: told to the log with file and place, kept for who looks at the volume. An image whose tables cannot
/// be true is marked as corrupt in its header, so that nobody writes it again (qcow2 specification,
/// incompatible_features, bit 1).
extension ImageDisk {
    /// A transfer has failed.
    func note(_ transfer: Transfer, _ error: Errno) {
        let layer = chain.files.firstIndex { $0.descriptor.raw == transfer.file } ?? 0
        let file = chain.files[layer].path
        let bytes = "\(transfer.length) bytes at \(transfer.offset) of \(file)"
        switch transfer.owner {
        case .operation(let index):
            let guest = "for guest offset \(operations[index].offset)"
            health.failed("\(transfer.isWrite ? "writing" : "reading") \(bytes) \(guest)", error, at: loop.now)
        case .part(let index):
            let guest = parts[index].allocation.guest.index * UInt64(clusterBytes)
            health.failed("writing \(bytes), new clusters for guest offset \(guest)", error, at: loop.now)
        case .copyUp(let index):
            let guest = parts[index].allocation.guest.index * UInt64(clusterBytes)
            health.failed("reading \(bytes), to copy them up to guest offset \(guest)", error, at: loop.now)
        case .load: health.failed("reading a table of \(bytes)", error, at: loop.now)
        case .commit: health.failed("writing tables, \(bytes)", error, at: loop.now)
        case .mark: health.failed("marking the image as corrupt, \(bytes)", error, at: loop.now)
        case .sync: health.stops(DiskHealth.notDurable(file, error))
        case .room where error == .notSupported: break
        case .room: health.failed("finding room for tables, \(bytes)", error, at: loop.now)
        case .punch where error == .notSupported: break
        case .punch: health.warns("freed space was not given back, \(bytes): \(error)")
        }
    }

    /// A part of the disk is mapped to what cannot be used: ends the operation.
    func failMapping(_ index: Int, layer: Int = 0, _ fault: MappingFault) {
        noteMapping(layer, fault, guest: operations[index].offset)
        fail(index, .ioError)
    }

    func noteMapping(_ layer: Int, _ fault: MappingFault, guest: UInt64) {
        guard image.damage == nil || layer > 0 else { return noteDamage() }
        health.failed(
            "guest offset \(guest) cannot be served from \(chain.files[layer].path): \(fault.sentence)", at: loop.now)
    }

    /// A table of a layer was read that cannot be true.
    func note(_ damage: TableDamage, in layer: Int) {
        guard layer > 0 || !image.isWritable else { return noteDamage() }
        health.failed("\(chain.files[layer].path) is damaged: \(damage)", at: loop.now)
    }

    /// The image's own tables cannot be true: it takes no more writes, here or elsewhere.
    func noteDamage() {
        guard let damage = image.damage, image.isWritable, !image.header.isCorrupt else { return }
        health.stops(
            "\(chain.files[0].path) is damaged: \(damage); it is marked as corrupt and takes no more writes; see what "
                + "qemu-img check says, or restore it from a backup")
        image.setTables { $0.incompatible |= ImageHeader.corruptBit }
        var bytes: [UInt8] = []
        bytes.append(bigEndian: image.header.incompatible)
        mark.copyMemory(from: bytes, byteCount: bytes.count)
        startWrite(
            .mark, at: HostOffset(bytes: ImageHeader.incompatibleOffset), from: mark, bytes.count, isDurable: true)
    }
}
