internal import CNetlink

extension MessageWriter {
    /// Takes the transmit queue off a link: packets go straight to the device (`tc qdisc add dev … root noqueue`).
    ///
    /// A tap has queues of its own towards the hypervisor. The kernel's default discipline in front of them is waste: a
    /// multi-queue tap that comes up with it gets 256 pfifo_fast, which take 6.9 MB and 4 ms, measured on Linux 6.18.
    /// It must go before the link comes up. EOPNOTSUPP: a kernel without CONFIG_NET_SCHED, which has no queue anyway.
    @discardableResult
    public mutating func removeQueue(of link: Int32) -> Int {
        message(UInt16(RTM_NEWQDISC), [.create, .replace], operation: "remove queue of link") {
            var header = tcmsg()
            header.tcm_ifindex = link
            header.tcm_parent = UInt32(TC_H_ROOT)
            $0.append(header)
            $0.attribute(Int(TCA_KIND), "noqueue")
        }
    }
}
