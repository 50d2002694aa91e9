extension NFTable {
    /// The same table, which takes what is equal in another one from there.
    ///
    /// Two values that share their memory are held once, and found to be equal without a look at their elements. Each
    /// manifest compiles its tables anew, and most of what is in them is what was in the last ones.
    public func sharing(with other: NFTable?) -> NFTable {
        guard let other else { return self }
        var table = self
        for (name, set) in sets {
            guard let twin = other.sets[name], twin == set else { continue }
            table.sets[name] = twin
        }
        for (name, chain) in chains {
            guard let twin = other.chains[name], twin == chain else { continue }
            table.chains[name] = twin
        }
        return table
    }
}
