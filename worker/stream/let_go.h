/* let_go.h - records leave the window: published, or lost to another worker.
 *
 * Depends on: stream/internal.h's parts.
 * Ownership: messages are destroyed and holders given back; slots are the window's again.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_LET_GO_H
#define MILLRACE_STREAM_LET_GO_H

#include <stddef.h>
#include <stdint.h>

struct stream;
struct lease;
struct ahead;

/* Drops the outcomes that came too late.  Not while they are in an open transaction. */
void let_go_lost(struct stream *stream);

/* What was taken is committed; returns the number of records. */
size_t let_go_taken(struct stream *stream);

/* Lets go of what is committed after all: the brokers' offset of the lease, -1 for none,
 * and what is published beyond it.  Such records all had outcomes: they were in the
 * transaction.  Returns their number. */
size_t let_go_committed(struct stream *stream, struct lease *lease, int64_t offset,
                        const struct ahead *ahead);

#endif
