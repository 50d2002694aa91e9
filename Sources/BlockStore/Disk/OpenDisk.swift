import IOLoop
import Syscall
import SystemPackage

/// An open disk in the hands of control code: opens it, reaches it on its loop, and closes it. Whoever opened it must
/// close it, and hears then whether everything is in the file.
final class OpenDisk: Sendable {
    /// The loop that the disk lives on.
    let loop: StorageLoop
    private let disk: Confined<Disk>

    private init(_ disk: Confined<Disk>, on loop: StorageLoop) {
        self.disk = disk
        self.loop = loop
    }

    /// Opens the file `name` below `root`, and what it builds on for reading.
    /// - Parameters:
    ///   - root: the pool's directory; backing files are found nowhere else.
    ///   - format: how the file holds the disk; it is never guessed.
    ///   - isReadOnly: nobody will write; others may read too.
    ///   - commitDelay: the longest time that a changed mapping is in memory alone: what a power cut may cost.
    ///   - mappingBudget: bytes for cached mappings of each layer.
    ///   - health: names the disk, and hears of what goes wrong.
    static func open(
        root: FilePath, name: String, format: VolumeFormat, on loop: StorageLoop, isReadOnly: Bool = false,
        commitDelay: Duration = .seconds(1), mappingBudget: Int = ImageOpen.defaultBudget, health: DiskHealth
    ) async throws(ImageError) -> OpenDisk {
        let access = isReadOnly ? ImageFile.Access.read : .write
        if format == .raw {
            let file = try ImageFile(BackingChain.resolve(name, below: root), access)
            let disk = try await loop.run { loop throws(ImageError) in
                let disk = try fileCall(.stat) { () throws(Errno) in
                    try RawDisk(
                        on: loop, file.duplicate(), path: file.path, isReadOnly: isReadOnly, health: health)
                }
                return Confined<Disk>(disk, to: loop)
            }
            return OpenDisk(disk, on: loop)
        }
        let chain = Handover(
            value: try BackingChain.open(
                root: root, name: name, format: format, access: access, budget: mappingBudget))
        let disk = await loop.run { loop in
            guard case .qcow2(let image) = chain.value.layers.first else {
                preconditionFailure("a qcow2 chain begins with an image")
            }
            return Confined<Disk>(
                ImageDisk(image, in: chain.value, on: loop, commitDelay: commitDelay, health: health), to: loop)
        }
        return OpenDisk(disk, on: loop)
    }

    /// Runs `body` with the disk, on its loop.
    func run<Value: Sendable, Failure: Error>(
        _ body: @Sendable (Disk) throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let disk = disk
        return try await loop.run { loop throws(Failure) in try body(disk.open(on: loop)) }
    }

    /// How the disk stands.
    func condition() async -> DiskCondition {
        await run { disk in disk.health.condition(at: disk.loop.now) }
    }

    /// The disk itself, for code that is on its loop.
    func disk(on loop: Loop) -> Disk { disk.open(on: loop) }

    /// Makes everything durable that has completed.
    func flush() async throws(ImageError) {
        try await wait(.sync) { disk, end in FlushClient(on: disk, end).start() }
    }

    /// Makes the disk larger; durable on return, and only then open to requests.
    func grow(to size: UInt64) async throws(ImageError) {
        try await run { disk throws(ImageError) in try disk.beginGrow(to: size) }
        try await flush()
        await run { disk in disk.grow(to: size) }
    }

    /// Lets what is under way end, commits, and closes the files.
    func close() async throws(ImageError) {
        try await wait(.write) { disk, end in disk.close(end) }
    }

    /// Starts something on the loop and waits for its end.
    private func wait(
        _ operation: FileOperation, _ start: @escaping @Sendable (Disk, @escaping (Errno?) -> Void) -> Void
    ) async throws(ImageError) {
        let error = await withCheckedContinuation { (waiter: CheckedContinuation<Errno?, Never>) in
            Task { await run { disk in start(disk) { waiter.resume(returning: $0) } } }
        }
        if let error { throw .system(operation: operation, error) }
    }
}

/// Something made by one thread for another that alone uses it afterwards.
///
/// `@unchecked Sendable`: its maker keeps no reference.
private struct Handover<Value>: @unchecked Sendable {
    let value: Value
}

/// The client of one flush that control code asked for. The loop's table keeps it until it has ended.
private final class FlushClient: DiskClient {
    private let disk: Disk
    private let end: (Errno?) -> Void

    init(on disk: Disk, _ end: @escaping (Errno?) -> Void) {
        self.disk = disk
        self.end = end
        super.init(on: disk.loop)
    }

    func start() {
        disk.submit(DiskRequest(operation: .flush, offset: 0, length: 0, tag: 0), for: self)
    }

    override func diskCompleted(tag: UInt32, error: Errno?) {
        end(error)
        retire()
    }
}
