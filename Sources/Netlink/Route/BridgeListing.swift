internal import CNetlink

extension NetlinkSocket {
    /// Lists the bridges of the socket's namespace; the kernel leaves their ports out, of which there may be thousands.
    public mutating func bridges() throws(NetlinkError) -> [Link] {
        var request = MessageWriter(capacity: 96)
        request.message(UInt16(RTM_GETLINK), .dump, operation: "list bridges") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
            $0.nested(Int(IFLA_LINKINFO)) { $0.attribute(Int(IFLA_INFO_KIND), "bridge") }
        }
        // A kernel that does not know the filter lists them all.
        return try dump(request) { Link($0) }.filter { $0.kind == .bridge }
    }
}
