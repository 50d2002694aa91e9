internal import IOLoop
internal import ISCSI

/// One SCSI command under way on a connection: what it is, where its data stands, what its answer will be. Integers and
/// borrowed memory; owned by the connection's `TaskTable`.
struct ServedTask {
    /// What the task is waiting for.
    enum Stage: UInt8 {
        /// Nothing: the place is free.
        case free
        /// A buffer of the pool.
        case awaitsBuffer
        /// Data from the initiator.
        case receives
        /// The disk.
        case works
        /// Its turn in the send queue, or the end of a send.
        case sends
    }

    /// What the send queue has to send for it next.
    enum Output: UInt8 {
        case none
        /// Data-In PDUs of what the buffer holds; with the last of all the status, if it is good.
        case data
        /// Requests for data.
        case requests
        /// The SCSI response.
        case response
    }

    /// How far a command of several steps has come.
    enum Step: UInt8 {
        case first
        case second
    }

    var stage = Stage.free
    var output = Output.none
    /// It stands in the send queue.
    var isQueued = false
    /// A send in flight carries something of it, and its end will be told by slot: the slot must not go to another.
    var isInFlight = false
    /// Its window slot was given back when its status was put into a PDU.
    var isRetired = false
    /// It answers nothing any more, and ends when nothing works for it.
    var isAborted = false
    /// Its status is settled from without: it answers with that as soon as the disk lets it, whatever data may come.
    var isTerminated = false

    /// Data of it did not arrive whole; it fails when the burst has ended.
    var hasLostData = false
    /// Its last data came in answer to an R2T.
    var isSolicited = false

    var command: SCSICommand
    /// What the store has to do; nil while it is looked at, and for commands that the device server answers.
    var work: Command?
    /// Parameters are to be handed to the device server when they are here.
    var isParameters = false
    /// The unit, which stays as long as a task is on it; nil when the address names none. And the nexus there.
    var unit: Unmanaged<LogicalUnit>?
    var nexus = 0

    var buffer: Buffer?
    /// For commands that compare or combine: what the disk holds.
    var second: Buffer?
    var read: ReadTransfer
    var write: WriteTransfer?
    /// Offset, in the command's data, of the buffer's first byte; and of the end of what it holds.
    var bufferBase: UInt32 = 0
    var bufferEnd: UInt32 = 0
    /// When, by the loop's time, it got its buffer or a segment of its data, or asked for more.
    var movedAt: UInt64 = 0
    /// Requests to the disk that are not answered yet.
    var diskRequests: UInt32 = 0
    /// The step of a command that takes several.
    var step = Step.first
    /// Bytes of the command that are done, where it is done piece by piece without the initiator's data.
    var position: UInt64 = 0
    /// It counts among the unit's writers, or is the only one.
    var hold = WriteGate.Hold.none

    var status = SCSIStatus.good
    var sense: Sense?
    var residual = Residual.none

    func isOn(_ other: LogicalUnit) -> Bool {
        unit?.toOpaque() == Unmanaged.passUnretained(other).toOpaque()
    }

    init(_ command: SCSICommand, read: ReadTransfer) {
        self.command = command
        self.read = read
    }
}

/// The tasks of one connection by slot; all memory is taken when the full feature phase begins.
struct TaskTable {
    /// The window, the immediate commands, and as many whose answers are still on their way out.
    static let capacity = CommandWindow.limit * 2 + CommandWindow.immediateLimit * 2

    let tasks: UnsafeMutablePointer<ServedTask>
    private var free: [UInt16]
    /// Slots in use, by initiator task tag. Few are used at a time, and found by a look at each.
    private var used: [UInt16] = []

    init() {
        tasks = .allocate(capacity: Self.capacity)
        free = (0..<UInt16(Self.capacity)).reversed()
        used.reserveCapacity(Self.capacity)
    }

    func deallocate() {
        tasks.deallocate()
    }

    var isFull: Bool { free.isEmpty }
    var isEmpty: Bool { used.isEmpty }
    /// The slots in use. The end of one task may end others: who goes through them asks `contains` again.
    var slots: [UInt16] { used }
    func contains(_ slot: UInt16) -> Bool { used.contains(slot) }
    var count: Int { used.count }

    /// Puts a task into a free slot.
    mutating func add(_ task: ServedTask) -> UInt16? {
        guard let slot = free.popLast() else { return nil }
        (tasks + Int(slot)).initialize(to: task)
        used.append(slot)
        return slot
    }

    mutating func remove(_ slot: UInt16) {
        (tasks + Int(slot)).deinitialize(count: 1)
        free.append(slot)
        if let index = used.firstIndex(of: slot) { used.swapRemove(index) }
    }

    /// The slot of the task with that tag that still answers.
    func find(_ initiatorTaskTag: UInt32) -> UInt16? {
        used.first { slot in
            let task = tasks + Int(slot)
            return task.pointee.command.initiatorTaskTag == initiatorTaskTag && !task.pointee.isAborted
                && !task.pointee.isRetired
        }
    }

    /// The slot of a task with that tag that was aborted and has not come to rest.
    func findAborted(_ initiatorTaskTag: UInt32) -> UInt16? {
        used.first { slot in
            let task = tasks + Int(slot)
            return task.pointee.command.initiatorTaskTag == initiatorTaskTag && task.pointee.isAborted
        }
    }

    /// The slot of a task by its place in memory.
    func slot(of task: UnsafeMutablePointer<ServedTask>) -> UInt16? {
        UInt16(exactly: task - tasks)
    }

    subscript(slot: UInt16) -> UnsafeMutablePointer<ServedTask> { tasks + Int(slot) }
}

extension [UInt16] {
    fileprivate mutating func swapRemove(_ index: Int) {
        swapAt(index, count - 1)
        removeLast()
    }
}
