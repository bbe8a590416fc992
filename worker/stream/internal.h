/* internal.h - struct stream: the parts of this layer and who may touch which.
 *
 *     source     poll thread: consumer, leases, pausing, rebalances
 *     fetched    poll thread: what librdkafka has fetched, by route
 *     room       poll thread: how much of that may be taken
 *     window     both: records in flight
 *     waiting    poll thread: records that must not be handed out yet
 *     care       commit thread: what a crash of the last holder asks for
 *     txn        commit thread: the state machine around the producer
 *     producer   commit thread: results and dead letters out, delivery reports
 *     topics     commit thread: do the topics exist, how many partitions have they
 *     problems     any: what is wrong
 *
 * Depends on: the headers below.  Only stream/ includes it.
 * Ownership: struct stream owns all of it.
 * Threads: as above; counters are atomic. */
#ifndef MILLRACE_STREAM_INTERNAL_H
#define MILLRACE_STREAM_INTERNAL_H

#include "stream/client.h"
#include "stream/problems.h"
#include "stream/identity.h"
#include "stream/producer.h"
#include "stream/source.h"
#include "stream/stream.h"
#include "stream/topics.h"
#include "stream/txn.h"
#include "stream/watchdog.h"
#include "stream/window.h"

/* A topic that is read: a route's input, or one of its retry topics. */
struct stream_input {
    const char *topic;
    int route;
    int level; /* 0 for the input, else the number of the retry topic from 1 */
};

struct counters {
    _Atomic uint64_t records_in, results_out, retries_out, dead_letters_out;
    _Atomic uint64_t records_replayed, records_lost;
    _Atomic uint64_t committed, aborted, rebalances, pauses;
    _Atomic uint64_t condemned, suspected; /* records; leases, now */
    _Atomic uint64_t rebalance_pauses;
    _Atomic int64_t rebalance_pause_us, rebalance_pause_last_us;
};

struct stream {
    struct stream_opts opts; /* group and instance are our copies; properties are gone */
    char *group;             /* owned */
    struct stream_input *inputs; /* owned; the topics of all routes */
    size_t input_count;
    struct client_context context;
    struct problems problems;
    struct identity identity;
    struct window window;
    struct source source;
    struct topics topics;
    struct producer producer;
    struct txn txn;
    struct watchdog watchdog;
    struct counters counters;
    bool care_active;       /* commit thread: only what care granted is in the worker */
    int64_t care_retry_us;  /* commit thread: when to try again what failed */
    int64_t care_hidden_us; /* commit thread: since when offsets are hidden; 0: not */
    uint64_t care_round;    /* commit thread: of the poll thread, when care last spoke */
    _Atomic bool draining;
    _Atomic bool closing; /* the other threads have ended: nobody to wait for */
};

/* Destroys the record's message, gives its holder back and clears it. */
void stream_let_go(struct stream *stream, struct slot *slot);

#endif
