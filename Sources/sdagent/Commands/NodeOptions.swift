import ArgumentParser
import Syscall
import SystemPackage

/// What every verb takes: which manifest, which daemon, which state.
struct NodeOptions: ParsableArguments {
    @Option(
        name: [.customShort("f"), .customLong("file")],
        help: ArgumentHelp(
            "A manifest, or a folder of them; may be given several times. (default: /etc/sdagent)",
            valueName: "file|dir"))
    var files: [String] = []

    @Option(help: ArgumentHelp("Where the daemon answers.", valueName: "path"))
    var socket = "/run/sdagent/sdagent.sock"

    @Option(help: ArgumentHelp("The agent's own folder: locks and the manifests last applied.", valueName: "dir"))
    var state = "/var/lib/sdagent"

    func validate() throws {
        // An unset variable of a script: the working directory is hardly what was meant.
        for (option, text) in [("--socket", socket), ("--state", state)] + files.map({ ("-f", $0) }) where text.isEmpty
        {
            throw ValidationError("'\(option)' is given an empty path")
        }
    }

    /// As a command reads them, once.
    var manifests: ManifestPaths {
        var manifests = followedManifests
        manifests.pipes = .waitedFor
        return manifests
    }

    /// As the daemon reads them, again and again.
    var followedManifests: ManifestPaths { ManifestPaths(paths: files.isEmpty ? ["/etc/sdagent"] : files) }

    var client: ControlClient { get throws { ControlClient(socketPath: try socketPath) } }

    /// Absolute: a name alone has no folder to be made, and messages tell the place.
    var socketPath: String { get throws { try absolute(socket, "--socket").string } }

    /// Absolute: pools at their default place lie in it, and links lead to them.
    var stateDirectory: StateDirectory {
        get throws { StateDirectory(path: try absolute(state, "--state")) }
    }

    private func absolute(_ path: String, _ option: String) throws -> FilePath {
        let path = FilePath(path)
        if path.isAbsolute { return path }
        do throws(Errno) {
            return FilePath(try OwnProcess.workingDirectory()).pushing(path)
        } catch {
            throw CommandError("the current folder cannot be named (\(error)): give an absolute path with \(option)")
        }
    }

    /// Says in words what would come as EPERM from some system call otherwise.
    func requirePrivilege(to purpose: String) throws {
        let holds: Bool
        do throws(Errno) {
            holds = try OwnProcess.holds(.networkAdministration)
        } catch {
            // /proc is not mounted: let the kernel judge each call.
            return
        }
        guard holds else {
            throw CommandError(
                "to \(purpose), sdagent needs \(OwnProcess.Capability.networkAdministration.name): "
                    + "run it as root, or with sudo")
        }
    }
}
