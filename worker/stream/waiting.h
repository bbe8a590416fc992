/* waiting.h - records that are polled and must not be handed out yet.
 *
 * A record of a retry topic waits in its lease until it is due, and any record until care
 * allows its lease to go on.  The partition is paused at once in the first case, and when
 * some hundred records wait in the second, so that memory is bounded.  What librdkafka
 * still delivers waits behind.  They count for nothing in the window.
 *
 * Depends on: stream/internal.h's parts.
 * Ownership: a waiting slot is its lease's, until it is due or the lease is revoked.
 * Threads: poll thread. */
#ifndef MILLRACE_STREAM_WAITING_H
#define MILLRACE_STREAM_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;
struct slot;
struct lease;

/* Whether the slot, just polled, has to wait. */
bool waiting_must(const struct slot *slot, int64_t now_us);

void waiting_add(struct stream *stream, struct slot *slot);

/* Moves what is due to the source's batch, up to `records` in there, of routes that have
 * room. */
void waiting_release(struct stream *stream, size_t records, int64_t now_us);

/* When to look at them again; INT64_MAX if none waits. */
int64_t waiting_due_us(const struct stream *stream, int64_t now_us);

/* Gives back what waits of a lease that is on its way out, or of all. */
void waiting_drop(struct stream *stream, struct lease *lease);
void waiting_drop_all(struct stream *stream);

#endif
