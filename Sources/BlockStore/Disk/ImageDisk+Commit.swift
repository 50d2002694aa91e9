import IOLoop
import SystemPackage

/// The commit under way, if any, and those who wait for the next.
struct CommitRun {
    /// What a commit does now.
    enum Stage {
        case idle
        /// Writes of a phase are in flight.
        case writing(Commit.Phase)
        /// The barrier after a phase is in flight.
        case syncing(Commit.Phase)
    }

    var stage = Stage.idle
    /// What it writes; nil where only the data is made durable.
    var commit: Commit?
    /// The epoch that ended with it.
    var epoch: UInt64 = 0
    /// The next of its writes.
    var next = 0
    var outstanding = 0
    var buffers: [UnsafeMutableRawPointer] = []
    var error: CInt = 0
    /// How the last one failed; nil if it did not.
    var lastError: Errno?
    /// Operations that end with the commit under way.
    var waiters: [Int] = []
    /// Operations that came later, and end with the next.
    var joining: [Int] = []
    /// The image's tables were changed since the last commit began.
    var hasChanges = false
    /// Something was written since the last sync began.
    var isUnsynced = false

    var isRunning: Bool {
        if case .idle = stage { return false }
        return true
    }
}

/// Making changes durable, in the order that `Commit` prescribes. Flushes that come while a commit runs share the next.
extension ImageDisk {
    /// Ends an operation with the next commit that begins.
    func joinCommit(_ index: Int) {
        commit.joining.append(index)
        startCommit()
    }

    /// The tables have changed: a commit follows within `commitDelay`, if nobody asks for one before.
    func noteChange() {
        commit.hasChanges = true
        guard commitTimer == nil, failure == nil else { return }
        commitTimer = loop.setTimer(after: commitDelay, for: self, tag: 0)
    }

    func startCommit() {
        guard !commit.isRunning else { return }
        commit.waiters = commit.joining
        commit.joining = []
        commit.error = failure?.rawValue ?? 0
        guard commit.error == 0 else { return endCommit() }
        if let commitTimer { loop.cancel(commitTimer) }
        commitTimer = nil
        commit.commit = commit.hasChanges ? image.beginCommit() : nil
        commit.hasChanges = false
        commit.next = 0
        commit.epoch = epochs.current
        if commit.commit?.freed.isEmpty == false { epochs.advance() }
        if commit.commit != nil { statistics.commits &+= 1 }
        startPhase(.refcountBlocks)
    }

    /// Starts the writes of a phase; a phase without writes has nothing to wait for but the data, in the first.
    private func startPhase(_ phase: Commit.Phase) {
        commit.stage = .writing(phase)
        if let running = commit.commit {
            while commit.next < running.writes.count, running.writes[commit.next].phase == phase {
                let write = running.writes[commit.next]
                commit.next += 1
                commit.outstanding += 1
                startCommitWrite(write)
            }
        }
        if commit.outstanding == 0 { startBarrier(phase) }
    }

    private func startCommitWrite(_ write: Commit.Write) {
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: write.bytes.count, alignment: 512)
        write.bytes.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(start: bytes, count: source.count).copyMemory(from: source)
        }
        commit.buffers.append(bytes)
        startWrite(.commit, at: write.at, from: bytes, write.bytes.count)
    }

    func commitWriteEnded(_ error: CInt) {
        commit.outstanding -= 1
        if error != 0, commit.error == 0 { commit.error = error }
        guard commit.outstanding == 0, case .writing(let phase) = commit.stage else { return }
        if commit.error != 0 { endCommit() } else { startBarrier(phase) }
    }

    private func startBarrier(_ phase: Commit.Phase) {
        guard commit.isUnsynced else { return nextPhase(after: phase) }
        commit.isUnsynced = false
        commit.stage = .syncing(phase)
        recorder?(.syncBegan)
        let tag = startOther(.sync)
        loop.syncData(topFile, for: self, tag: tag)
    }

    func syncEnded(_ error: CInt) {
        guard case .syncing(let phase) = commit.stage else { return }
        guard error == 0 else {
            // The kernel may have dropped the pages that it could not write: what is durable is no longer known.
            failure = Errno(rawValue: error)
            commit.error = error
            return endCommit()
        }
        recorder?(.syncEnded)
        nextPhase(after: phase)
    }

    private func nextPhase(after phase: Commit.Phase) {
        guard let running = commit.commit, commit.next < running.writes.count else { return endCommit() }
        startPhase(running.writes[commit.next].phase)
    }

    private func endCommit() {
        commit.stage = .idle
        commit.lastError = commit.error == 0 ? nil : Errno(rawValue: commit.error)
        for buffer in commit.buffers { buffer.deallocate() }
        commit.buffers.removeAll(keepingCapacity: true)
        if let ended = commit.commit {
            commit.commit = nil
            if commit.error == 0 {
                image.commitSucceeded(ended)
                if !ended.freed.isEmpty {
                    space.batches.append(FreedBatch(epoch: commit.epoch, clusters: ended.freed))
                }
            } else {
                image.commitFailed(ended)
                noteChange()
            }
        }
        let waiters = commit.waiters
        commit.waiters = []
        let error = Errno(rawValue: commit.error)
        for index in waiters {
            if commit.error != 0 { fail(index, error) } else { endIfDone(index) }
        }
        if commit.error != 0 { failThoseAwaitingCommit(error) }
        wake()
        if !commit.joining.isEmpty { startCommit() }
        // The timer may have gone off while this commit ran, for changes that came after its beginning.
        if commit.hasChanges { noteChange() }
        if !finished.isEmpty || space.hasWork || closing != nil { loop.callAtBatchEnd(self) }
    }

    private func failThoseAwaitingCommit(_ error: Errno) {
        let waiting = parked
        parked = []
        for item in waiting {
            guard item >= 0, operations.slot(item).pointee.awaitsCommit else {
                parked.append(item)
                continue
            }
            operations.slot(item).pointee.isParked = false
            fail(item, error)
        }
    }
}
