#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <liburing.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "uring.h"

struct sda_ring {
    struct io_uring uring;
    bool defers;
};

// linux/io_uring.h of Debian 12 knows all of these; the kernel that runs may not.
static const unsigned setups[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_COOP_TASKRUN,
    0,
};

sda_ring *sda_ring_create(unsigned entries, unsigned completions, int *error) {
    sda_ring *ring = calloc(1, sizeof *ring);
    if (!ring) {
        *error = ENOMEM;
        return NULL;
    }
    int result = -EINVAL;
    for (unsigned i = 0; i < sizeof setups / sizeof *setups && result == -EINVAL; i++) {
        struct io_uring_params params;
        memset(&params, 0, sizeof params);
        params.flags = setups[i] | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
        params.cq_entries = completions;
        result = io_uring_queue_init_params(entries, &ring->uring, &params);
        ring->defers = (setups[i] & IORING_SETUP_DEFER_TASKRUN) != 0;
    }
    if (result < 0) {
        free(ring);
        *error = -result;
        return NULL;
    }
    return ring;
}

static const int operations[] = {
    IORING_OP_NOP, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED, IORING_OP_READV,
    IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE, IORING_OP_ACCEPT, IORING_OP_RECV, IORING_OP_SEND,
    IORING_OP_SENDMSG, IORING_OP_SHUTDOWN, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
};

int sda_ring_probe(void) {
    int error = 0;
    sda_ring *ring = sda_ring_create(4, 8, &error);
    if (!ring) return -error;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->uring);
    int result = probe ? 0 : -EOPNOTSUPP;
    for (unsigned i = 0; i < sizeof operations / sizeof *operations && result == 0; i++) {
        if (!io_uring_opcode_supported(probe, operations[i])) result = -EOPNOTSUPP;
    }
    if (probe) io_uring_free_probe(probe);
    sda_ring_destroy(ring);
    return result;
}

// By hand: liburing 2.3 declares io_uring_enable_rings and does not export it.
int sda_ring_enable(sda_ring *ring) {
    long result = syscall(__NR_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    return result < 0 ? -errno : 0;
}

void sda_ring_destroy(sda_ring *ring) {
    io_uring_queue_exit(&ring->uring);
    free(ring);
}

bool sda_ring_defers(const sda_ring *ring) { return ring->defers; }

int sda_ring_register_buffers(sda_ring *ring, const void *vectors, unsigned count) {
    return io_uring_register_buffers(&ring->uring, vectors, count);
}

int sda_ring_enter(sda_ring *ring, bool wait, int64_t nanoseconds) {
    int result;
    if (!wait) {
        // The variant that asks for completions runs the deferred work of the kernel too.
        result = io_uring_submit_and_get_events(&ring->uring);
    } else if (nanoseconds < 0) {
        result = io_uring_submit_and_wait(&ring->uring, 1);
    } else {
        struct __kernel_timespec limit = {
            .tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
        struct io_uring_cqe *first;
        result = io_uring_submit_and_wait_timeout(&ring->uring, &first, 1, &limit, NULL);
    }
    return result >= 0 || result == -ETIME || result == -EINTR ? 0 : result;
}

unsigned sda_ring_reap(sda_ring *ring, sda_completion *completions, unsigned limit) {
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&ring->uring, head, cqe) {
        if (count == limit) break;
        completions[count].user_data = cqe->user_data;
        completions[count].result = cqe->res;
        completions[count].flags = cqe->flags;
        count++;
    }
    io_uring_cq_advance(&ring->uring, count);
    return count;
}

// A place in the submission queue. When it is full the kernel takes what is there first; it refuses only for lack of
// memory.
static struct io_uring_sqe *place(sda_ring *ring) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    for (int attempt = 0; !sqe && attempt < 16; attempt++) {
        if (io_uring_submit(&ring->uring) < 0) sched_yield();
        sqe = io_uring_get_sqe(&ring->uring);
    }
    return sqe;
}

#define PREPARE(call) \
    struct io_uring_sqe *sqe = place(ring); \
    if (!sqe) return false; \
    call; \
    sqe->user_data = user_data; \
    return true

