/* due.h - when to commit.
 *
 * Depends on: stream/internal.h's parts.
 * Ownership: none.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_DUE_H
#define MILLRACE_STREAM_DUE_H

#include <stdbool.h>
#include <stdint.h>

struct stream;

/* Waits until there is something to commit and it is time; whether that came before
 * deadline_us.  Care goes on meanwhile, and what came too late is dropped. */
bool due_wait(struct stream *stream, int64_t deadline_us);

/* A phase that failed is not tried again before its time; whether that has come. */
bool due_wait_retry(struct stream *stream, int64_t deadline_us);

#endif
