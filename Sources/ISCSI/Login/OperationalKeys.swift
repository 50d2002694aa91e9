/// The keys of the operational stage and the rule by which each is settled (RFC 7143 section 13). Pure: an offer in,
/// an answer out, the result kept in the session's parameters.
struct OperationalKeys {
    let offers: TargetOffers
    /// Keys that a session without commands does not need are irrelevant in it.
    let discovery: Bool

    /// The words that answer instead of a value (section 6.2).
    static let reject = "Reject"
    static let notUnderstood = "NotUnderstood"
    static let irrelevant = "Irrelevant"

    /// Settles one offer. The answer is nil for a declaration, which none follows.
    func settle(_ pair: TextPair, _ agreed: inout SessionParameters) -> String? {
        switch pair.key {
        case "HeaderDigest": digest(pair.value, &agreed.headerDigest)
        case "DataDigest": digest(pair.value, &agreed.dataDigest)
        case "MaxRecvDataSegmentLength": declareSegment(pair.value, &agreed)
        case "DefaultTime2Wait": larger(pair.value, 0...3600, offers.time2Wait, &agreed.time2Wait)
        case "DefaultTime2Retain": smaller(pair.value, 0...3600, offers.time2Retain, &agreed.time2Retain)
        case "ErrorRecoveryLevel": number(pair.value, 0...2).map { String(min($0, 0)) } ?? Self.reject
        case "iSCSIProtocolLevel": number(pair.value, 0...31).map { String(min($0, 1)) } ?? Self.reject
        // RFC 7144: of the ways to report ended tasks we have the first one.
        case "TaskReporting": TextValue.list(pair.value).contains("RFC3720") ? "RFC3720" : Self.reject
        // Markers are gone since RFC 7143, yet initiators still name them (section 13.25).
        case "OFMarker", "IFMarker": "No"
        case "OFMarkInt", "IFMarkInt": Self.reject
        case "RDMAExtensions": "No"
        case "SendTargets", "TargetAddress", "TargetAlias", "TargetPortalGroupTag", "AuthMethod": Self.reject
        default: settleTransfer(pair, &agreed)
        }
    }

    /// The keys that speak of commands and their data: irrelevant in a discovery session.
    private func settleTransfer(_ pair: TextPair, _ agreed: inout SessionParameters) -> String? {
        var trial = agreed
        let answer: String
        switch pair.key {
        case "MaxConnections": answer = number(pair.value, 1...65535) == nil ? Self.reject : "1"
        case "InitialR2T":
            answer = either(pair.value, offers.initialR2T, &trial.initialR2T)
        case "ImmediateData":
            answer = both(pair.value, offers.immediateData, &trial.immediateData)
        case "MaxBurstLength":
            answer = smaller(pair.value, 512...0xff_ffff, offers.maxBurst, &trial.maxBurst)
        case "FirstBurstLength":
            // It must not be above MaxBurstLength, which `ordered` has put before it.
            let most = min(offers.firstBurst, agreed.maxBurst)
            answer = smaller(pair.value, 512...0xff_ffff, most, &trial.firstBurst)
        case "MaxOutstandingR2T":
            answer = smaller(pair.value, 1...65535, offers.maxOutstandingR2T, &trial.maxOutstandingR2T)
        case "DataPDUInOrder", "DataSequenceInOrder":
            answer = TextValue.boolean(pair.value) == nil ? Self.reject : "Yes"
        default: return Self.notUnderstood
        }
        guard !discovery else { return Self.irrelevant }
        agreed = trial
        return answer
    }

    /// The pairs with FirstBurstLength last, since its limit is a result of another key.
    static func ordered(_ pairs: [TextPair]) -> [TextPair] {
        pairs.filter { $0.key != "FirstBurstLength" } + pairs.filter { $0.key == "FirstBurstLength" }
    }

    private func number(_ text: String, _ range: ClosedRange<UInt64>) -> UInt32? {
        guard let value = TextValue.number(text), range.contains(value) else { return nil }
        return UInt32(exactly: value)
    }

    private func smaller(
        _ text: String, _ range: ClosedRange<UInt64>, _ ours: UInt32, _ agreed: inout UInt32
    ) -> String {
        guard let theirs = number(text, range) else { return Self.reject }
        agreed = min(ours, theirs)
        return String(agreed)
    }

    private func larger(
        _ text: String, _ range: ClosedRange<UInt64>, _ ours: UInt32, _ agreed: inout UInt32
    ) -> String {
        guard let theirs = number(text, range) else { return Self.reject }
        agreed = max(ours, theirs)
        return String(agreed)
    }

    private func either(_ text: String, _ ours: Bool, _ agreed: inout Bool) -> String {
        guard let theirs = TextValue.boolean(text) else { return Self.reject }
        agreed = ours || theirs
        return agreed ? "Yes" : "No"
    }

    private func both(_ text: String, _ ours: Bool, _ agreed: inout Bool) -> String {
        guard let theirs = TextValue.boolean(text) else { return Self.reject }
        agreed = ours && theirs
        return agreed ? "Yes" : "No"
    }

    private func declareSegment(_ text: String, _ agreed: inout SessionParameters) -> String? {
        guard let theirs = number(text, 512...0xff_ffff) else { return Self.reject }
        agreed.maxSendDataSegment = theirs
        return nil
    }

    /// The first of the initiator's list that we want too.
    private func digest(_ text: String, _ agreed: inout Bool) -> String {
        for name in TextValue.list(text) {
            switch (name, offers.digests) {
            case ("CRC32C", .either), ("CRC32C", .required):
                agreed = true
                return name
            case ("None", .either), ("None", .never):
                agreed = false
                return name
            default: continue
            }
        }
        return Self.reject
    }
}
