internal import Glibc
internal import SystemPackage

/// What a person reads, kept as a file beside the test that proves it.
///
/// `BLESS=1 swift test` rewrites the files instead of comparing; the difference is then reviewed as any other change.
public enum Golden {
    /// Compares a text with a file named relative to the folder of the calling test.
    ///
    /// - Returns: nil where they are equal, else both side by side with the lines that differ marked.
    public static func difference(_ text: String, from name: String, test: String = #filePath) throws -> String? {
        let folder = test.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let path = "\(folder)/\(name)"
        if getenv("BLESS") != nil {
            let descriptor = try FileDescriptor.open(
                path, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite, .groupRead, .otherRead])
            try descriptor.closeAfter { _ = try descriptor.writeAll(text.utf8) }
            return nil
        }
        let wanted = try TestSupport.text(ofFile: path)
        return wanted == text ? nil : "\(name) differs (BLESS=1 rewrites it):\n" + sideBySide(wanted, text)
    }

    /// Two texts beside each other, '|' between lines that differ.
    public static func sideBySide(_ wanted: String, _ found: String) -> String {
        let left = wanted.split(separator: "\n", omittingEmptySubsequences: false)
        let right = found.split(separator: "\n", omittingEmptySubsequences: false)
        let width = max(6, left.map(\.count).max() ?? 0)
        func padded(_ text: some StringProtocol) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        var lines = ["\(padded("wanted"))   found"]
        for index in 0..<max(left.count, right.count) {
            let (one, other) = (index < left.count ? left[index] : "", index < right.count ? right[index] : "")
            lines.append("\(padded(one)) \(one == other ? " " : "|") \(other)")
        }
        return lines.joined(separator: "\n")
    }
}
