import Capabilities

/// What the kernel offers, what takes the place of what it lacks, and what is missing.
enum KernelFindings {
    static func all(_ capabilities: Capabilities) -> [Finding] {
        let needRoot = Capability.allCases.filter { capabilities[$0] == .unknown(.needsRoot) }
        var findings = Capability.allCases.filter { !needRoot.contains($0) }.map { finding($0, capabilities) }
        if !needRoot.isEmpty {
            findings.append(
                Finding(
                    .kernel, .unknown, "\(needRoot.count) capabilities of the kernel",
                    "trying them needs a network namespace of our own, and that needs root",
                    remedy: "sudo sdagent doctor"))
        }
        return findings
    }

    private static func finding(_ capability: Capability, _ capabilities: Capabilities) -> Finding {
        let facts = capability.facts
        let lack = lack(of: capability, capabilities)
        // It only ever takes the place of the other, and changes the way of all bridged packets when it is loaded.
        if capability == .bridgeNetfilter, capabilities.has(.conntrackBridge), !capabilities.has(capability) {
            return Finding(.kernel, .fine, "\(facts.purpose) (\(facts.option)): not loaded, and not needed")
        }
        switch capabilities[capability] {
        case .native: return Finding(.kernel, .fine, "\(facts.purpose) (\(facts.option))")
        case .fallback(let name): return Finding(.kernel, .fallback, facts.purpose, "falls back to \(name) (\(lack))")
        case .missing: return Finding(.kernel, .missing, facts.purpose, "not on this kernel (\(lack))")
        case .unloaded(let module):
            return Finding(
                .kernel, .missing, facts.purpose, "the kernel has it as a module that is not loaded",
                remedy: "modprobe \(module) && echo \(module) > /etc/modules-load.d/sdagent-\(module).conf")
        case .unknown(let reason):
            return Finding(.kernel, .unknown, "\(facts.purpose) (\(facts.option))", "cannot be told: \(reason)")
        }
    }

    /// "it lacks CONFIG_NET_VRF", or "it came with Linux 6.9" where the option alone would not help.
    static func lack(of capability: Capability, _ capabilities: Capabilities) -> String {
        let facts = capability.facts
        if let running = KernelRelease(parsing: capabilities.release), running < facts.since {
            return "it came with Linux \(facts.since)"
        }
        // The option alone does not do: the processor must have it, and the firmware allow it.
        return capability == .kvm ? "no /dev/kvm" : "no \(facts.option)"
    }
}