bool sda_ring_nop(sda_ring *ring, uint64_t user_data) { PREPARE(io_uring_prep_nop(sqe)); }

bool sda_ring_read(
    sda_ring *ring, uint64_t user_data, int fd, void *bytes, unsigned count, uint64_t offset, int fixed) {
    PREPARE({
        if (fixed < 0)
            io_uring_prep_read(sqe, fd, bytes, count, offset);
        else
            io_uring_prep_read_fixed(sqe, fd, bytes, count, offset, fixed);
    });
}

bool sda_ring_write(
    sda_ring *ring, uint64_t user_data, int fd, const void *bytes, unsigned count, uint64_t offset, int fixed,
    bool durable) {
    PREPARE({
        if (fixed < 0)
            io_uring_prep_write(sqe, fd, bytes, count, offset);
        else
            io_uring_prep_write_fixed(sqe, fd, bytes, count, offset, fixed);
        if (durable) sqe->rw_flags = RWF_DSYNC;
    });
}

bool sda_ring_readv(
    sda_ring *ring, uint64_t user_data, int fd, const void *vectors, unsigned count, uint64_t offset) {
    PREPARE(io_uring_prep_readv(sqe, fd, vectors, count, offset));
}

bool sda_ring_writev(
    sda_ring *ring, uint64_t user_data, int fd, const void *vectors, unsigned count, uint64_t offset) {
    PREPARE(io_uring_prep_writev(sqe, fd, vectors, count, offset));
}

bool sda_ring_fsync(sda_ring *ring, uint64_t user_data, int fd, bool data_only) {
    PREPARE(io_uring_prep_fsync(sqe, fd, data_only ? IORING_FSYNC_DATASYNC : 0));
}

bool sda_ring_fallocate(sda_ring *ring, uint64_t user_data, int fd, int mode, uint64_t offset, uint64_t length) {
    PREPARE(io_uring_prep_fallocate(sqe, fd, mode, offset, length));
}

bool sda_ring_accept(sda_ring *ring, uint64_t user_data, int fd, bool multishot) {
    PREPARE({
        if (multishot)
            io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
        else
            io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    });
}

bool sda_ring_recv(sda_ring *ring, uint64_t user_data, int fd, void *bytes, unsigned count, int flags) {
    PREPARE(io_uring_prep_recv(sqe, fd, bytes, count, flags));
}

bool sda_ring_send(sda_ring *ring, uint64_t user_data, int fd, const void *bytes, unsigned count, int flags) {
    PREPARE(io_uring_prep_send(sqe, fd, bytes, count, flags | MSG_NOSIGNAL));
}

bool sda_ring_sendv(
    sda_ring *ring, uint64_t user_data, int fd, void *header, void *vectors, unsigned count) {
    _Static_assert(sizeof(struct msghdr) <= 64, "what Swift lends");
    struct msghdr *message = header;
    memset(message, 0, sizeof *message);
    message->msg_iov = vectors;
    message->msg_iovlen = count;
    // With MSG_WAITALL the kernel resumes after a short send.
    PREPARE(io_uring_prep_sendmsg(sqe, fd, message, MSG_NOSIGNAL | MSG_WAITALL));
}

bool sda_ring_shutdown(sda_ring *ring, uint64_t user_data, int fd, int how) {
    PREPARE(io_uring_prep_shutdown(sqe, fd, how));
}

bool sda_ring_poll(sda_ring *ring, uint64_t user_data, int fd, unsigned events) {
    PREPARE(io_uring_prep_poll_add(sqe, fd, events));
}

bool sda_ring_cancel(sda_ring *ring, uint64_t user_data, uint64_t target) {
    PREPARE(io_uring_prep_cancel64(sqe, target, IORING_ASYNC_CANCEL_ALL));
}

bool sda_ring_cancel_descriptor(sda_ring *ring, uint64_t user_data, int fd) {
    PREPARE(io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL));
}

bool sda_ring_cancel_all(sda_ring *ring, uint64_t user_data) {
    PREPARE(io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL));
}
