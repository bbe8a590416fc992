/* producer.h - results and dead letters on their way out, and what came of them.
 *
 * A record goes to the partition of its own number, modulo those of the target, so that
 * order per partition holds from end to end.  What counts is delivery reports, never that
 * a message was queued.
 *
 * A result that is too large becomes a dead letter.  Where librdkafka sees it, that is at
 * once.  Where only the broker does, its report names the whole batch the record was sent
 * in, so the batches are made smaller until the record that is to blame stands alone. For
 * a while after that, results of its size are not tried any more: each costs a
 * transaction.
 *
 * Depends on: stream/window.h, stream/dead_letter.h, librdkafka.
 * Ownership: owns the librdkafka producer and its topic handles.  Payloads are copied.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_PRODUCER_H
#define MILLRACE_STREAM_PRODUCER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "stream/stream.h"
#include "stream/window.h"

#define PRODUCER_BATCH_MAX 512

struct producer_targets {
    size_t refused_size;      /* of a result that the output's brokers refused alone; 0 */
    int64_t refused_until_us; /* a topic's limit may be raised */
    rd_kafka_topic_t *output, *dead_letter; /* NULL until first used */
    rd_kafka_topic_t *retries[STREAM_RETRIES_MAX];
};

/* What the brokers refused as too large since producer_begin. */
struct too_large {
    size_t count, size; /* of all refused */
    struct slot *largest;
    size_t largest_size;
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
    rd_kafka_resp_err_t failure; /* the last one that was not a consequence */
    struct too_large too_large;
    /* The next run for rd_kafka_produce_batch. */
    rd_kafka_message_t run[PRODUCER_BATCH_MAX];
};

struct stream;

/* Checks the properties and creates a first client. */
MUST_CHECK enum status producer_open(struct stream *stream,
                                     const struct stream_opts *opts, struct error *err);

/* A client where there is none. */
MUST_CHECK enum status producer_connect(struct stream *stream, struct error *err);

/* Learns the targets of the routes whose topics exist, so that the first transaction does
 * not wait for that, and lets the client settle on a connection. */
void producer_warm_up(struct stream *stream);

/* Destroys the client and what it had not sent; may block. */
void producer_disconnect(struct stream *stream);

/* Disconnects and frees the rest. */
void producer_release(struct stream *stream);

/* Forgets the counts of the last attempt. */
void producer_begin(struct producer *producer);

/* Queues the first `count` records of the lease, all with outcomes.  STATUS_ABORT_TXN:
 * the attempt is spoilt.  STATUS_FATAL: the client is. */
MUST_CHECK enum status producer_publish(struct stream *stream, struct lease *lease,
                                        size_t count, struct error *err);

/* After an attempt that failed: does something about what was too large, so that the same
 * failure cannot come for ever.  True if the client has to be replaced for it. */
bool producer_settle_too_large(struct stream *stream);

#endif
