internal import CNetlink
internal import Glibc
public import Syscall
internal import SystemPackage

/// An owned socket on which the kernel tells of changes; what it says is always the same: look again.
///
/// The owner polls `descriptor` for reading and then calls `drain()`. Lost events (ENOBUFS) mean "look again" too, so
/// an overrun needs no other treatment than any event.
public struct NetlinkMonitor: ~Copyable, Sendable {
    private let socket: Descriptor

    /// What is watched.
    public enum Subject: Sendable {
        /// Links, IPv4 and IPv6 addresses and routes, what interfaces forward; neighbours and forwarding entries that
        /// somebody has set. Not those that the kernel has learned: they change with the traffic. Queueing disciplines
        /// and filters.
        case routing
        /// nftables: tables, chains, rules, sets.
        case nftables
    }

    /// Opens a monitor in the network namespace of the calling thread.
    public init(_ subject: Subject) throws(NetlinkError) {
        do throws(Errno) {
            socket = try Self.open(subject)
        } catch {
            throw NetlinkError(operation: "watch the kernel's changes", cause: .system(error))
        }
    }

    /// Opens a monitor inside another network namespace.
    public init(_ subject: Subject, in namespace: borrowing NetworkNamespace) throws(NetlinkError) {
        do throws(Errno) {
            let opened = try namespace.run { () -> Result<CInt, Errno> in
                do throws(Errno) { return .success(try Self.open(subject).release()) } catch { return .failure(error) }
            }
            socket = Descriptor(adopting: try opened.get())
        } catch {
            throw NetlinkError(operation: "watch the kernel's changes in a network namespace", cause: .system(error))
        }
    }

    private static func open(_ subject: Subject) throws(Errno) -> Descriptor {
        let protocolNumber = subject == .routing ? NETLINK_ROUTE : NETLINK_NETFILTER
        let type = CInt(SOCK_RAW.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let socket = Descriptor(adopting: try linuxCall { Glibc.socket(AF_NETLINK, type, protocolNumber) })
        NetlinkOption.growBuffers(socket.raw, bytes: 1 << 20)
        // First of all, so that nothing that it leaves out is queued before.
        if subject == .routing { try NeighbourFilter.attach(to: socket.raw) }
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        try linuxCall {
            withUnsafePointer(to: &address) { address in
                address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(socket.raw, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
                }
            }
        }
        for group in subject.groups {
            try NetlinkOption.set(socket.raw, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        }
        return socket
    }

    /// The number to poll for reading; it stays valid as long as this owner lives.
    public var descriptor: CInt { socket.raw }

    /// Takes all events that are there, without waiting.
    ///
    /// - Returns: whether something changed, or may have: the caller looks again.
    public func drain() throws(NetlinkError) -> Bool {
        var isChanged = false
        var byte: UInt8 = 0
        while true {
            do throws(Errno) {
                // One byte is enough: the rest of the datagram goes with it.
                try linuxCall { recv(socket.raw, &byte, 1, 0) }
                isChanged = true
            } catch {
                switch error {
                case .wouldBlock: return isChanged
                case .noBufferSpace: isChanged = true
                default: throw NetlinkError(operation: "watch the kernel's changes", cause: .system(error))
                }
            }
        }
    }
}

extension NetlinkMonitor.Subject {
    fileprivate var groups: [CInt] {
        switch self {
        case .routing:
            [
                RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                RTNLGRP_NEIGH, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_TC,
            ].map { CInt($0.rawValue) }
        case .nftables:
            [CInt(NFNLGRP_NFTABLES.rawValue)]
        }
    }
}
