import TestSupport
@testable import ISCSI

/// An initiator that logs in, for tests: builds requests, keeps what comes back.
struct LoginScript {
    var login: Login
    var admission = LoginAdmission.open(TargetAccess(), portalGroupTag: 1, alias: nil)
    var asked: [LoginSubject] = []
    var random = SeededGenerator(seed: 1)

    static let target = "iqn.2026-11.org.example:vm1"
    static let initiator = "iqn.1993-08.org.debian:01:abc"
    static let names = "InitiatorName=\(initiator)\0TargetName=\(target)\0SessionType=Normal\0"

    init(offers: TargetOffers = TargetOffers(), access: TargetAccess = TargetAccess(), alias: String? = nil) {
        login = Login(offers: offers, tsih: 0x55)
        admission = .open(access, portalGroupTag: 1, alias: alias)
    }

    /// What can be set in a request's header; the rest is as one expects.
    struct Header {
        var transit = true
        var continues = false
        var current: UInt8 = 1
        var next: UInt8 = 3
        var versionMin: UInt8 = 0
        var isid: UInt64 = 0x0002_3d01_0005
        var tsih: UInt16 = 0
        var tag: UInt32 = 1
        var connectionID: UInt16 = 0

        static let security = Header(current: 0, next: 1)

        var bytes: [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 48)
            bytes[0] = 0x43
            bytes[1] = (transit ? 0x80 : 0) | (continues ? 0x40 : 0) | current << 2 | next
            bytes[3] = versionMin
            for index in 0..<6 { bytes[8 + index] = UInt8(truncatingIfNeeded: isid >> UInt64(40 - index * 8)) }
            bytes.patch(uint16: Int(tsih), at: 14)
            bytes.patch(uint32: Int(tag), at: 16)
            bytes.patch(uint16: Int(connectionID), at: 20)
            bytes.patch(uint32: 0x100, at: 24)
            return bytes
        }
    }

    mutating func send(_ header: Header, _ text: String) -> LoginStep {
        let request = header.bytes.withUnsafeBytes { LoginRequest($0) }
        let admission = self.admission
        var asked: [LoginSubject] = []
        let step = Array(text.utf8).withUnsafeBytes { bytes in
            login.receive(request, text: bytes, random: &random) { subject in
                asked.append(subject)
                return admission
            }
        }
        self.asked += asked
        return step
    }
}

extension LoginStep {
    /// The answer's keys, whatever the step.
    var keys: [String: String] {
        let bytes: [UInt8] =
            switch self {
            case .answer(_, let text), .established(_, let text, _): text
            case .refuse: []
            }
        guard let pairs = try? TextKeys.parse(bytes) else { return [:] }
        return Dictionary(pairs.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first + " twice" })
    }

    var response: LoginResponse {
        switch self {
        case .answer(let response, _), .established(let response, _, _), .refuse(let response, _): response
        }
    }

    var parameters: SessionParameters? {
        if case .established(_, _, let parameters) = self { parameters } else { nil }
    }

    var status: LoginStatus? {
        if case .refuse(let response, _) = self { response.status } else { nil }
    }
}
