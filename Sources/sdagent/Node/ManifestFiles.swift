import Manifest
import Syscall
import SystemPackage

/// Reads the files and folders that the operator named with `-f`. What cannot be read is a mistake in the manifest:
/// passed over, it would look as if nobody wanted any more what it asks for.
struct ManifestFiles {
    /// What may be read besides regular files.
    enum Pipes: Sendable {
        /// A pipe or a terminal that is named by itself, however long its writer takes: `-f <(…)` in a command.
        case waitedFor
        /// Nothing: the daemon waits for nobody.
        case refused
    }

    let pipes: Pipes
    let diagnostics: Diagnostics

    /// The texts of files, and of the `*.yaml` and `*.yml` of folders, sorted, not of those below them.
    func sources(_ paths: [String]) -> [Source] {
        var known: Set<FilePath> = []
        return paths.flatMap { path in
            folder(path, &known) ?? source(path, pipes, &known).map { [$0] } ?? []
        }
    }

    /// The texts of a folder's files; nil where the path is no folder.
    private func folder(_ path: String, _ known: inout Set<FilePath>) -> [Source]? {
        let names: [String]
        do throws(Errno) {
            names = try File.names(in: FilePath(path))
        } catch .notDirectory {
            return nil
        } catch {
            report(path, "cannot be read: \(error)", hint: Self.remedy)
            return []
        }
        let chosen = names.filter { !$0.hasPrefix(".") && ($0.hasSuffix(".yaml") || $0.hasSuffix(".yml")) }
        if chosen.isEmpty {
            report(path, "the folder holds no manifest", hint: "manifests are files named *.yaml or *.yml")
        }
        // A pipe in a folder is nobody's `-f <(…)`.
        return chosen.compactMap { source(path.hasSuffix("/") ? path + $0 : path + "/" + $0, .refused, &known) }
    }

    /// - Parameter known: the files that were read before, by their real paths.
    private func source(_ path: String, _ pipes: Pipes, _ known: inout Set<FilePath>) -> Source? {
        do throws(Errno) {
            let file = try File.open(FilePath(path), .read)
            let isFile = try File.status(file).kind == .file
            guard isFile || pipes == .waitedFor else {
                report(path, "is not a regular file", hint: "put the manifest into a file, or take this one away")
                return nil
            }
            if isFile, !known.insert(try File.realPath(FilePath(path))).inserted {
                report(path, "is named twice with -f", hint: "name it once, by itself or by its folder")
                return nil
            }
            // One byte more than may be tells the reader that there are too many.
            let bytes = try File.readToEnd(file, limit: Source.byteLimit + 1)
            let directory = try directory(of: path, isFile: isFile)
            return Source(file: path, directory: directory, bytes: bytes, diagnostics)
        } catch {
            report(path, "cannot be read: \(error)", hint: Self.remedy)
            return nil
        }
    }

    /// Where relative paths in a manifest start from: the folder of the file itself, whatever links lead to it. A pipe
    /// lies in no folder, so they start where the command was called.
    private func directory(of path: String, isFile: Bool) throws(Errno) -> String {
        guard isFile else { return try OwnProcess.workingDirectory() }
        return try File.realPath(FilePath(path)).removingLastComponent().string
    }

    private static let remedy = "name a manifest with -f FILE or -f DIR"

    private func report(_ path: String, _ message: String, hint: String) {
        diagnostics.report(at: Position(file: path, line: 0, column: 0), message, hint: hint)
    }
}
