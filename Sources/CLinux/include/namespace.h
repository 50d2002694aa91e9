// setns(2), which Swift's Glibc module lacks.
#ifndef SDA_NAMESPACE_H
#define SDA_NAMESPACE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>

/// Moves the calling thread into a network namespace. -1 and errno on failure.
static inline int sda_enter_network_namespace(int fd) { return setns(fd, CLONE_NEWNET); }

#endif
