// One io_uring behind an opaque type: liburing's own headers stay out of Swift's sight. Owned and used by one thread.
#ifndef SDA_URING_H
#define SDA_URING_H
#include <stdbool.h>
#include <stdint.h>

typedef struct sda_ring sda_ring;

/// Whether a ring can be made here and knows every operation that is prepared below: 0, or a negated errno;
/// -EOPNOTSUPP where an operation is lacking.
int sda_ring_probe(void);

/// One completion: `result` is a count or a negated errno.
typedef struct {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
} sda_completion;

/// Of sda_completion.flags: more completions of the same submission will come (IORING_CQE_F_MORE).
#define SDA_COMPLETION_MORE (1u << 1)

/// Makes a ring that is not yet enabled, with the newest ways of running it that this kernel takes (IORING_SETUP_*:
/// SINGLE_ISSUER since 6.0, DEFER_TASKRUN since 6.1, COOP_TASKRUN since 5.19). NULL with a positive errno on failure.
sda_ring *sda_ring_create(unsigned entries, unsigned completions, int *error);
/// Ties the ring to the calling thread, which submits and reaps from now on. 0 or a negated errno.
int sda_ring_enable(sda_ring *ring);
void sda_ring_destroy(sda_ring *ring);
/// Whether completions are run only when the owner asks for them (DEFER_TASKRUN was taken).
bool sda_ring_defers(const sda_ring *ring);

/// Registers buffers for the fixed reads and writes. 0 or a negated errno.
int sda_ring_register_buffers(sda_ring *ring, const void *vectors, unsigned count);

/// Submits what was prepared and takes what has completed; with `wait` sleeps until there is a completion or
/// `nanoseconds` have passed (negative: no limit). 0, or a negated errno; the end of the time is no error.
int sda_ring_enter(sda_ring *ring, bool wait, int64_t nanoseconds);
/// Copies up to `limit` completions out and gives their places back to the kernel.
unsigned sda_ring_reap(sda_ring *ring, sda_completion *completions, unsigned limit);

// `vectors` are struct iovec and `header` is 64 bytes for a struct msghdr. They pass untyped: their headers would bring
// a second fd_set into Swift.

// Each prepares one operation for the next sda_ring_enter. False when the kernel lacks the memory to take what was
// prepared before, so that there is no room: nothing was prepared then. A `fixed` index below zero means a buffer that
// is not registered.
bool sda_ring_nop(sda_ring *ring, uint64_t user_data);
bool sda_ring_read(sda_ring *ring, uint64_t user_data, int fd, void *bytes, unsigned count, uint64_t offset, int fixed);
bool sda_ring_write(
    sda_ring *ring, uint64_t user_data, int fd, const void *bytes, unsigned count, uint64_t offset, int fixed,
    bool durable);
bool sda_ring_readv(
    sda_ring *ring, uint64_t user_data, int fd, const void *vectors, unsigned count, uint64_t offset);
bool sda_ring_writev(
    sda_ring *ring, uint64_t user_data, int fd, const void *vectors, unsigned count, uint64_t offset);
bool sda_ring_fsync(sda_ring *ring, uint64_t user_data, int fd, bool data_only);
bool sda_ring_fallocate(sda_ring *ring, uint64_t user_data, int fd, int mode, uint64_t offset, uint64_t length);
bool sda_ring_accept(sda_ring *ring, uint64_t user_data, int fd, bool multishot);
bool sda_ring_recv(sda_ring *ring, uint64_t user_data, int fd, void *bytes, unsigned count, int flags);
bool sda_ring_send(sda_ring *ring, uint64_t user_data, int fd, const void *bytes, unsigned count, int flags);
bool sda_ring_sendv(
    sda_ring *ring, uint64_t user_data, int fd, void *header, void *vectors, unsigned count);
bool sda_ring_shutdown(sda_ring *ring, uint64_t user_data, int fd, int how);
bool sda_ring_poll(sda_ring *ring, uint64_t user_data, int fd, unsigned events);
/// Cancels every operation with `target` as its user_data.
bool sda_ring_cancel(sda_ring *ring, uint64_t user_data, uint64_t target);
/// Cancels every operation on the descriptor.
bool sda_ring_cancel_descriptor(sda_ring *ring, uint64_t user_data, int fd);
/// Cancels every operation there is.
bool sda_ring_cancel_all(sda_ring *ring, uint64_t user_data);

#endif
