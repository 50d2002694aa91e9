internal import ISCSI

/// An answer that belongs to no SCSI task: kept as a value until it is sent, when it gets its sequence numbers.
struct ControlPDU {
    enum Kind {
        case login(LoginResponse)
        case text(TextResponse)
        case nop(NopIn)
        case taskManagement(TaskManagementResponse)
        case logout(LogoutResponse)
        case reject(Reject)
        case asynchronous(AsyncMessage)
    }

    /// What happens to the connection when it has been sent.
    enum Sequel: Equatable {
        case goesOn
        case closes
        /// The full feature phase begins: digests are in force from the next PDU on.
        case establishes
    }

    var kind: Kind
    var data: [UInt8] = []
    var sequel = Sequel.goesOn
    /// The window slot that its answering gives back: nil for none, else whether the request was immediate.
    var retires: Bool?

    /// Whether it uses up a StatSN. The login counts for itself; a ping of our own does not count.
    var countsStatus: Bool {
        switch kind {
        case .login: false
        case .nop(let nop): nop.initiatorTaskTag != BasicHeader.reservedTag
        default: true
        }
    }

    /// Writes the header with these numbers.
    func encode(_ numbers: StatusNumbers, into bytes: UnsafeMutableRawBufferPointer) {
        switch kind {
        case .login(let response):
            response.encode(dataBytes: data.count, into: bytes)
        case .text(var response):
            response.numbers = numbers
            response.encode(dataBytes: data.count, into: bytes)
        case .nop(var nop):
            nop.numbers = numbers
            nop.encode(dataBytes: data.count, into: bytes)
        case .taskManagement(var response):
            response.numbers = numbers
            response.encode(into: bytes)
        case .logout(var response):
            response.numbers = numbers
            response.encode(into: bytes)
        case .reject(var reject):
            reject.numbers = numbers
            reject.encode(into: bytes)
        case .asynchronous(var message):
            message.numbers = numbers
            message.encode(dataBytes: data.count, into: bytes)
        }
    }
}
