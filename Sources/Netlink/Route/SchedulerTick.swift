/// How the kernel's schedulers keep bursts: as the time that they take at their rate, in ticks of 64 ns (PSCHED_SHIFT
/// in include/net/pkt_sched.h). So one comes back a little different from what was asked.
enum SchedulerTick {
    private static let nanoseconds = 64.0

    /// - Parameter rate: in bytes a second.
    static func ticks(_ bytes: UInt32, at rate: UInt64) -> UInt32 {
        let ticks = Double(bytes) * 1e9 / Double(max(rate, 1)) / nanoseconds
        return UInt32(exactly: min(ticks, Double(UInt32.max)).rounded(.up)) ?? .max
    }

    static func bytes(_ ticks: UInt32, at rate: UInt64) -> UInt32 {
        let bytes = Double(ticks) * nanoseconds * Double(rate) / 1e9
        return UInt32(exactly: min(bytes, Double(UInt32.max)).rounded()) ?? .max
    }

    /// Whether a burst that the kernel shows is the one that was asked for.
    static func isSame(_ seen: UInt32, as wanted: UInt32) -> Bool {
        (seen > wanted ? seen - wanted : wanted - seen) <= wanted / 100 + 1
    }
}
