import IOLoop
import Syscall
import SystemPackage

/// The end of a disk: what is under way ends, what is in memory is committed, the file is trimmed.
extension ImageDisk {
    /// Takes no more requests, and calls `end` when everything is in the file, or cannot get there.
    /// Closes as soon as nothing is left to do. Freed clusters take two commits: one that unmaps, one that frees.
    func continueClosing() {
        guard operations.used == 0, !commit.isRunning, space.clusters.isEmpty, space.outstanding == 0 else { return }
        guard transfers.used == 0 else { return }
        let error = failure ?? commit.lastError
        if error == nil, !space.batches.isEmpty { return }
        if error == nil, commit.hasChanges || commit.isUnsynced { return startCommit() }
        finishClosing(error)
    }

    private func finishClosing(_ error: Errno?) {
        var error = error
        // The refcounts of a damaged image do not say where its data ends.
        if error == nil, !isReadOnly, image.damage == nil {
            image.refcounts.giveReserveBack()
            image.refcounts.trimEnd()
            let end = image.geometry.start(image.refcounts.end).bytes
            do throws(Errno) {
                try File.truncate(chain.files[0].descriptor, to: end)
            } catch let failed {
                error = failed
            }
        }
        if let commitTimer { loop.cancel(commitTimer) }
        isClosed = true
        // The files, and the locks on them, go now, whoever still holds the disk.
        do throws(Errno) { try chain.files[0].unlock() } catch let failed { error = error ?? failed }
        chain = BackingChain.closed
        let end = closing
        closing = nil
        retire()
        end?(error)
    }
}
