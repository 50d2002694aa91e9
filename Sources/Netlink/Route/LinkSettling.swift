internal import CNetlink

extension NetlinkSocket {
    /// How many answers are outstanding at a time: whole links, which take some 4 KB each of the receive buffer.
    private static let settledAtATime = 32

    /// Has the kernel take note of the carriers of links that have just been switched off or on.
    ///
    /// It does so by itself, of a hundred links a second. Until then a bridge takes a new port without a carrier for
    /// one that may forward, and takes that back later: twice the work. Who asks for a link has its carrier noted at
    /// once (rtnl_getlink calls linkwatch_sync_dev, from Linux 6.8 on). The answers themselves are of no interest here.
    public mutating func settleCarriers(of links: [Int32]) throws(NetlinkError) {
        var rest = links[...]
        while !rest.isEmpty {
            var requests = MessageWriter(capacity: Self.settledAtATime * 64)
            for link in rest.prefix(Self.settledAtATime) {
                requests.message(UInt16(RTM_GETLINK), operation: "get link") {
                    var header = ifinfomsg()
                    header.ifi_index = link
                    $0.append(header)
                    $0.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
                }
            }
            _ = try request(requests)
            rest = rest.dropFirst(Self.settledAtATime)
        }
    }
}
