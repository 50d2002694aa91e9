#define _GNU_SOURCE
#include "filesystem.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

int sda_file_system(const char *path, uint32_t *magic, uint64_t *size, uint64_t *free) {
    struct statfs value;
    if (statfs(path, &value) == -1) return -1;
    *magic = (uint32_t)value.f_type;
    *size = (uint64_t)value.f_blocks * (uint64_t)value.f_bsize;
    *free = (uint64_t)value.f_bavail * (uint64_t)value.f_bsize;
    return 0;
}

int sda_open_unnamed(const char *directory, bool direct) {
    return open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0), 0600);
}

int sda_clone_file(int to, int from) { return ioctl(to, FICLONE, from); }

int sda_punch_hole(int fd, long long offset, long long length) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}
