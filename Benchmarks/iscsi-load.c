/* Loads one logical unit over iSCSI and prints what it got.
 *
 * usage: iscsi-load URL read|write random|sequential BLOCK-BYTES DEPTH SECONDS SPAN-BYTES
 * SECONDS 0: once over the whole span, in order.
 * prints one line: OPERATIONS SECONDS P50-MICROSECONDS P99-MICROSECONDS
 *
 * Built on libiscsi: cc -O2 iscsi-load.c -liscsi.  Writes overwrite the first SPAN-BYTES of the unit.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define MAXIMUM_DEPTH 256
#define BUCKETS 100000 /* of one microsecond; the last holds all that took longer */

struct slot {
    double started;
    unsigned char *data;
};

static struct {
    struct iscsi_context *context;
    int lun, is_write, is_random;
    uint32_t block, sector;
    uint64_t span, next, seed, started, operations;
    double end;
    int under_way;
    uint64_t latency[BUCKETS];
    struct slot slots[MAXIMUM_DEPTH];
} load;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    fprintf(stderr, "iscsi-load: %s: %s\n", what, iscsi_get_error(load.context));
    exit(1);
}

static uint64_t place(void)
{
    uint64_t blocks = load.span / load.block;
    if (!load.is_random)
        return load.next++ % blocks * load.block;
    load.seed ^= load.seed << 13;
    load.seed ^= load.seed >> 7;
    load.seed ^= load.seed << 17;
    return load.seed % blocks * load.block;
}

static void start(struct slot *slot);

static int is_more_to_do(void)
{
    return load.end ? now() < load.end : load.started < load.span / load.block;
}

static void done(struct iscsi_context *context, int status, void *command, void *private)
{
    struct slot *slot = private;
    double took;
    (void)context;
    if (status != SCSI_STATUS_GOOD)
        fail(load.is_write ? "WRITE(16)" : "READ(16)");
    scsi_free_scsi_task(command);
    took = (now() - slot->started) * 1e6;
    load.latency[took < BUCKETS - 1 ? (int)took : BUCKETS - 1]++;
    load.operations++;
    load.under_way--;
    if (is_more_to_do())
        start(slot);
}

static void start(struct slot *slot)
{
    uint64_t lba = place() / load.sector;
    struct scsi_task *task;
    slot->started = now();
    if (load.is_write) {
        task = iscsi_write16_task(load.context, load.lun, lba, slot->data, load.block, load.sector, 0, 0, 0, 0, 0,
                                  done, slot);
    } else {
        task = iscsi_read16_task(load.context, load.lun, lba, load.block, load.sector, 0, 0, 0, 0, 0, done, slot);
        if (task && scsi_task_add_data_in_buffer(task, load.block, slot->data) != 0)
            task = NULL;
    }
    if (!task)
        fail("cannot queue a command");
    load.started++;
    load.under_way++;
}

static uint64_t percentile(double part)
{
    uint64_t wanted = load.operations * part, seen = 0;
    int bucket = 0;
    while (bucket < BUCKETS - 1 && (seen += load.latency[bucket]) < wanted)
        bucket++;
    return bucket;
}

static void connect_to(const char *url)
{
    struct iscsi_url *parsed;
    struct scsi_task *task;
    struct scsi_readcapacity16 *capacity;
    load.context = iscsi_create_context("iqn.2026-11.org.example:load");
    if (!load.context || !(parsed = iscsi_parse_full_url(load.context, url)))
        fail("the URL");
    load.lun = parsed->lun;
    iscsi_set_targetname(load.context, parsed->target);
    iscsi_set_session_type(load.context, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(load.context, ISCSI_HEADER_DIGEST_NONE);
    if (iscsi_full_connect_sync(load.context, parsed->portal, load.lun) != 0)
        fail("login");
    task = iscsi_readcapacity16_sync(load.context, load.lun);
    if (!task || task->status != SCSI_STATUS_GOOD || !(capacity = scsi_datain_unmarshall(task)))
        fail("READ CAPACITY(16)");
    load.sector = capacity->block_length;
    if ((capacity->returned_lba + 1) * load.sector < load.span)
        fail("the unit is smaller than the span");
    scsi_free_scsi_task(task);
    iscsi_destroy_url(parsed);
}

int main(int count, char **words)
{
    int depth, index;
    double began;
    if (count != 8) {
        fprintf(stderr, "usage: %s URL read|write random|sequential BLOCK DEPTH SECONDS SPAN\n", words[0]);
        return 2;
    }
    load.is_write = strcmp(words[2], "write") == 0;
    load.is_random = strcmp(words[3], "random") == 0;
    load.block = strtoul(words[4], NULL, 10);
    depth = atoi(words[5]);
    load.span = strtoull(words[7], NULL, 10);
    load.seed = 88172645463325252ULL;
    if (depth < 1 || depth > MAXIMUM_DEPTH || load.block < 512 || load.span < load.block)
        return 2;
    connect_to(words[1]);
    began = now();
    load.end = atof(words[6]) > 0 ? began + atof(words[6]) : 0;
    for (index = 0; index < depth; index++) {
        load.slots[index].data = malloc(load.block);
        memset(load.slots[index].data, index + 1, load.block);
        start(&load.slots[index]);
    }
    while (load.under_way > 0) {
        struct pollfd poll_one = {.fd = iscsi_get_fd(load.context), .events = iscsi_which_events(load.context)};
        if (poll(&poll_one, 1, 10000) <= 0)
            fail("no answer for ten seconds");
        if (iscsi_service(load.context, poll_one.revents) != 0)
            fail("the connection");
    }
    printf("%" PRIu64 " %.6f %" PRIu64 " %" PRIu64 "\n", load.operations, now() - began, percentile(0.5),
           percentile(0.99));
    iscsi_logout_sync(load.context);
    iscsi_destroy_context(load.context);
    return 0;
}
