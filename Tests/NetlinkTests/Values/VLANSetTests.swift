import Netlink
import Testing

struct VLANSetTests {
    private func set(_ text: String) -> VLANSet {
        VLANSet(text.split(separator: ",").compactMap { VLANRange("\($0)") })
    }

    @Test func `ids and ranges are read strictly`() {
        #expect(VLANRange("1") == VLANRange(1, 1) && VLANRange("30-40") == VLANRange(30, 40))
        #expect(VLANRange("4094") == VLANRange(4094, 4094))
        for text in ["0", "4095", "010", "40-30", "1-4095", "-3", "3-", "a", "", "1-2-3", " 1"] {
            #expect(VLANRange(text) == nil, "'\(text)'")
        }
    }

    @Test func `ranges are joined where they meet`() {
        #expect(set("30-40,20,41,10-12,11-14").description == "10-14, 20, 30-41")
        #expect(set("5,5,4-6").description == "4-6")
        #expect(VLANSet().description == "" && VLANSet().isEmpty)
        #expect(set("4094,1-4093") == VLANSet([.all]))
    }

    @Test func `sets are taken apart and put together`() {
        let some = set("1-10,20,30-40")
        #expect(some.subtracting(set("5,20,35-50")).description == "1-4, 6-10, 30-34")
        #expect(some.subtracting(VLANSet([.all])).isEmpty)
        #expect(some.subtracting(VLANSet()) == some)
        #expect(some.union(set("11-19,21")).description == "1-21, 30-40")
        #expect(some.intersection(set("9-35")).description == "9-10, 20, 30-35")
        #expect(some.contains(1) && some.contains(40) && !some.contains(41) && !some.contains(19))
        #expect(set("3-5,9").ids == [3, 4, 5, 9])
    }

    /// Every set of six ids against every other one, bit by bit.
    @Test func `as bits say`() {
        func of(_ bits: Int) -> VLANSet {
            (0..<6).reduce(VLANSet()) { bits >> $1 & 1 == 1 ? $0.union(VLANSet(UInt16($1 + 1))) : $0 }
        }
        for left in 0..<64 {
            for right in 0..<64 {
                #expect(of(left).union(of(right)) == of(left | right))
                #expect(of(left).subtracting(of(right)) == of(left & ~right))
                #expect(of(left).intersection(of(right)) == of(left & right))
            }
        }
    }
}
