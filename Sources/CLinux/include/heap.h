// How glibc's malloc keeps memory (mallopt(3), malloc_trim(3)), which Swift's Glibc module leaves out.
#ifndef SDA_HEAP_H
#define SDA_HEAP_H
#include <malloc.h>

/// One heap for all threads that have none of their own yet, and none of it for blocks of 64 KiB and more: these are
/// mapped, and unmapped when they are freed. Left to itself, malloc takes them from the heap once one was freed.
static inline void sda_use_one_heap(void) {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 64 << 10);
}

/// Gives whole free pages back to the kernel.
static inline void sda_trim_heap(void) { malloc_trim(0); }

#endif
