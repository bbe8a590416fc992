/* source.h - the consumer: polls records into the window, and answers rebalances.
 *
 * Depends on: stream/window.h, librdkafka.
 * Ownership: owns the consumer; leases are the window's.
 * Threads: poll thread, but for source_generation_* (any). */
#ifndef MILLRACE_STREAM_SOURCE_H
#define MILLRACE_STREAM_SOURCE_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "stream/coverage.h"
#include "stream/fetched.h"
#include "stream/pause.h"
#include "stream/room.h"
#include "stream/stream.h"
#include "stream/window.h"

/* The group's metadata as of an assignment.  Offsets sent with it are refused by the
 * broker once the group has moved on, however late we hear of that. */
struct generation {
    rd_kafka_consumer_group_metadata_t *metadata;
    int references; /* window->lock */
};

struct lease_table {
    struct lease **leases; /* owned array; by partition, NULL where not ours */
    size_t count;
};

struct source {
    rd_kafka_t *consumer;
    rd_kafka_queue_t *events; /* what the group wants */
    struct fetched fetched[STREAM_ROUTES_MAX];
    size_t fetched_max;         /* bytes in each queue; 0 where nobody needs to know */
    size_t first_route;         /* whose queue is looked into first, the next time */
    rd_kafka_conf_t *conf;      /* owned; the pattern for another look at the group */
    struct lease_table *tables; /* owned array; by input */
    bool subscribed;
    bool from_start;     /* auto.offset.reset */
    bool pauses_changed; /* a lease's pause_wanted */
    struct rooms rooms;
    /* Polled and not handed out yet. */
    struct slot *batch_first, *batch_last;
    size_t batch_count, batch_size;
    int64_t lag_due_us;
    int64_t revoke_wait_us;
    const rd_kafka_topic_t *last_topic; /* the input of the last message */
    int last_input;
    struct pause pause; /* of the last rebalance */
    struct coverage coverage;
    struct generation *generation; /* window->lock; NULL when not a member */
    _Atomic bool generation_stale; /* the broker refused it */
    /* See rejoin.h. */
    bool spoilt;         /* poll thread: the consumer has been fenced */
    _Atomic bool fenced; /* it is the commit thread's, to be replaced */
    int64_t fenced_us;   /* since when; whoever has the consumer */
    int rejoins;         /* since rejoins_since_us */
    int64_t rejoins_since_us;
    _Atomic int64_t lag, retries_waiting;
    _Atomic int64_t behind[STREAM_ROUTES_MAX]; /* see stream_behind */
    _Atomic uint64_t rounds;                   /* polls that are over */
};

struct stream;
struct slot;

/* Creates the consumer and subscribes. */
MUST_CHECK enum status source_open(struct stream *stream, const struct stream_opts *opts,
                                   struct error *err);

/* A consumer from source->conf, which has not joined the group. */
MUST_CHECK enum status source_connect(struct stream *stream, struct error *err);

/* Destroys it; may block. */
void source_disconnect(struct stream *stream);

MUST_CHECK enum status source_poll(struct stream *stream, int timeout_ms,
                                   struct record **chain, struct error *err);

/* Whether a holder before us has published the record; then the slot is given back.  Only
 * once care allows its lease to go on. */
bool source_pass_over(struct stream *stream, struct slot *slot);

/* Puts a slot at the end of what the poll hands out. */
void source_batch_add(struct stream *stream, struct slot *slot);

/* The current generation with a reference for the caller, or NULL. */
struct generation *source_generation_take(struct stream *stream);
void source_generation_drop(struct stream *stream, struct generation *generation);

/* Leaves the group and destroys the consumer; may block. */
void source_close(struct stream *stream);

/* Frees what source_open allocated, but for the consumer. */
void source_release(struct stream *stream);

#endif
