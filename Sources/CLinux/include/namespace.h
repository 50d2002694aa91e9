// setns(2) and unshare(2), which Swift's Glibc module lacks.
#ifndef SDA_NAMESPACE_H
#define SDA_NAMESPACE_H

/// Moves the calling thread into a network namespace. -1 and errno on failure.
int sda_enter_network_namespace(int fd);

/// Moves the calling thread into a new, empty network namespace. -1 and errno on failure.
int sda_new_network_namespace(void);

#endif
