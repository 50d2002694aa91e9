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

    /// The lines in which two texts differ, beside each other; below each other where that is too wide.
    public static func sideBySide(_ wanted: String, _ found: String) -> String {
        let left = wanted.split(separator: "\n", omittingEmptySubsequences: false)
        let right = found.split(separator: "\n", omittingEmptySubsequences: false)
        let width = max(6, left.map(\.count).max() ?? 0)
        var lines: [String] = []
        // Only what is between the equal beginning and the equal end.
        let head = zip(left, right).prefix { $0 == $1 }.count
        let tail = zip(left.dropFirst(head).reversed(), right.dropFirst(head).reversed()).prefix { $0 == $1 }.count
        let (old, new) = (left.dropFirst(head).dropLast(tail), right.dropFirst(head).dropLast(tail))
        guard width <= 80 else {
            return (old.map { "- \($0)" } + new.map { "+ \($0)" }).joined(separator: "\n")
        }
        for index in 0..<max(old.count, new.count) {
            let one = index < old.count ? old[old.startIndex + index] : ""
            let other = index < new.count ? new[new.startIndex + index] : ""
            let blank = String(repeating: " ", count: width - one.count)
            lines.append("\(one)\(blank) \(one == other ? " " : "|") \(other)")
        }
        return lines.joined(separator: "\n")
    }
}
