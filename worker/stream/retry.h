/* retry.h - what a record in a retry topic says about itself.
 *
 * Key, value and headers of the original stay untouched, and these are added:
 *
 *     millrace.retry.attempt      attempts that have failed
 *     millrace.retry.not_before   milliseconds since 1970: not to be tried before
 *     millrace.retry.topic, .partition, .offset, .timestamp   of the original
 *     millrace.retry.first_error, .last_error                 "stage: reason"
 *
 * The record's own timestamp is the time of the retry, so that the topic's retention
 * counts from there.  The wait is read off the header once, when the record is polled,
 * and is never longer than its level's: a wrong clock cannot put a record off for ever.
 * From then on the monotonic clock measures it.
 *
 * Depends on: stream/window.h, librdkafka.
 * Ownership: the caller owns headers; what is read is borrowed from the message.
 * Threads: any. */
#ifndef MILLRACE_STREAM_RETRY_H
#define MILLRACE_STREAM_RETRY_H

#include <librdkafka/rdkafka.h>

#include "stream/stream.h"
#include "stream/window.h"

#define RETRY_TOPIC_MAX 250 /* Kafka's limit, and the final 0 */
#define RETRY_ERROR_MAX 1200

struct stream;

/* Where the original of a record stands. */
struct retry_origin {
    char topic[RETRY_TOPIC_MAX];
    int32_t partition;
    int64_t offset;
};

/* Fills attempt, timestamp and the time when it is due, for a record that was polled from
 * a retry topic of the level; wall_ms is clock_steady_ms(). */
void retry_read(struct slot *slot, const struct stream_retry *level, int64_t now_us,
                int64_t wall_ms);

/* The record's own place, or that of its original if it is a retry. */
void retry_origin(struct stream *stream, const struct slot *slot,
                  struct retry_origin *origin);

/* The headers for the next retry of `slot`, NULL without memory. */
rd_kafka_headers_t *retry_headers(struct stream *stream, const struct slot *slot,
                                  int64_t not_before_ms);

/* The headers that the record came with at first; NULL without memory. */
rd_kafka_headers_t *retry_original_headers(const struct slot *slot);

/* What the record failed of at first; false for one that comes from an input topic. */
bool retry_first_error(const struct slot *slot, char *text, size_t size);

#endif
