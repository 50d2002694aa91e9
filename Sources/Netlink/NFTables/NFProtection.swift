/// Whether a table of ours is safe from other programs: from a flush of the ruleset, from changes, from deletion.
public enum NFProtection: Hashable, Sendable, CustomStringConvertible {
    /// A socket owns it: others are refused (EPERM), and a flush passes over it.
    case owned
    /// It is not, and why.
    case none(reason: String)

    public var description: String {
        switch self {
        case .owned: "owned"
        case .none(let reason): "none: \(reason)"
        }
    }
}

/// How long tables are to be held.
public enum NFTenure: Hashable, Sendable {
    /// As long as the ruleset's object lives: the daemon.
    case lasting
    /// By a command, which ends soon: tables are made so that a daemon can take them over, and none is missed.
    case passing
    /// Not at all: tables are made as any other program makes them.
    case none
}

extension NFTenure {
    /// What a table with these flags lacks of what is wanted.
    ///
    /// Flags cannot be put on a table that is there (EOPNOTSUPP), only a table that persists can be taken over.
    func lack(_ flags: NFTableFlags, isPossible: Bool) -> NFProtectionLack {
        switch self {
        case .none: return flags.isDisjoint(with: .protected) ? .nothing : .flags
        case .passing: return flags.contains(.persist) || !isPossible ? .nothing : .flags
        case .lasting:
            if flags.contains(.owner) && flags.contains(.persist) || !isPossible { return .nothing }
            return flags.contains(.persist) ? .owner : .flags
        }
    }
}

/// What lies between a table and the protection that it should have.
enum NFProtectionLack {
    case nothing
    /// It is to be taken over, in place.
    case owner
    /// It is to be made again, in one transaction: with the flags, or without.
    case flags
}
