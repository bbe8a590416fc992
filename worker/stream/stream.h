/* stream.h - records in from Kafka, outcomes out, and the offsets with them.
 *
 * One consumer for all routes and one producer.  With STREAM_EXACTLY_ONCE, results,
 * dead letters and offsets are one transaction; with STREAM_AT_LEAST_ONCE offsets are
 * committed after every record below them was acknowledged.  Offsets advance only
 * below each partition's contiguous watermark, and results leave in offset order.
 *
 * Depends on: stream/record.h, base/.  Knows neither Avro nor tensors.
 * Ownership: the stream owns consumer, producer, window and records.
 * Threads: stream_poll on the poll thread, stream_commit on the commit thread,
 * record_set_* and stream_wake on any, the rest before the threads start or after
 * they ended.  The app creates and joins the threads. */
#ifndef MILLRACE_STREAM_STREAM_H
#define MILLRACE_STREAM_STREAM_H

#include <stdbool.h>

#include "stream/record.h"

#define STREAM_ROUTES_MAX 256
#define STREAM_RETRIES_MAX 8 /* levels of one route */

enum stream_delivery { STREAM_EXACTLY_ONCE, STREAM_AT_LEAST_ONCE };

/* A librdkafka property under librdkafka's own name ("bootstrap.servers"). */
struct stream_property {
    const char *name;
    const char *value;
};

/* A level of retries: a topic whose records wait so long before they are tried again. */
struct stream_retry {
    const char *topic;
    int64_t delay_ms;
};

struct stream_route {
    const char *input;       /* topic */
    const char *output;      /* topic */
    const char *dead_letter; /* topic */
    struct stream_retry retries[STREAM_RETRIES_MAX];
    int retry_count;    /* 0: what fails for now is a dead letter */
    bool keeps_headers; /* a result has those of its record */
    bool keyed;         /* records of other keys go on past one that is held */
};

struct stream_opts {
    const struct stream_property *common; /* consumer and producer */
    size_t common_count;
    const struct stream_property *consumer;
    size_t consumer_count;
    const struct stream_property *producer;
    size_t producer_count;
    const struct stream_route *routes; /* borrowed until close; 1 .. STREAM_ROUTES_MAX */
    size_t route_count;
    const char *group;    /* consumer group */
    const char *instance; /* names this worker in its transactional.id; empty:
                             host name and the first free lock of this host */
    bool is_static;       /* the instance is the group's static member of that name */
    enum stream_delivery delivery;
    int64_t commit_interval_us; /* at least this long between two commits */
    size_t window_records_max;  /* records in flight, polled and not yet committed */
    size_t window_size_max;     /* bytes of their keys and values */
    int crashes_max;     /* a record that ended so many processes is a dead letter */
    int64_t watchdog_us; /* a transaction call that takes longer ends the process */
    void (*release)(void *holder); /* called once per record with a holder, on the commit
                                      thread or the poll thread */
};

/* What the metrics want to know; counters since open, gauges as of now. */
struct stream_stats {
    uint64_t records_in, results_out, retries_out, dead_letters_out;
    uint64_t records_replayed, records_lost;
    uint64_t records_condemned;    /* dead letters that were not computed again */
    uint64_t partitions_suspected; /* of which one record at a time is computed */
    uint64_t transactions_committed, transactions_aborted, rebalances, pauses;
    uint64_t records_in_flight, bytes_in_flight, partitions_assigned;
    uint64_t rebalance_pauses; /* rebalances for which all work stood still */
    int64_t rebalance_pause_us, rebalance_pause_last_us; /* all of them, and the last */
    int64_t lag; /* records behind the high watermark over all partitions, -1 unknown */
    int64_t retries_waiting;      /* the same in our partitions of the retry topics */
    bool broker_up, topics_ready; /* what readiness is made of */
    char problem[256];            /* the current problem and what to do, or "" */
};

struct stream;

/* Says what stream_open would refuse, without a client: STATUS_INVALID names the property
 * that librdkafka does not know or whose value it does not take. */
MUST_CHECK enum status stream_check(const struct stream_opts *opts, struct error *err);

/* Creates the clients and checks the options; brokers need not be there yet (the
 * stream retries with back-off, and stats say what is missing). STATUS_INVALID names a
 * property that librdkafka refuses. */
MUST_CHECK enum status stream_open(const struct stream_opts *opts, struct stream **stream,
                                   struct error *err);

/* Polls for up to timeout_ms; *chain is a list of new records in order per partition, or
 * NULL.  Also serves rebalances; polls none while the window is full.
 * Runs on: poll thread.  STATUS_FATAL ends the worker. */
MUST_CHECK enum status stream_poll(struct stream *stream, int timeout_ms,
                                   struct record **chain, struct error *err);

/* The number in the record's last Kafka header of that name; `otherwise` where there is
 * none, or it is no number.  Before its outcome is set. */
int64_t record_number(struct record *record, const char *name, int64_t otherwise);

/* What its result's headers say of the model that made it, where the route keeps headers:
 * `millrace.model`, `.model_version` and `.model_sha256`.  Borrowed from the holder of
 * the result; before it is set. */
void record_set_model(struct record *record, const char *version, const char *sha256);

/* Sets a record's outcome, once; it must not be touched afterwards.  `result` and
 * `holder` as in struct record.  `reason` is copied.  Call stream_wake when a batch of
 * them is done. */
void record_set_result(struct record *record, struct span result, void *holder);
void record_set_dead(struct record *record, const char *stage, const char *model,
                     const char *reason);

/* The record failed for a reason that may pass: it goes to its next retry topic, or,
 * where it has been through all of them, to the dead letters.  True for a retry. */
bool record_set_retry(struct record *record, const char *stage, const char *model,
                      const char *reason);

/* The record will get its outcome later, after another attempt.  Where its route is
 * keyed, those of other keys are published before it, and those of its own wait. */
void record_hold(struct record *record);

void stream_wake(struct stream *stream);

/* Waits up to timeout_ms for outcomes, then publishes and commits what is below the
 * watermarks: one transaction, or none.  *committed is the number of records let go.
 * Runs on: commit thread.  STATUS_AGAIN: nothing lost, call again; STATUS_FATAL ends
 * the worker. */
MUST_CHECK enum status stream_commit(struct stream *stream, int timeout_ms,
                                     size_t *committed, struct error *err);

/* No new records from here on: stream_poll keeps membership and hands out none.  The
 * worker has drained when stats.records_in_flight is 0.  Any thread. */
void stream_drain(struct stream *stream);

void stream_stats(struct stream *stream, struct stream_stats *stats);

/* Records of a route that wait in our partitions of its input or are in flight here, as
 * of a second ago at most; -1 unknown.  Any thread. */
int64_t stream_behind(const struct stream *stream, size_t route);

/* Leaves the group and closes with a deadline; what was not committed is left to the
 * next owner.  The threads have ended. */
void stream_close(struct stream *stream, int timeout_ms);

#endif
