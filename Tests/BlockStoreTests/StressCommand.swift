import TestSupport
import ISCSI

/// One request of a stress client that the target owes an answer.
struct StressCommand {
    enum Kind: Equatable {
        case read
        case write(version: UInt32)
        /// COMPARE AND WRITE of one block.
        case exchange(version: UInt32)
        /// UNMAP, or WRITE SAME of zeros.
        case erase
        case flush
        case verify
        case status
        case ping
        case abort(tag: UInt32)
        /// LOGICAL UNIT RESET, or ABORT TASK SET.
        case clear(everyone: Bool)
    }

    let kind: Kind
    let lun: UInt8
    let range: Range<Int>
    /// The client's time of being at work when it was sent.
    let since: UInt64
    /// Its place in the order of sending.
    let order: UInt32
    /// What the target will fetch.
    var data: [UInt8] = []
    /// Bytes of a read that have come, and Data-In or R2T PDUs.
    var received = 0
    var count: UInt32 = 0
    var openR2Ts = 0
    /// It was sent outside the window, and the target may refuse it.
    var isImmediate = false

    /// The version that its range will hold, if it changes it.
    var version: UInt32? {
        switch kind {
        case .write(let version), .exchange(let version): version
        case .erase: 0
        case .read, .flush, .verify, .status, .ping, .abort, .clear: nil
        }
    }

    /// Whether it has claimed its range.
    var isClaiming: Bool { version != nil || kind == .read || kind == .verify }
}

/// Data that the target waits for.
struct StressBurst {
    let tag: UInt32
    /// All ones for unsolicited data.
    let transferTag: UInt32
    var offset: Int
    let end: Int
    var dataSN: UInt32 = 0
}

/// What one login of a stress client asks for, and what came of it.
struct StressOptions {
    var headerDigest = false
    var dataDigest = false
    var receiveSegment = 262_144
    var maxBurst = 1 << 20
    var firstBurst = 262_144
    var initialR2T = true
    var immediateData = true
    var r2ts = 1
    /// The most that the target takes in one PDU.
    var sendSegment = 8192

    /// Anything that an initiator may ask for.
    static func random(_ dice: inout SeededGenerator) -> StressOptions {
        var options = StressOptions()
        options.headerDigest = Bool.random(using: &dice)
        options.dataDigest = Bool.random(using: &dice)
        let lengths = [512, 1000, 4096, 8192, 65536, 262_144]
        options.receiveSegment = lengths.randomElement(using: &dice) ?? 512
        options.maxBurst = [4096, 65536, 262_144, 1 << 20].randomElement(using: &dice) ?? 4096
        options.firstBurst = [512, 4096, 65536, 262_144].randomElement(using: &dice) ?? 512
        options.initialR2T = Bool.random(using: &dice)
        options.immediateData = Bool.random(using: &dice)
        options.r2ts = [1, 2, 8].randomElement(using: &dice) ?? 1
        return options
    }

    /// The keys of the login, in their order.
    var keys: [String] {
        [
            "HeaderDigest=\(headerDigest ? "CRC32C" : "None")", "DataDigest=\(dataDigest ? "CRC32C" : "None")",
            "MaxRecvDataSegmentLength=\(receiveSegment)", "MaxBurstLength=\(maxBurst)",
            "FirstBurstLength=\(firstBurst)", "InitialR2T=\(initialR2T ? "Yes" : "No")",
            "ImmediateData=\(immediateData ? "Yes" : "No")", "MaxOutstandingR2T=\(r2ts)", "ErrorRecoveryLevel=0",
        ]
    }

    /// Takes the target's answers over.
    mutating func settle(_ text: [String: String]) throws(WireFault) {
        func number(_ key: String, _ own: Int) throws(WireFault) -> Int {
            guard let value = text[key] else { return own }
            guard let number = Int(value) else { throw WireFault("\(key)=\(value)") }
            return number
        }
        guard text["HeaderDigest"] == (headerDigest ? "CRC32C" : "None"),
            text["DataDigest"] == (dataDigest ? "CRC32C" : "None")
        else { throw WireFault("digests: \(text)") }
        maxBurst = try number("MaxBurstLength", maxBurst)
        firstBurst = try number("FirstBurstLength", firstBurst)
        r2ts = try number("MaxOutstandingR2T", r2ts)
        sendSegment = try number("MaxRecvDataSegmentLength", 8192)
        initialR2T = text["InitialR2T"].map { $0 == "Yes" } ?? initialR2T
        immediateData = text["ImmediateData"].map { $0 == "Yes" } ?? immediateData
    }
}
