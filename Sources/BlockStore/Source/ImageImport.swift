import Crypto
import Reconcile
import Syscall
import SystemPackage

/// One import: the source is hashed, then copied into an image of ours that holds what is not zero, decompressed.
struct ImageImport {
    private let spec: ImageSpec
    private let root: FilePath

    init(_ spec: ImageSpec, into root: FilePath) {
        self.spec = spec
        self.root = root
    }

    /// Imports; blocks as long as the copying takes.
    func run() -> StepOutcome {
        do throws(ImageError) {
            let source = try ImageFile(spec.source, .read)
            let found = try ImageImport.status(source)
            if let problem = ImageImport.problem(with: found) {
                return .failed("\(spec.source) \(problem)")
            }
            let hash = try ImageImport.hash(source)
            if let wanted = spec.sha256, wanted != hash {
                return .failed(
                    "\(spec.source) has the SHA-256 \(hash), the manifest asks for \(wanted); get the file again, or "
                        + "correct the manifest")
            }
            let directory = root.appending(PoolPlaces.images)
            try PoolFile.makeDirectories(directory)
            let path = directory.appending(PoolFile.name(spec.name, .qcow2))
            switch spec.format {
            case .raw: try copy(RawSource(source), hash, path) { () throws(ImageError) in try check(source, found) }
            case .qcow2: try copy(Qcow2Source(source), hash, path) { () throws(ImageError) in try check(source, found) }
            }
            return .done
        } catch {
            return .failed("\(spec.source) \(error)")
        }
    }

    /// Why nothing can be imported from a file, and what to do; nil if it may hold a disk. Asked before it is read:
    /// what is not a regular file may have no end.
    private static func problem(with status: FileStatus) -> String? {
        guard status.kind == .file else {
            return "is not a regular file; copy the disk into a file and name that one as 'source'"
        }
        return status.length > 0 ? nil : "is empty, it holds no disk; get the file again, or correct the manifest"
    }

    private static func status(_ file: ImageFile) throws(ImageError) -> FileStatus {
        try fileCall(.stat) { () throws(Errno) in try File.status(file.descriptor) }
    }

    /// What was copied is what was hashed: nobody has written meanwhile, as far as the file system tells.
    private func check(_ source: ImageFile, _ before: FileStatus) throws(ImageError) {
        let now = try Self.status(source)
        guard now.length == before.length, now.modified == before.modified else { throw .changed }
    }

    /// The SHA-256 of a file, in lower-case hexadecimal. Its holes are not read: their zeros come from memory.
    static func hash(_ file: ImageFile) throws(ImageError) -> String {
        var hash = SHA256()
        let step = 1 << 20
        let zeroes = [UInt8](repeating: 0, count: step)
        var piece = [UInt8](repeating: 0, count: step)
        let length = try file.length()
        var offset: UInt64 = 0
        while offset < length {
            let here = offset
            let extent = try fileCall(.read) { () throws(Errno) in try File.extent(file.descriptor, at: here) }
            let end = min(length, extent.end)
            while offset < end {
                let count = Int(min(UInt64(step), end - offset))
                if extent.hasData { try fill(&piece, count, from: file, at: offset) }
                (extent.hasData ? piece : zeroes).withUnsafeBytes { bytes in
                    hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                }
                offset += UInt64(count)
            }
            // Between the two questions somebody has cut the file.
            guard offset > here else { throw .changed }
        }
        let digits = Array("0123456789abcdef")
        return String(hash.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    private static func fill(
        _ piece: inout [UInt8], _ count: Int, from file: ImageFile, at offset: UInt64
    ) throws(ImageError) {
        let got = try fileCall(.read) { () throws(Errno) in
            try File.read(file.descriptor, into: &piece, count: count, at: offset)
        }
        guard got == count else { throw .changed }
    }

    /// Bytes of the largest disk that is imported: what a volume may have.
    private static let largest: UInt64 = 1 << 50

    /// - Parameter check: asked when all is copied, before the image gets its name.
    private func copy(
        _ source: some ClusterSource, _ hash: String, _ path: FilePath, check: () throws(ImageError) -> Void
    ) throws(ImageError) {
        guard source.size <= Self.largest else { throw .size(source.size, rule: "at most \(Self.largest)") }
        var plan = ImageCreate.Plan(size: (source.size + 511) & ~511)
        plan.owner = ImageKind.id(spec.name).description
        plan.sourceHash = hash
        let made = plan
        try ImageCreate.place(path) { file, temporary throws(ImageError) in
            try ImageCreate.writeEmpty(file, made)
            let target = try ImageWriter(ImageFile(temporary, .write))
            let step = 1 << 20
            var offset: UInt64 = 0
            while offset < source.size {
                // By whole steps, so that what is written stays aligned to them.
                let data = try source.nextData(from: offset) & ~UInt64(step - 1)
                if data > offset {
                    offset = data
                    continue
                }
                let count = Int(min(UInt64(step), source.size - offset))
                if let bytes = try source.read(offset, count) { try target.write(bytes, at: offset) }
                offset += UInt64(count)
            }
            try target.finish()
            try check()
        }
    }
}

/// A disk to import, read in order.
protocol ClusterSource {
    /// Bytes of the disk.
    var size: UInt64 { get }
    /// Where the next bytes may be that are not zero, from `offset` on, which is within the disk; its end if none are.
    func nextData(from offset: UInt64) throws(ImageError) -> UInt64
    /// The bytes of a range within the disk; nil if all of them are zero.
    func read(_ offset: UInt64, _ count: Int) throws(ImageError) -> [UInt8]?
}

/// A file whose bytes are the disk's.
struct RawSource: ClusterSource {
    private let file: ImageFile
    let size: UInt64

    init(_ file: ImageFile) throws(ImageError) {
        self.file = file
        size = try file.length()
    }

    func nextData(from offset: UInt64) throws(ImageError) -> UInt64 {
        let extent = try fileCall(.read) { () throws(Errno) in try File.extent(file.descriptor, at: offset) }
        return extent.hasData ? offset : extent.end
    }

    func read(_ offset: UInt64, _ count: Int) throws(ImageError) -> [UInt8]? {
        let bytes = try file.read(count, at: HostOffset(bytes: offset))
        return ImageWriter.isZero(bytes[...]) ? nil : bytes
    }
}
