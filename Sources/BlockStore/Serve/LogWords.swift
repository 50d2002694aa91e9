internal import ISCSI

// How things are named in the log, so that one line tells an operator which machine and which disk it is about.

extension Connection {
    /// The target, the initiator and where it comes from, as far as they are known.
    var who: String {
        let parameters = session?.parameters ?? login.parameters
        guard !parameters.initiatorName.isEmpty else { return "\(peer)" }
        return "\(parameters.targetName ?? "discovery"): \(parameters.initiatorName) at \(peer)"
    }
}

extension LogicalUnit {
    /// Its number and its volume.
    var words: String { "LUN \(number) (\(volume))" }
}

extension Command {
    /// What it does to the disk, and where.
    var words: String {
        switch self {
        case .read(let range, _): "read of \(range.words)"
        case .write(let range, _), .writeAndVerify(let range, _), .orWrite(let range, _), .writeSame(let range, _, _):
            "write of \(range.words)"
        case .compareAndWrite(let range, _): "compare and write of \(range.words)"
        case .verify(let range, _): "verify of \(range.words)"
        case .unmap: "unmap"
        case .synchronizeCache: "flush"
        default: "command"
        }
    }
}

extension BlockRange {
    fileprivate var words: String { "\(count) blocks at \(lba)" }
}
