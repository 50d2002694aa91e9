internal import Netlink
internal import Reconcile

/// What differs between the rates of a NIC as asked for and as they are. Pure.
struct RateDifference {
    /// In the words of the manifest; empty if nothing differs.
    private(set) var fields: [FieldChange] = []
    /// The bucket at the port must be set.
    private(set) var bucket: TokenBucket?
    /// Our bucket at the port must go.
    private(set) var isBucketLeft = false
    /// The ifb must be made: there is none, or none of the right name.
    private(set) var isIFBMissing = false
    /// The ifb that is there must go.
    private(set) var isIFBLeft = false
    /// The bucket of the ifb must be set.
    private(set) var ifbBucket: TokenBucket?
    /// The ifb must be switched on.
    private(set) var isIFBDown = false
    /// The filter must be set.
    private(set) var isRedirectionDue = false
    /// A filter of ours that is there must go.
    private(set) var isRedirectionLeft = false

    /// - Parameter spec: nil where all is to go.
    init(_ spec: RateSpec?, _ seen: RateObservation) {
        compareIngress(spec?.ingress, seen)
        compareEgress(spec, seen)
    }

    private mutating func compareIngress(_ cap: RateCap?, _ seen: RateObservation) {
        guard let wanted = cap?.bucket else {
            guard let left = seen.bucket else { return }
            isBucketLeft = true
            fields.append(FieldChange("ingress", from: left.words))
            return
        }
        if let root = seen.root, seen.bucket?.isAs(wanted) == true, root.overhead == RateMark.overhead { return }
        bucket = wanted
        fields.append(FieldChange("ingress", from: seen.bucket?.words, to: wanted.words))
    }

    private mutating func compareEgress(_ spec: RateSpec?, _ seen: RateObservation) {
        guard let spec, let wanted = spec.egress?.bucket else {
            isIFBLeft = seen.ifb != nil
            isRedirectionLeft = seen.redirection != nil
            let words = seen.ifbRoot?.bucket?.words ?? seen.ifb?.name.description
            if isIFBLeft || isRedirectionLeft { fields.append(FieldChange("egress", from: words ?? "nowhere")) }
            return
        }
        let isThere = seen.ifb?.name == spec.ifb
        isIFBMissing = !isThere
        isIFBLeft = seen.ifb != nil && !isThere
        let root = isThere ? seen.ifbRoot : nil
        let isHeld = root?.major == RateMark.major && root?.bucket?.isAs(wanted) == true
        if !isHeld || root?.overhead != RateMark.overhead {
            ifbBucket = wanted
            fields.append(FieldChange("egress", from: root?.bucket?.words, to: wanted.words))
        }
        if isThere, seen.ifb?.isUp == false {
            fields.append(FieldChange("state of \(spec.ifb)", from: "down", to: "up"))
        }
        isIFBDown = seen.ifb?.isUp == false || !isThere
        compareRedirection(spec, isThere ? seen.ifb : nil, seen)
    }

    private mutating func compareRedirection(_ spec: RateSpec, _ ifb: Link?, _ seen: RateObservation) {
        if let ifb, seen.redirection?.action == .redirect(to: ifb.index) { return }
        isRedirectionDue = true
        isRedirectionLeft = seen.redirection != nil
        // Of a cap that comes anew nobody needs to be told how it is held.
        if ifbBucket == nil { fields.append(FieldChange("way through", to: "\(spec.ifb)")) }
    }
}
