import TestSupport

/// A node that serves three disks: two in `open` to whom it names, one in `secret` also behind CHAP.
struct DiskNode: Sendable {
    let node: AgentNode

    static let initiator = "iqn.1993-08.org.debian:01:vm1"
    static let password = "correct horse battery"

    /// Makes the node and runs the body beside its daemon.
    static func with(_ body: @Sendable (DiskNode, RunningCommand) async throws -> Void) async throws {
        try await AgentNode.with("{}") { node in
            let disks = DiskNode(node: node)
            let secret = try node.directory.write(password, to: "secret", mode: 0o600)
            try node.write(manifest(secretFile: secret))
            try await node.withDaemon { daemon in try await body(disks, daemon) }
        }
    }

    private static func manifest(secretFile: String) -> String {
        """
        pools: { fast: {} }
        volumes:
          one: { pool: fast, size: 256MiB }
          two: { pool: fast, size: 64MiB }
          three: { pool: fast, size: 64MiB }
        targets:
          iqn.2026-11.org.example:open:
            portals: ["127.0.0.1:3260"]
            luns: { 0: one, 1: two }
            access: { initiators: ["\(initiator)"] }
          iqn.2026-11.org.example:secret:
            portals: ["127.0.0.1:3260"]
            luns: { 0: three }
            access: { initiators: ["\(initiator)"], chap: { user: vm1, secretFile: \(secretFile) } }

        """
    }

    /// The address of a LUN as libiscsi and QEMU write it.
    func url(_ target: String = "open", lun: Int = 0, login: String = "") -> String {
        "iscsi://\(login)127.0.0.1/iqn.2026-11.org.example:\(target)/\(lun)"
    }

    /// The words of a command that runs in the node.
    func inside(_ words: [String]) -> [String] { node.space.inside(words) }

    /// The options that make a QEMU tool open a LUN under the initiator's name.
    func options(_ target: String = "open", lun: Int = 0) -> String {
        "driver=raw,file.driver=iscsi,file.transport=tcp,file.portal=127.0.0.1:3260,"
            + "file.target=iqn.2026-11.org.example:\(target),file.lun=\(lun),file.initiator-name=\(Self.initiator)"
    }

    /// The same as the flat JSON that QEMU's tools take in place of a file name.
    func json(lun: Int = 0) -> String {
        let fields = options(lun: lun).split(separator: ",").map { option in
            let parts = option.split(separator: "=", maxSplits: 1)
            return "\"\(parts[0])\": \"\(parts[1])\""
        }
        return "json:{\(fields.joined(separator: ", "))}"
    }

    /// The file that holds a volume.
    func image(_ volume: String) async throws -> String {
        let found = try await output(of: ["find", node.state, "-type", "f", "-name", "*\(volume)*"])
        guard let path = found.split(separator: "\n").first else { throw NoImage(volume: volume) }
        return String(path)
    }

    /// What `iscsi-ls` lists under a name.
    func listing(as initiator: String = DiskNode.initiator, login: String = "") async throws -> CommandResult {
        try await command(inside(["iscsi-ls", "-s", "-i", initiator, "iscsi://\(login)127.0.0.1"]), seconds: 20)
    }
}

/// A volume has no file where it should.
struct NoImage: Error { let volume: String }
