internal import Glibc

/// How many bytes two texts begin and end with that are the same, none counted twice.
struct EqualEnds {
    let prefix: Int
    let suffix: Int

    /// Compared at once: texts have hundreds of kilobytes, and an edit waits for it.
    private static let step = 4096

    init(_ old: String, _ new: String) {
        var (old, new) = (old, new)
        (prefix, suffix) = old.withUTF8 { old in
            new.withUTF8 { new in
                guard let one = old.baseAddress, let other = new.baseAddress else { return (0, 0) }
                let count = min(old.count, new.count)
                var prefix = 0
                while prefix + Self.step <= count, memcmp(one + prefix, other + prefix, Self.step) == 0 {
                    prefix += Self.step
                }
                while prefix < count, old[prefix] == new[prefix] { prefix += 1 }
                let left = count - prefix
                var suffix = 0
                while suffix + Self.step <= left,
                    memcmp(
                        one + (old.count - suffix - Self.step), other + (new.count - suffix - Self.step), Self.step)
                        == 0
                {
                    suffix += Self.step
                }
                while suffix < left, old[old.count - suffix - 1] == new[new.count - suffix - 1] { suffix += 1 }
                return (prefix, suffix)
            }
        }
    }
}
