internal import Synchronization

/// What an edit has made of the keys of a set: so that nothing has to compare thousands of elements to find a few.
///
/// Each edition has a number, so that what lies between one and the next is known without a look at either.
final class NFSetEdition: Sendable {
    /// What it was made from.
    enum Origin: Sendable {
        /// A set as nobody has edited it: these are its keys.
        case keys([NFKey: NFData])
        case edition(UInt64)

        init(of set: NFSet) {
            if let edition = set.edition, edition.isOf(set) {
                self = .edition(edition.number)
            } else {
                self = .keys(set.elements)
            }
        }
    }

    private static let last = Atomic<UInt64>(0)

    private let number: UInt64
    private let origin: Origin
    /// The keys behind it: a set may have changed since without being edited.
    private let result: [NFKey: NFData]
    let added: [NFKey: NFData]
    let removed: [NFKey: NFData]

    init(from origin: Origin, result: [NFKey: NFData], added: [NFKey: NFData], removed: [NFKey: NFData]) {
        number = Self.last.add(1, ordering: .relaxed).newValue
        self.origin = origin
        self.result = result
        self.added = added
        self.removed = removed
    }

    var isEmpty: Bool { added.isEmpty && removed.isEmpty }

    /// Whether the set is as the edit left it. Dictionaries that share their memory are found equal at once.
    private func isOf(_ set: NFSet) -> Bool { result == set.elements }

    /// Whether it is what lies between two sets, as far as that is known at once.
    func leads(from old: NFSet, to new: NFSet) -> Bool {
        guard new.edition === self, isOf(new) else { return false }
        return switch (origin, old.edition) {
        case (.keys(let keys), nil): keys == old.elements
        case (.edition(let number), let edition?): edition.number == number && edition.isOf(old)
        case (.keys, _?), (.edition, nil): false
        }
    }
}
