/* producer.h - results and dead letters on their way out, and what came of them.
 *
 * What counts is delivery reports, never that a message was queued.
 *
 * Depends on: stream/too_large.h, librdkafka.
 * Ownership: owns the librdkafka producer and its topic handles.  Payloads are copied.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_PRODUCER_H
#define MILLRACE_STREAM_PRODUCER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "stream/stream.h"
#include "stream/too_large.h"

#define PRODUCER_BATCH_MAX 512

struct producer_targets {
    size_t refused_size;      /* of a result that the output's brokers refused alone; 0 */
    int64_t refused_until_us; /* a topic's limit may be raised */
    rd_kafka_topic_t *output, *dead_letter; /* NULL until first used */
    rd_kafka_topic_t *retries[STREAM_RETRIES_MAX];
};

struct producer {
    rd_kafka_conf_t *conf;            /* the pattern for each new client */
    rd_kafka_t *client;               /* NULL while there is none */
    struct producer_targets *targets; /* owned array; by route */
    int64_t transaction_timeout_us;
    int64_t message_size_max; /* message.max.bytes */
    int64_t batch_size;
    bool compresses; /* sizes say nothing then of what brokers see */
    /* Since producer_begin. */
    uint64_t sent, acknowledged, failed;
    bool awaits_portion; /* a report that is the last one of a lease ends the wait */
    rd_kafka_resp_err_t failure; /* the last one that was not a consequence */
    struct too_large too_large;
    size_t portion_size; /* bytes of results that the last send_outcomes has queued */
    int64_t now_ms;      /* by the wall clock, when it was called */
    /* The next run for rd_kafka_produce_batch. */
    rd_kafka_message_t run[PRODUCER_BATCH_MAX];
};

struct stream;
struct slot;

/* Checks the properties and creates a first client. */
MUST_CHECK enum status producer_open(struct stream *stream,
                                     const struct stream_opts *opts, struct error *err);

/* A client where there is none. */
MUST_CHECK enum status producer_connect(struct stream *stream, struct error *err);

/* Makes the handles of what a route writes to, and lets the client learn their
 * partitions: a message queued before that would have none. */
MUST_CHECK enum status producer_know_targets(struct stream *stream, int route,
                                             struct error *err);

/* Learns the targets of the routes whose topics exist, so that the first transaction does
 * not wait for that, and lets the client settle on a connection. */
void producer_warm_up(struct stream *stream);

/* Destroys the client and what it had not sent; may block. */
void producer_disconnect(struct stream *stream);

/* Disconnects and frees the rest. */
void producer_release(struct stream *stream);

/* So many messages of the slot's lease have been queued. */
void producer_count_sent(struct producer *producer, const struct slot *slot,
                         size_t count);

/* Waits until all that is queued of some lease is reported, so that more of it can be;
 * false where no report came within timeout_ms. */
bool producer_await_portion(struct producer *producer, int timeout_ms);

/* Forgets the counts of the last attempt. */
void producer_begin(struct producer *producer);

#endif
