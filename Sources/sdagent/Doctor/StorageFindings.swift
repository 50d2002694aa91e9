import Capabilities
import Syscall
import SystemPackage

/// What disks and targets stand on: io_uring, limits, the file systems of the state and of pools.
enum StorageFindings {
    /// What is looked at for storage.
    struct Sight: Sendable {
        /// One file system, by what of ours lies on it.
        struct Place: Sendable {
            let owner: String
            let path: FilePath
            /// As far as the path is there today.
            let existing: FilePath
            let system: Result<FileSystem, Errno>
            let abilities: Result<FileSystem.Abilities, Errno>
        }

        var places: [Place] = []
        /// "Max open files" and "Max locked memory" of the daemon, or of this process where none runs.
        var limits: [String: UInt64] = [:]
        var isDaemon = false
        var hasInitiator = false
    }

    static func look(state: FilePath, _ here: Circumstances, daemon: Int32?) -> Sight {
        var sight = Sight()
        sight.places = [place("the state", state)]
        for (name, path) in here.pools.sorted(by: { $0.key < $1.key }) where !path.starts(with: state) {
            sight.places.append(place("pool '\(name)'", path))
        }
        sight.isDaemon = daemon != nil
        let who = daemon.map { "\($0)" } ?? "self"
        for line in NodeSight.text("/proc/\(who)/limits")?.split(separator: "\n") ?? [] {
            for name in ["Max open files", "Max locked memory"] where line.hasPrefix(name) {
                let soft = line.dropFirst(name.count).split(separator: " ").first ?? ""
                sight.limits[name] = soft == "unlimited" ? .max : UInt64(soft)
            }
        }
        sight.hasInitiator = NodeSight.text("/etc/iscsi/initiatorname.iscsi") != nil
        return sight
    }

    private static func place(_ owner: String, _ path: FilePath) -> Sight.Place {
        var existing = path
        while !existing.isEmpty, !isDirectory(existing), existing != existing.removingLastComponent() {
            existing = existing.removingLastComponent()
        }
        let system: Result<FileSystem, Errno>
        let abilities: Result<FileSystem.Abilities, Errno>
        do throws(Errno) { system = .success(try FileSystem(of: existing)) } catch { system = .failure(error) }
        do throws(Errno) {
            abilities = .success(try FileSystem.abilities(in: existing))
        } catch {
            abilities = .failure(error)
        }
        return Sight.Place(owner: owner, path: path, existing: existing, system: system, abilities: abilities)
    }

    private static func isDirectory(_ path: FilePath) -> Bool {
        do throws(Errno) { return try File.open(path, .directory).raw >= 0 } catch { return false }
    }

    static func findings(
        _ sight: Sight, _ settings: [String: Int], _ here: Circumstances, _ capabilities: Capabilities
    ) -> [Finding] {
        var findings = [ring(here, capabilities)]
        findings += sight.places.flatMap { place($0, promised: promised($0, here)) }
        findings += limits(sight, here)
        if let used = settings["fs/aio-nr"], let most = settings["fs/aio-max-nr"] {
            let isNear = used >= most / 10 * 9
            findings.append(
                isNear
                    ? Finding(
                        .storage, .note, "\(used) of \(most) requests of Linux AIO are taken (fs.aio-max-nr)",
                        "a hypervisor with aio=native may not start; the agent itself uses io_uring",
                        remedy: Sysctls.command([("fs.aio-max-nr", 1_048_576)]))
                    : Finding(.storage, .fine, "\(used) of \(most) requests of Linux AIO are taken"))
        }
        findings.append(initiator(sight, here))
        return findings
    }

    private static func ring(_ here: Circumstances, _ capabilities: Capabilities) -> Finding {
        let isNeeded = here.volumes > 0 || !here.portals.isEmpty
        switch capabilities[.ioUring] {
        case .native: return Finding(.storage, .fine, "io_uring, with every operation that disks need")
        case .unknown(let reason):
            return Finding(
                .storage, isNeeded ? .mend : .note, "io_uring", "\(reason); the daemon can serve no target",
                remedy: Sysctls.command([("kernel.io_uring_disabled", 0)]))
        case .fallback, .missing, .unloaded:
            let lack = KernelFindings.lack(of: .ioUring, capabilities)
            return Finding(
                .storage, isNeeded ? .mend : .missing, "io_uring", "the daemon can serve no target (\(lack))")
        }
    }

