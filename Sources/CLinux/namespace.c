#define _GNU_SOURCE
#include "namespace.h"

#include <sched.h>

int sda_enter_network_namespace(int fd) { return setns(fd, CLONE_NEWNET); }

int sda_new_network_namespace(void) { return unshare(CLONE_NEWNET); }
