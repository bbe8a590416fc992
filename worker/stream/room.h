/* room.h - no more is polled than the window holds: a full one is waited for, then all
 * partitions are paused, or those of the route that piles up.
 *
 * Depends on: stream/internal.h.
 * Threads: poll thread. */
#ifndef MILLRACE_STREAM_ROOM_H
#define MILLRACE_STREAM_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct stream;

/* Whether records may be polled now; if not, it has waited a little for room. */
bool room_wait(struct stream *stream, int64_t timeout_us);

#endif
