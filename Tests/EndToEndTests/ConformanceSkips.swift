/// What `iscsi-test-cu` skips on our disks, and why. `ConformanceTests` holds it against what is skipped indeed: a line
/// that is no longer true is as wrong as one that is missing.
enum ConformanceSkips {
    /// Names as `iscsi-test-cu --list` has them, without `ALL.`; `*` stands for all tests of a family.
    static let lines: [(reason: String, tests: [String])] = [
        (
            "a command that we do not have: EXTENDED COPY and its RECEIVE COPY RESULTS",
            ["ExtendedCopy.*", "ReceiveCopyResults.*"]
        ),
        (
            "a command that we do not have: READ DEFECT DATA, for which files have no use",
            ["ReadDefectData10.*", "ReadDefectData12.*"]
        ),
        ("a command that we do not have: WRITE ATOMIC (16)", ["WriteAtomic16.*"]),
        ("a command that we do not have: SANITIZE; the program does not try it unless told to", ["Sanitize.*"]),
        ("for removable media, and our disks are not", ["PreventAllow.*", "StartStopUnit.Simple"]),
        ("a target has one port, and a session one path", ["MultipathIO.*"]),
        (
            "for disks with several logical blocks in a physical one, and our blocks are as large as they say",
            [
                "CompareAndWrite.InvalidDataOutSize", "WriteSame10.InvalidDataOutSize", "WriteSame10.UnmapUnaligned",
                "WriteSame16.InvalidDataOutSize", "WriteSame16.UnmapUnaligned",
            ]
        ),
        (
            "WRITE SAME of no blocks means none here, as the Block Limits page says (WSNZ)",
            ["WriteSame10.ZeroBlocks", "WriteSame16.ZeroBlocks"]
        ),
    ]
}
