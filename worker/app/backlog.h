/* backlog.h - records of a model that wait until one of its batches is free.
 *
 * So a slow model keeps nobody waiting but itself.  First in, first out, urgent records
 * before others (batch/share.h bounds how often); the window bounds how many there are.
 *
 * Depends on: batch/batcher.h, stream/record.h.
 * Ownership: records are the stream's; they are linked by `next`.
 * Threads: intake thread. */
#ifndef MILLRACE_APP_BACKLOG_H
#define MILLRACE_APP_BACKLOG_H

#include "batch/batcher.h"
#include "stream/record.h"

struct backlog_line {
    struct record *first, *last;
    struct batcher_progress progress; /* of the first */
};

/* A zeroed one is empty. */
struct backlog {
    struct backlog_line urgent, ordinary;
    size_t count, size; /* records, and bytes of their values */
    int passed;
};

/* `progress` is that of a record that was begun, which is the first then. */
void backlog_add(struct backlog *backlog, struct record *record, bool urgent,
                 const struct batcher_progress *progress);

/* The line whose first record is next, NULL if there is none. */
struct backlog_line *backlog_next(struct backlog *backlog);

/* The line whose first record was begun: some of its rows are in batches.  NULL if none
 * was. */
struct backlog_line *backlog_begun(struct backlog *backlog);

/* Its first record, of so many bytes, waits no longer; `next` is the one behind it.  The
 * record itself may be gone. */
void backlog_pop(struct backlog *backlog, struct backlog_line *line, struct record *next,
                 size_t size);

#endif