    private static func promised(_ place: Sight.Place, _ here: Circumstances) -> UInt64 {
        let mine = here.pools.filter { name, path in
            place.owner == "pool '\(name)'" || place.owner == "the state" && path.starts(with: place.path)
        }
        return mine.keys.map { here.promised[$0] ?? 0 }.reduce(0) { $0.addingReportingOverflow($1).partialValue }
    }

    private static func place(_ place: Sight.Place, promised: UInt64) -> [Finding] {
        let title = "\(place.owner) at \(place.path)"
        let system: FileSystem
        switch place.system {
        case .success(let found): system = found
        case .failure(let error):
            return [Finding(.storage, .unknown, title, "its file system cannot be asked: \(error)")]
        }
        var findings: [Finding] = []
        let room = "\(bytes(system.free)) of \(bytes(system.size)) free on \(system.name)"
        if system.free < max(system.size / 20, 64 << 20) {
            findings.append(
                Finding(
                    .storage, .mend, "\(title): \(room)", "when it is full, guests' writes fail",
                    remedy: "du -xh --max-depth=2 \(place.existing) | sort -h | tail"))
        } else if promised > system.free {
            findings.append(
                Finding(
                    .storage, .note, "\(title): \(room)",
                    "volumes may grow to \(bytes(promised)); watch it, or give them another pool"))
        } else {
            findings.append(Finding(.storage, .fine, "\(title): \(room)"))
        }
        if system.name == "tmpfs" || system.name == "ramfs" {
            findings.append(
                Finding(.storage, .note, "\(title) is on \(system.name)", "its disks are gone with the next boot"))
        }
        switch place.abilities {
        case .success(let abilities): findings += able(title, system, abilities)
        case .failure(.notSupported), .failure(.isDirectory):
            findings.append(Finding(.storage, .note, "\(title) has no unnamed files", "what it can do was not tried"))
        case .failure(let error):
            findings.append(
                Finding(
                    .storage, error == .readOnlyFileSystem ? .mend : .unknown, title,
                    "nothing can be written: \(error)",
                    remedy: error == .permissionDenied ? "sudo sdagent doctor" : "findmnt -T \(place.existing)"))
        }
        return findings
    }

    private static func able(_ title: String, _ system: FileSystem, _ abilities: FileSystem.Abilities) -> [Finding] {
        var findings: [Finding] = []
        if let error = abilities.holes {
            findings.append(
                Finding(
                    .storage, .note, "\(title): no holes in files (\(error))",
                    "what guests discard is not given back to \(system.name)"))
        }
        if let error = abilities.direct {
            findings.append(
                Finding(.storage, .note, "\(title): no O_DIRECT (\(error))", "disks go through the page cache"))
        }
        let clones =
            abilities.clones == nil ? "shares blocks between files" : "copies, where btrfs and xfs share blocks"
        if findings.isEmpty { findings.append(Finding(.storage, .fine, "\(title): holes, O_DIRECT; \(clones)")) }
        return findings
    }

    /// The unit asks for 65,536 files and for locked memory without a limit (configs/sdagent.service).
    private static func limits(_ sight: Sight, _ here: Circumstances) -> [Finding] {
        guard let files = sight.limits["Max open files"] else { return [] }
        // A volume holds its file, those of its layers and locks; a target its portals and sessions.
        let needed = UInt64(256 + 8 * here.volumes + 32 * here.portals.count)
        let who = sight.isDaemon ? "the daemon" : "a daemon started from this shell"
        guard files < needed else { return [Finding(.storage, .fine, "\(who) may open \(files) files")] }
        return [
            Finding(
                .storage, .mend, "\(who) may open \(files) files", "the manifest needs some \(needed)",
                remedy: sight.isDaemon
                    ? "systemctl edit sdagent   # [Service] LimitNOFILE=65536, then: systemctl restart sdagent"
                    : "ulimit -n 65536")
        ]
    }

    private static func initiator(_ sight: Sight, _ here: Circumstances) -> Finding {
        if sight.hasInitiator {
            return Finding(.storage, .fine, "open-iscsi is here, for disks of this node's own targets")
        }
        let isLocal = here.loopbackPortals > 0
        return Finding(
            .storage, isLocal ? .note : .fine, "open-iscsi is not on this node",
            isLocal ? "targets on a loopback address want an initiator here, if no hypervisor speaks iSCSI itself" : "",
            remedy: isLocal ? "apt-get install open-iscsi" : nil)
    }

    /// 20.5 GiB, 512 MiB.
    private static func bytes(_ count: UInt64) -> String {
        var value = Double(count)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 || tenths >= 1000
            ? "\(tenths / 10) \(units[unit])" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
