import Syscall
import SystemPackage

/// A held lock of the state directory; it goes with its owner, and with the process however that ends.
///
/// The file holds the holder's pid, for the message to whoever comes second; the lock itself is the kernel's.
struct StateLock: ~Copyable, Sendable {
    /// What is locked.
    enum Purpose: Sendable {
        /// Changing the node: one apply at a time.
        case apply
        /// Being the daemon of this state directory.
        case run

        var fileName: String {
            switch self {
            case .apply: "lock"
            case .run: "run.lock"
            }
        }
    }

    private let file: Descriptor

    private init(file: consuming Descriptor) { self.file = file }

    deinit {
        // Now, whoever still refers to the open file. It is open, so the kernel has no reason to refuse; if it did, the
        // closing that follows would be all there is.
        do throws(Errno) { try FileLock.release(file, bytes: 0..<1) } catch { return }
    }

    /// Gives the lock up.
    consuming func release() {}

    /// Takes the lock if nobody holds it.
    static func take(_ purpose: Purpose, in state: StateDirectory) throws(StateError) -> StateLock? {
        let path = state.path.appending(purpose.fileName)
        do throws(Errno) {
            let file = try open(path)
            guard try FileLock.exclude(file, byte: 0) else { return nil }
            try File.truncate(file, to: 0)
            try File.write(file, Array("\(OwnProcess.id)\n".utf8), at: 0)
            return StateLock(file: file)
        } catch {
            throw StateError(path, "lock", error)
        }
    }

    /// Takes the lock, waiting for its holder at most `patience`.
    ///
    /// - Parameter onWait: told once, with the holder's pid if it is known, that there is something to wait for.
    static func take(
        _ purpose: Purpose, in state: StateDirectory, patience: Duration, onWait: @Sendable (Int32?) -> Void
    ) async throws -> StateLock {
        let deadline = ContinuousClock.now + patience
        var isTold = false
        while true {
            if let lock = try take(purpose, in: state) { return lock }
            if !isTold { onWait(holder(of: purpose, in: state)) }
            isTold = true
            guard ContinuousClock.now < deadline else {
                let path = state.path.appending(purpose.fileName)
                throw LockedError(path: path, holder: holder(of: purpose, in: state), waited: patience)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Whether somebody else holds the lock. A directory or file that is not there is locked by nobody.
    static func isHeld(_ purpose: Purpose, in state: StateDirectory) throws(StateError) -> Bool {
        let path = state.path.appending(purpose.fileName)
        do throws(Errno) {
            let file = try File.open(path, .readWrite)
            return try FileLock.isHeldElsewhere(file, byte: 0)
        } catch .noSuchFileOrDirectory {
            return false
        } catch {
            throw StateError(path, "look at the lock", error)
        }
    }

    /// The pid that the holder wrote; nil if it cannot be read.
    static func holder(of purpose: Purpose, in state: StateDirectory) -> Int32? {
        do throws(Errno) {
            let file = try File.open(state.path.appending(purpose.fileName), .read)
            let bytes = try File.read(file, count: 16, at: 0)
            return Int32(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
        } catch {
            return nil
        }
    }

    private static func open(_ path: FilePath) throws(Errno) -> Descriptor {
        do throws(Errno) {
            return try File.open(path, .createNew(permissions: 0o600))
        } catch .fileExists {
            return try File.open(path, .readWrite)
        }
    }
}

/// Somebody else is at work on the same state directory.
struct LockedError: Error, CustomStringConvertible {
    let path: FilePath
    let holder: Int32?
    let waited: Duration

    var description: String {
        let who = holder.map { "the process \($0)" } ?? "another process"
        return "\(who) is changing this node (it holds \(path))\(waited.inVain)"
    }
}

extension Duration {
    /// What is said of somebody who was waited for so long, to whole seconds.
    var inVain: String {
        let time = Int((self / .seconds(1)).rounded())
        return (time > 0 ? " and did not finish within \(time) s" : "") + ": nothing was changed; try again later"
    }
}
