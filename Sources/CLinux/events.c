#include "events.h"
#include <sys/eventfd.h>

int sda_eventfd(void) { return eventfd(0, EFD_CLOEXEC); }

void sda_eventfd_signal(int fd) { (void)eventfd_write(fd, 1); }
