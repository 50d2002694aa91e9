#include "CLinux.h"
#include <sys/xattr.h>

int sda_fsetxattr(int fd, const char *name, const void *value, size_t count) {
    return fsetxattr(fd, name, value, count, 0);
}

long sda_fgetxattr(int fd, const char *name, void *value, size_t count) {
    return fgetxattr(fd, name, value, count);
}
