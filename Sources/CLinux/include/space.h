// Space of files (fallocate(2)), which Swift's Glibc module leaves out.
#ifndef SDA_SPACE_H
#define SDA_SPACE_H
#include <stdint.h>

/// fallocate(2), mode 0: blocks for a range, the file grows if it ends before. 0, or -1 and errno.
int sda_allocate(int fd, int64_t offset, int64_t count);

#endif
