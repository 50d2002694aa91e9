#define _GNU_SOURCE
#include <fcntl.h>

#include "CLinux.h"

int sda_allocate(int fd, int64_t offset, int64_t count) {
    return fallocate(fd, 0, offset, count);
}
