/* dead_letter.h - what a dead letter says about itself.
 *
 * Key, value, timestamp and headers of the original stay untouched; headers are added
 * under Kafka Connect's names, which tools know, and under our own:
 *
 *     __connect.errors.topic, .partition, .offset   where the original stands
 *     __connect.errors.connector.name, .task.id     the group, the worker
 *     __connect.errors.stage, .class.name           what was being done
 *     __connect.errors.exception.class.name, .message, .stacktrace the reason
 *     millrace.stage, .model, .reason, .attempt
 *     millrace.first_error   what it failed of at first, if it was tried again
 *     millrace.cut     "value" or "all": what had to be left out, with its sizes
 *
 * Depends on: stream/window.h, librdkafka.
 * Ownership: the caller owns the headers.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_DEAD_LETTER_H
#define MILLRACE_STREAM_DEAD_LETTER_H

#include <librdkafka/rdkafka.h>

#include "stream/window.h"

/* A dead letter that its topic refuses as too large is sent with less; its offsets always
 * lead back to the original. */
enum dead_letter_cut {
    DEAD_LETTER_WHOLE,
    DEAD_LETTER_NO_VALUE, /* key and headers only */
    DEAD_LETTER_BARE,     /* our headers only */
    DEAD_LETTER_CUT_COUNT
};

struct stream;

/* The headers for `slot`, NULL without memory. */
rd_kafka_headers_t *dead_letter_headers(struct stream *stream, const struct slot *slot);

#endif
