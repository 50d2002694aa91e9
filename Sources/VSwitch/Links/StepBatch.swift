internal import Netlink
internal import SystemPackage

/// The messages of a run of steps in one batch, and which step each of them belongs to.
struct StepBatch {
    /// A refusal that is as good as success.
    enum Tolerance {
        case nothing
        /// What is to go is gone already.
        case missing
        /// What is to come is there already.
        case existing
        /// The kernel was built without the thing, and does well without it.
        case unsupported

        func covers(_ error: NetlinkError) -> Bool {
            switch self {
            case .nothing: false
            case .missing: error.isMissing
            case .existing: error.isExisting
            case .unsupported: error.errno == .notSupported
            }
        }
    }

    private var writer: MessageWriter
    /// The step of each message, in the order of the messages.
    private var steps: [(step: Int, tolerance: Tolerance)] = []
    private let count: Int

    /// An empty batch for a run of so many steps.
    init(count: Int) {
        self.count = count
        writer = MessageWriter(capacity: min(count, 4096) * 192 + 64)
    }

    /// Appends messages of one step.
    mutating func add(step: Int, tolerating: Tolerance = .nothing, _ write: (inout MessageWriter) -> Void) {
        write(&writer)
        while steps.count < writer.count { steps.append((step, tolerating)) }
    }

    /// Sends all, and returns the first error of each step; nil where the step has none.
    func errors(on socket: inout NetlinkSocket) throws(NetlinkError) -> [NetlinkError?] {
        var errors = [NetlinkError?](repeating: nil, count: count)
        guard !writer.isEmpty else { return errors }
        for (message, error) in try socket.request(writer).enumerated() {
            let (step, tolerance) = steps[message]
            guard let error, errors[step] == nil, !tolerance.covers(error) else { continue }
            errors[step] = error
        }
        return errors
    }
}
