#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "thread.h"
#include <pthread.h>
#include <signal.h>

void sda_thread_prepare(const char *name) {
    sigset_t signals;
    sigfillset(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    pthread_setname_np(pthread_self(), name);
}
