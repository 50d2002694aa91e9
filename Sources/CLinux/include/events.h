// Descriptors that threads wait on.
#ifndef SDA_EVENTS_H
#define SDA_EVENTS_H

/// eventfd(2) with EFD_CLOEXEC: -1 and errno on failure.
int sda_eventfd(void);
/// Adds one to the counter; it holds 2^64 - 2 signals that nobody took, so the write neither blocks nor fails.
void sda_eventfd_signal(int fd);

#endif
