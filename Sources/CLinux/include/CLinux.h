// Small prefixed C: what Swift's importer drops (macros, ioctl numbers, variadic calls) and what has no library.
#ifndef SDA_CLINUX_H
#define SDA_CLINUX_H
#include <errno.h>
#include "crc32c.h"
#include "filesystem.h"
#include "namespace.h"
#include "tun.h"
#include "events.h"
#include "thread.h"
#include "uring.h"
#include "xattr.h"
#include "space.h"
#include "inflate.h"
#include "heap.h"

/// The calling thread's errno. Only the Syscall module reads it.
static inline int sda_errno(void) { return errno; }

#endif
