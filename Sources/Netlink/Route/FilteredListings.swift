internal import CNetlink

extension NetlinkSocket {
    /// Lists the bridges of the socket's namespace; the kernel leaves their ports out, of which there may be thousands.
    public mutating func bridges() throws(NetlinkError) -> [Link] {
        var request = MessageWriter(capacity: 96)
        request.message(UInt16(RTM_GETLINK), .dump, operation: "list bridges") {
            $0.append(ifinfomsg())
            // Without IFLA_EXT_MASK, for which the kernel first measures every link of the namespace (rtnl_calcit).
            $0.nested(Int(IFLA_LINKINFO)) { $0.attribute(Int(IFLA_INFO_KIND), "bridge") }
        }
        // A kernel that does not know the filter lists them all.
        return try dump(request) { Link($0) }.filter { $0.kind == .bridge }
    }
}

extension NetlinkSocket {
    /// Lists the routes that lead through a link, both families, all tables; those with several next hops included.
    public mutating func routes(through link: Int32) throws(NetlinkError) -> [Route] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETROUTE), .dump, operation: "list routes") {
            $0.append(rtmsg())
            $0.attribute(Int(RTA_OIF.rawValue), UInt32(bitPattern: link))
        }
        // A kernel without strict checking (before Linux 4.20) lists them all.
        return try dump(request) { Route($0) }.filter { $0.link == link || $0.isComplex }
    }

    /// Lists the routes that one program has put there, both families, all tables; the kernel leaves the others out, of
    /// which there may be a million.
    public mutating func routes(ofProtocol number: UInt8) throws(NetlinkError) -> [Route] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETROUTE), .dump, operation: "list routes") {
            var header = rtmsg()
            header.rtm_protocol = number
            $0.append(header)
        }
        // A kernel without strict checking (before Linux 4.20) lists them all.
        return try dump(request) { Route($0) }.filter { $0.protocolNumber == number }
    }
}
