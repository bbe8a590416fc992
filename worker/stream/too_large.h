/* too_large.h - what is too large to be published becomes a dead letter, alone.
 *
 * Where librdkafka sees it, that is at once.  Where only the broker does, its report
 * names the whole batch the record was sent in, so the batches are made smaller until the
 * record that is to blame stands alone.  For a while after that, results of its size are
 * not tried any more: each costs a transaction.  A dead letter that is too large goes
 * without its value, then without all that is the record's.
 *
 * Depends on: stream/window.h, librdkafka.
 * Ownership: plain data; `largest` is the window's, until its records are let go.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_TOO_LARGE_H
#define MILLRACE_STREAM_TOO_LARGE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

struct stream;
struct slot;

/* What the brokers refused as too large since producer_begin. */
struct too_large {
    size_t count, size; /* of all refused */
    struct slot *largest;
    size_t largest_size;
};

/* The brokers refused the message. */
void too_large_note(struct too_large *refused, const rd_kafka_message_t *message);

/* Gives up a result as large as one that the brokers have lately refused. */
void too_large_foresee(struct stream *stream, struct slot *slot);

/* The outcome cannot be published; the original is kept as a dead letter. */
void too_large_condemn(struct stream *stream, struct slot *slot, const char *why);

/* Leaves more of a dead letter out; false if nothing is left to leave out. */
bool too_large_cut(struct stream *stream, struct slot *slot);

/* After an attempt that failed: does something about what was too large, so that the same
 * failure cannot come for ever.  True if the client has to be replaced for it. */
bool too_large_settle(struct stream *stream);

#endif
