// What glibc shows only under _GNU_SOURCE about threads.
#ifndef SDA_THREAD_H
#define SDA_THREAD_H

/// Names the calling thread (at most 15 bytes, seen in ps -L and perf) and blocks all signals on it, so that they go to
/// the threads that expect them.
void sda_thread_prepare(const char *name);

#endif
