// What a file system can do, tried on files that have no name: O_TMPFILE, O_DIRECT and FALLOC_FL_* need _GNU_SOURCE,
// FICLONE is an ioctl,
// and Swift's Glibc module leaves statfs(2) out.
#ifndef SDA_FILESYSTEM_H
#define SDA_FILESYSTEM_H
#include <stdbool.h>
#include <stdint.h>

/// statfs(2): the magic number of linux/magic.h, bytes in all, bytes for ordinary users. -1 and errno on failure.
int sda_file_system(const char *path, uint32_t *magic, uint64_t *size, uint64_t *free);

/// Opens a new file without a name in a directory, `direct` for transfers past the page cache. -1 and errno on failure.
int sda_open_unnamed(const char *directory, bool direct);
/// Makes one file share all blocks of another (ioctl_ficlone(2)). -1 and errno on failure.
int sda_clone_file(int to, int from);
/// Gives blocks back and keeps the length (fallocate(2)). -1 and errno on failure.
int sda_punch_hole(int fd, long long offset, long long length);

#endif
