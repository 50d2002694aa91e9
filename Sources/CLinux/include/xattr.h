// Extended attributes (xattr(7)), which Swift's Glibc module leaves out.
#ifndef SDA_XATTR_H
#define SDA_XATTR_H
#include <stddef.h>

/// fsetxattr(2) without flags: 0, or -1 and errno.
int sda_fsetxattr(int fd, const char *name, const void *value, size_t count);
/// fgetxattr(2): the value's length, or -1 and errno.
long sda_fgetxattr(int fd, const char *name, void *value, size_t count);

#endif
