/* control.h - reads a small topic from its beginning, all of it, in every worker.
 *
 * Unlike the routes' inputs it is shared out to nobody: each reader sees each committed
 * record, and no offset is kept.  The topic and its brokers need not be there yet.
 *
 * Depends on: stream/stream.h, librdkafka.
 * Ownership: a record is borrowed from the reader until its next call.
 * Threads: one thread. */
#ifndef MILLRACE_STREAM_CONTROL_H
#define MILLRACE_STREAM_CONTROL_H

#include <stdbool.h>

#include "base/span.h"
#include "stream/stream.h"

struct control_record {
    struct span value; /* data NULL for a record without */
    int32_t partition;
    int64_t offset;
};

struct control; /* opaque */

/* A consumer with the properties of `opts`, which are borrowed for the call alone. */
MUST_CHECK enum status control_open(const struct stream_opts *opts, const char *topic,
                                    struct control **control, struct error *err);

/* The next record, waiting up to timeout_ms; false where none came. */
bool control_read(struct control *control, int timeout_ms, struct control_record *record);

/* Accepts NULL; may block. */
void control_close(struct control *control);

#endif
