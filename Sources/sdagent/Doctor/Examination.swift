import Capabilities
import Manifest
import Reconcile
import SystemPackage
import VRouter
import VSwitch

/// One visit of the doctor: looks at everything, changes nothing.
struct Examination {
    let options: NodeOptions

    func run() throws -> DoctorDocument {
        let state = try options.stateDirectory
        // Always by trying: whoever asks the doctor may have changed what a record would not tell.
        let capabilities = Capabilities.renewed()
        var sight = NodeSight.look()
        var findings = KernelFindings.all(capabilities)
        var here = Circumstances(sight.links)
        var ofManifest: [Finding] = []
        do throws(ManifestMistakes) {
            let manifest = try options.manifests.load(Kinds.node(state))
            here = Circumstances(manifest.desired)
            ofManifest = ManifestFindings.all(manifest.desired, capabilities)
        } catch {
            ofManifest = [mistakes(error)]
        }
        sight.lookAtSettings(of: here.bridges)
        findings += ForwardFilters.findings(sight, here, capabilities)
        findings += NodeSettings.findings(sight, here)
        findings += NetworkServices.findings(sight, here)
        let daemon = try? StateLock.isHeld(.run, in: state) ? StateLock.holder(of: .run, in: state) : nil
        let storage = StorageFindings.look(state: state.path, here, daemon: daemon)
        findings += StorageFindings.findings(storage, sight.settings, here, capabilities)
        return DoctorDocument(kernel: capabilities.release, findings: findings + ofManifest)
    }

    /// No manifest at the place where one is looked for by default is no mistake: the node may have none yet.
    private func mistakes(_ error: ManifestMistakes) -> Finding {
        let places = options.manifests.paths.map { "-f \($0)" }.joined(separator: " ")
        let first = error.all.first.map { "\($0.position.file): \($0.message)" } ?? error.description
        if options.files.isEmpty, error.all.allSatisfy({ $0.position.line == 0 }) {
            return Finding(
                .manifest, .note, first, "the node was weighed against what it has now",
                remedy: "sdagent doctor -f FILE")
        }
        let count = error.all.count
        return Finding(
            .manifest, .mend, first,
            count == 1 ? "nothing of it is applied" : "and \(count - 1) more; nothing is applied",
            remedy: "sdagent validate \(places)")
    }
}
