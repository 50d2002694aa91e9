import Syscall
import SystemPackage

/// The manifests that were taken over, newest last: `STATE/manifests/00000042.json`, the bodies of apply requests.
struct ManifestHistory: Sendable {
    /// So many are kept.
    static let limit = 10

    let folder: FilePath

    init(_ state: StateDirectory) { folder = state.path.appending("manifests") }

    /// Adds a manifest, unless it is the newest already.
    func add(_ manifest: ManifestRequest) throws {
        try StateDirectory.makeDirectories(folder, permissions: 0o700)
        let numbers = try numbers()
        let bytes = try JSONText.compact(manifest)
        if let last = numbers.last, (try? read(last)) == bytes { return }
        try StateDirectory.replace(path((numbers.last ?? 0) + 1), with: bytes)
        for old in numbers.dropLast(Self.limit - 1) {
            do throws(Errno) { try File.remove(path(old)) } catch { throw StateError(path(old), "remove", error) }
        }
    }

    /// The newest manifest; nil where there is none, or none that can be read.
    func newest() -> ManifestRequest? {
        guard let last = try? numbers().last, let bytes = try? read(last) else { return nil }
        return try? JSONText.decode(ManifestRequest.self, bytes)
    }

    private func numbers() throws(StateError) -> [Int] {
        do throws(Errno) {
            return try File.names(in: folder).compactMap { name in
                name.hasSuffix(".json") ? Int(name.dropLast(5)) : nil
            }.filter { (1..<99_999_999).contains($0) }.sorted()
        } catch .noSuchFileOrDirectory {
            return []
        } catch {
            throw StateError(folder, "list", error)
        }
    }

    private func read(_ number: Int) throws(Errno) -> [UInt8] {
        let file = try File.open(path(number), .read)
        return try File.read(file, count: Int(clamping: try File.status(file).length), at: 0)
    }

    private func path(_ number: Int) -> FilePath {
        let digits = "\(number)"
        return folder.appending(String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".json")
    }
}
