/* record.h - one Kafka record on its way through the worker.
 *
 * The poll thread makes it, the pipeline reads it and sets its outcome once, and the
 * commit thread publishes the outcome and lets it go.  The original bytes, key and
 * headers stay until then, for dead letters and replays.
 *
 * Depends on: base/span.h.
 * Ownership: the stream owns every record; key and value are borrowed from it until
 * its outcome is set.  `holder` is the pipeline's, given back through the release hook
 * of struct stream_opts once the record is committed or dropped.
 * Threads: written by the poll thread before hand-over, by one pipeline thread up to
 * record_set_*, by the commit thread after it. */
#ifndef MILLRACE_STREAM_RECORD_H
#define MILLRACE_STREAM_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/span.h"
#include "base/status.h"

enum record_state {
    RECORD_PENDING, /* in the pipeline */
    RECORD_RESULT,  /* `result` is to be published */
    RECORD_RETRY,   /* the original goes to the next retry topic, to be tried later */
    RECORD_DEAD,    /* the original goes to the dead-letter topic with `reason` */
    RECORD_STATE_COUNT
};

struct record {
    struct record *next; /* in the chain that stream_poll hands out */
    int route;           /* index into stream_opts.routes */
    int attempt;         /* 1 for one from the input topic, more from a retry topic */
    int retries_left;    /* levels that it may still be sent to */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* Kafka's, of the original; -1 if none */
    int64_t received_us;  /* clock_now_us() when polled */
    int64_t due_us;       /* the pipeline's own: when to try again */
    struct span key;      /* data NULL if none */
    struct span value;
    struct span result;           /* borrowed from holder */
    void *holder;                 /* what keeps result alive; may be NULL */
    char *reason;                 /* owned; why it is no result, never a payload */
    const char *stage;            /* "decode", "infer", "publish": static text */
    const char *model;            /* static text: the model's name, or NULL */
    const char *version, *sha256; /* of the model, borrowed from holder; NULL: not told */
    _Atomic int state;            /* enum record_state */
    bool has_no_headers; /* is known; librdkafka allocates to find out each time */
    void *message;       /* the librdkafka message; stream's own */
    void *slot;          /* stream's own */
};

#endif
