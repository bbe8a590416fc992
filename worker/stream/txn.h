/* txn.h - the commit thread's state machine: outcomes out, offsets with them.
 *
 *               +--------------------------------------------------+
 *               v                                                  |
 *     START -> RECOVER -> IDLE -> PUBLISH -> OFFSETS -> COMMIT ----+
 *       ^                  ^         |          |         |
 *       |                  +------ ABORT <------+---------+
 *       |                            |
 *       +---------------- REBUILD <--+-- (from any, when the client is spoilt)
 *
 * Each call of txn_step works one phase.  A librdkafka call that times out is resumed by
 * the next txn_step in the same phase, because its outcome is not known; past a limit the
 * client is rebuilt, which ends its transaction one way or the other, and the committed
 * offsets tell which (RECOVER).  Records stay in the window until they are committed, so
 * a replay is from memory.
 *
 * With at-least-once there is no transaction: PUBLISH queues, OFFSETS waits for all
 * delivery reports, COMMIT commits the offsets, ABORT waits for what reports are left.
 *
 * Depends on: stream/internal.h's parts.
 * Ownership: holds a generation while a transaction is open.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_TXN_H
#define MILLRACE_STREAM_TXN_H

#include <librdkafka/rdkafka.h>

#include "stream/stream.h"

/* Most records of one transaction, so that a large backlog of outcomes cannot outlast the
 * transaction's timeout. */
#define TXN_RECORDS_MAX 100000

enum txn_phase {
    TXN_START,   /* initialise the producer's transactions */
    TXN_RECOVER, /* learn what the brokers have, after an outcome that is not known */
    TXN_IDLE,
    TXN_PUBLISH, /* queue results and dead letters */
    TXN_OFFSETS, /* send the offsets, or wait for delivery */
    TXN_COMMIT,
    TXN_ABORT,
    TXN_REBUILD, /* destroy the producer */
    TXN_PHASE_COUNT
};

struct generation;

struct txn {
    enum txn_phase phase;
    int64_t phase_since_us;
    bool unsure; /* a transaction may have been committed without our hearing of it */
    struct generation *generation;
    int64_t begun_us;       /* of the open transaction */
    int64_t last_commit_us; /* when it ended */
    int64_t last_took_us;   /* from its begin to its end */
    int64_t backoff_us, retry_at_us;
    int call_timeout_ms;
    rd_kafka_queue_t *offset_replies; /* at least once: answers to our commits */
    uintptr_t offset_serial;          /* tells the answer we wait for from older ones */
    bool offset_sent;
};

struct stream;

MUST_CHECK enum status txn_open(struct stream *stream, struct error *err);

/* What it has of the consumer, before that is destroyed, and of its successor. */
void txn_drop_consumer(struct stream *stream);
MUST_CHECK enum status txn_take_consumer(struct stream *stream, struct error *err);

/* See stream_commit. */
MUST_CHECK enum status txn_commit(struct stream *stream, int timeout_ms,
                                  size_t *committed, struct error *err);

/* Ends what is open, within timeout_ms if librdkafka keeps to it. */
void txn_close(struct stream *stream, int timeout_ms);

#endif
