import Testing

@testable import Netlink

/// What the kernel is sent, byte by byte.
struct TransactionBytesTests {
    @Test func `a protected table with a set of ranges and a counter`() {
        var ports = NFSet("s", key: [.port], form: .ranges)
        ports.insert([NFRange(.ports(80...90))])
        var transaction = NFTransaction(generation: 5)
        transaction.create(NFTable(family: .inet, name: "t", sets: [ports], counters: ["c"]), .protected)
        #expect(
            hex(transaction.bytes)
                == hex(
                    "1c000000 1000 0100 00000000 00000000  # NFNL_MSG_BATCH_BEGIN",
                    "00 00 000a  # nfgenmsg: res_id NFNL_SUBSYS_NFTABLES",
                    "0800 0100 00000005  # NFNL_BATCH_GENID",
                    "24000000 000a 0106 00000000 00000000 01 00 0000  # NFT_MSG_NEWTABLE, CREATE | EXCL, inet",
                    "0600 0100 7400 0000  # NFTA_TABLE_NAME t",
                    "0800 0200 00000006  # NFTA_TABLE_FLAGS owner | persist",
                    "30000000 120a 0104 00000000 00000000 01 00 0000  # NFT_MSG_NEWOBJ",
                    "0600 0100 7400 0000  # NFTA_OBJ_TABLE",
                    "0600 0200 6300 0000  # NFTA_OBJ_NAME c",
                    "0800 0300 00000001  # NFTA_OBJ_TYPE NFT_OBJECT_COUNTER",
                    "0400 0480  # NFTA_OBJ_DATA, nested and empty",
                    "50000000 090a 0104 00000000 00000000 01 00 0000  # NFT_MSG_NEWSET",
                    "0600 0100 7400 0000  # NFTA_SET_TABLE",
                    "0600 0200 7300 0000  # NFTA_SET_NAME s",
                    "0800 0400 0000000d  # NFTA_SET_KEY_TYPE inet_service",
                    "0800 0500 00000002  # NFTA_SET_KEY_LEN",
                    "0800 0a00 00000001  # NFTA_SET_ID",
                    "0800 0300 00000004  # NFTA_SET_FLAGS NFT_SET_INTERVAL",
                    "0a00 0d00 00 04 02000000 0000  # NFTA_SET_USERDATA: key in network order",
                    "50000000 0c0a 0104 00000000 00000000 01 00 0000  # NFT_MSG_NEWSETELEM",
                    "0600 0100 7400 0000  # NFTA_SET_ELEM_LIST_TABLE",
                    "0600 0200 7300 0000  # NFTA_SET_ELEM_LIST_SET",
                    "2c00 0380  # NFTA_SET_ELEM_LIST_ELEMENTS",
                    "1000 0180 0c00 0180 0600 0100 0050 0000  # NFTA_SET_ELEM_KEY 80",
                    "1800 0180 0c00 0180 0600 0100 005b 0000  # NFTA_SET_ELEM_KEY 91",
                    "0800 0300 00000001  # NFTA_SET_ELEM_FLAGS NFT_SET_ELEM_INTERVAL_END"))
    }

    @Test func `a flow is forgotten by its tuple, its zone and its id`() throws {
        let tuple = ConntrackTuple(
            source: try #require(IPAddress("10.0.0.1")), destination: try #require(IPAddress("10.0.0.2")), transport: 1,
            ends: .icmp(type: 8, code: 0, id: 258))
        var writer = MessageWriter()
        writer.deleteConntrack(ConntrackEntry(original: tuple, reply: tuple, zone: 7, id: 9))
        #expect(
            hex(writer.bytes)
                == hex(
                    "60000000 0201 0100 00000000 00000000 02 00 0000  # IPCTNL_MSG_CT_DELETE, AF_INET",
                    "3c00 0180  # CTA_TUPLE_ORIG",
                    "1400 0180 0800 0100 0a000001 0800 0200 0a000002  # CTA_TUPLE_IP: source, destination",
                    "2400 0280  # CTA_TUPLE_PROTO",
                    "0500 0100 01 000000  # CTA_PROTO_NUM ICMP",
                    "0600 0400 0102 0000  # CTA_PROTO_ICMP_ID",
                    "0500 0500 08 000000  # CTA_PROTO_ICMP_TYPE",
                    "0500 0600 00 000000  # CTA_PROTO_ICMP_CODE",
                    "0600 1200 0007 0000  # CTA_ZONE",
                    "0800 0c00 00000009  # CTA_ID"))
    }
}
