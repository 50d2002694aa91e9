public import Manifest

/// A value of the manifest with the place where it stands, for a check that runs when all is read. Equality is that of
/// the value alone: a line moved in the file is no change.
public struct Placed<Value: Hashable & Sendable>: Hashable, Sendable {
    public let value: Value
    public let position: Position
    /// How many columns the caret underlines.
    public let width: Int

    public init(_ value: Value, at position: Position, width: Int = 1) {
        self.value = value
        self.position = position
        self.width = width
    }

    public static func == (left: Placed, right: Placed) -> Bool { left.value == right.value }

    public func hash(into hasher: inout Hasher) { hasher.combine(value) }
}
