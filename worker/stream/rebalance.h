/* rebalance.h - partitions come and go.
 *
 * When a partition is taken away in order, what the pipeline has of it may still be
 * finished and committed, for a bounded time; then its lease is over, and outcomes that
 * come later are dropped: the next owner does them again.  When it was lost, it is over
 * at once.
 *
 * Depends on: stream/internal.h.
 * Ownership: see window.h.
 * Threads: poll thread, inside rd_kafka_consumer_poll for rebalance_cb. */
#ifndef MILLRACE_STREAM_REBALANCE_H
#define MILLRACE_STREAM_REBALANCE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

struct stream;

void rebalance_cb(rd_kafka_t *consumer, rd_kafka_resp_err_t code,
                  rd_kafka_topic_partition_list_t *partitions, void *opaque);

/* The index of the topic among our inputs, or -1. */
int rebalance_input_of(const struct stream *stream, const char *topic);

/* Pauses the partitions that are to be paused and are not, and resumes those that are and
 * need not be: resuming one that is not would rewind it. */
void rebalance_apply_pauses(struct stream *stream);

/* Gives up every lease at once, since the consumer was fenced: it must be spoilt. */
void rebalance_lose_all(struct stream *stream);

/* Takes the group's metadata again: a cooperative rebalance that changes nothing for us
 * may still have moved the generation. */
void rebalance_refresh(struct stream *stream);

#endif
