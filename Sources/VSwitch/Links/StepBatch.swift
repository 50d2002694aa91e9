internal import Netlink
internal import Reconcile

/// The messages of a run of steps in one batch, and which step each of them belongs to.
struct StepBatch {
    private var writer: MessageWriter
    /// The step of each message, in the order of the messages.
    private var steps: [Int] = []
    private let count: Int

    /// An empty batch for a run of so many steps.
    init(count: Int) {
        self.count = count
        writer = MessageWriter(capacity: min(count, 4096) * 192 + 64)
    }

    var isEmpty: Bool { writer.isEmpty }

    /// Appends messages of one step.
    mutating func add(step: Int, _ write: (inout MessageWriter) -> Void) {
        write(&writer)
        while steps.count < writer.count { steps.append(step) }
    }

    /// Sends all, and returns the first error of each step; nil where the step has none.
    ///
    /// A deletion of what is gone already is no error.
    func errors(on socket: inout NetlinkSocket) throws(NetlinkError) -> [NetlinkError?] {
        var errors = [NetlinkError?](repeating: nil, count: count)
        guard !writer.isEmpty else { return errors }
        for (message, error) in try socket.request(writer).enumerated() {
            guard let error, errors[steps[message]] == nil else { continue }
            if error.operation.hasPrefix("delete"), error.isMissing { continue }
            errors[steps[message]] = error
        }
        return errors
    }

    /// Sends all; one outcome for each step.
    func send(on socket: inout NetlinkSocket) throws(NetlinkError) -> [StepOutcome] {
        try errors(on: &socket).map { $0.map { .failed("\($0)") } ?? .done }
    }
}
