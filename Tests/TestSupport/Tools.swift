internal import Glibc

/// Whether every one of these programs is on this machine: for `.enabled(if:)`, so that a skip is printed.
public func haveTools(_ names: String...) -> Bool {
    names.allSatisfy { name in
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"].contains { access("\($0)/\(name)", X_OK) == 0 }
    }
}

/// Whether this process is root, which namespaces and taps need.
public let isRoot = geteuid() == 0
