// swift-tools-version: 6.3
import PackageDescription

// One list of settings for every target of ours.
let settings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    // The hot types cross modules (IOLoop -> ISCSI -> BlockStore) and must specialise there.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

// The import arrows: they go down only. ARCHITECTURE.md draws them, TidyTests keeps them.
let package = Package(
    name: "sdagent",
    products: [.executable(name: "sdagent", targets: ["sdagent"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(
            url: "https://github.com/apple/swift-http-types", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Row 0: C.
        .systemLibrary(
            name: "CNetlink", pkgConfig: "libmnl libnftnl", providers: [.apt(["libmnl-dev", "libnftnl-dev"])]),
        .target(name: "CLinux", linkerSettings: [.linkedLibrary("uring"), .linkedLibrary("z")]),

        // Row 1: the kernel's calls, the operator's file, the wire.
        .target(name: "Syscall", dependencies: ["CLinux", system], swiftSettings: settings),
        .target(name: "Manifest", dependencies: [yams], swiftSettings: settings),
        .target(name: "ISCSI", dependencies: ["CLinux", crypto], swiftSettings: settings),

        // Row 2: engines that know nothing of the product.
        .target(name: "Netlink", dependencies: ["CNetlink", "Syscall", system], swiftSettings: settings),
        .target(name: "Reconcile", dependencies: ["Manifest"], swiftSettings: settings),
        .target(name: "IOLoop", dependencies: ["CLinux", "Syscall", collections, system], swiftSettings: settings),

        // Row 3: where netlink and reconciling meet, and what is asked of the kernel by trying.
        .target(name: "Rules", dependencies: ["Netlink", "Reconcile", "Syscall", system], swiftSettings: settings),
        .target(
            name: "Capabilities", dependencies: ["CNetlink", "Netlink", "Syscall", system], swiftSettings: settings),

        // Row 4: the kinds. They never import each other.
        .target(
            name: "VSwitch",
            dependencies: ["Capabilities", "Netlink", "Rules", "Syscall", "Reconcile", "Manifest", system],
            swiftSettings: settings),
        .target(
            name: "VRouter",
            dependencies: ["Capabilities", "Netlink", "Rules", "Syscall", "Reconcile", "Manifest", system],
            swiftSettings: settings),
        .target(
            name: "BlockStore",
            dependencies: [
                "CLinux", "IOLoop", "ISCSI", "Syscall", "Reconcile", "Manifest", collections, crypto, logging, system,
            ],
            swiftSettings: settings),

        // Row 5: everything that knows everything.
        .executableTarget(
            name: "sdagent",
            dependencies: [
                "VSwitch", "VRouter", "BlockStore", "Capabilities", "Rules", "Netlink", "IOLoop", "ISCSI", "Manifest",
                "Reconcile", "Syscall",
                argumentParser, httpTypes, hummingbird, hummingbirdCore, lifecycle, logging, nioCore, nioPosix, system,
                unixSignals,
            ],
            swiftSettings: settings),

        // Tests.
        .target(
            name: "TestSupport", dependencies: ["Syscall", system], path: "Tests/TestSupport", exclude: ["launcher.py"],
            swiftSettings: settings),
        .testTarget(name: "SyscallTests", dependencies: ["Syscall", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "NetlinkTests", dependencies: ["Netlink", "CNetlink", "Syscall", "TestSupport", system],
            swiftSettings: settings),
        .testTarget(
            name: "CapabilitiesTests", dependencies: ["Capabilities", "Syscall", "TestSupport", system],
            swiftSettings: settings),
        .testTarget(name: "IOLoopTests", dependencies: ["IOLoop", "Syscall", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "ISCSITests", dependencies: ["ISCSI", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "ManifestTests", dependencies: ["Manifest", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "ReconcileTests", dependencies: ["Reconcile", "Manifest"], swiftSettings: settings),
        .testTarget(
            name: "VSwitchTests",
            dependencies: [
                "VSwitch", "VRouter", "Capabilities", "Netlink", "Rules", "Reconcile", "Manifest", "Syscall",
                "TestSupport",
            ],
            exclude: [
                "Guard/frames.py", "Group/peer.py", "Group/raw.py", "Random/guests.py", "Random/kernel.py",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "VRouterTests",
            dependencies: ["VRouter", "Netlink", "Rules", "Reconcile", "Manifest", "Syscall", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "BlockStoreTests",
            dependencies: ["BlockStore", "IOLoop", "ISCSI", "Reconcile", "Manifest", "Syscall", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "AgentTests",
            dependencies: [
                "sdagent", "Capabilities", "Netlink", "Reconcile", "Rules", "Manifest", "Syscall", "TestSupport",
                argumentParser, lifecycle, logging, system,
            ],
            exclude: ["Mistakes", "Doctor/Golden"],
            swiftSettings: settings),
        .testTarget(
            name: "EndToEndTests", dependencies: ["TestSupport"], exclude: ["flow.py"], swiftSettings: settings),
        .testTarget(name: "TidyTests", swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
