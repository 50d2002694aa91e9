internal import Glibc
public import SystemPackage

/// Users of this node, as its name service knows them (/etc/passwd and what nsswitch.conf adds).
public enum User {
    /// The number of the user of this name; nil if there is none.
    ///
    /// - Throws: what the name service answers where it cannot say.
    public static func number(named name: String) throws(Errno) -> UInt32? {
        // The entry's texts go into the buffer; ERANGE asks for a longer one.
        var length = 1024
        while true {
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            var buffer = [CChar](repeating: 0, count: length)
            let code = getpwnam_r(name, &entry, &buffer, length, &found)
            if code == ERANGE, length < 1 << 20 {
                length *= 4
                continue
            }
            // Some name services answer ENOENT and the like for "no such user" (getpwnam(3)).
            guard code == 0 || code == ENOENT || code == ESRCH else { throw Errno(rawValue: code) }
            return found == nil ? nil : entry.pw_uid
        }
    }
}
