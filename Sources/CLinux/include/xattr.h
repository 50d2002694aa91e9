// Extended attributes (xattr(7)), which Swift's Glibc module leaves out.
#ifndef SDA_XATTR_H
#define SDA_XATTR_H
#include <stddef.h>
#include <sys/xattr.h>

static inline int sda_fsetxattr(int fd, const char *name, const void *value, size_t count) {
    return fsetxattr(fd, name, value, count, 0);
}

static inline long sda_fgetxattr(int fd, const char *name, void *value, size_t count) {
    return fgetxattr(fd, name, value, count);
}

#endif
