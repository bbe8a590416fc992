/* portion.h - how much of the window one route may take, where there are several.
 *
 * A route whose jobs are slow would otherwise fill the window, and then the others would
 * find no room however fast they are; and what librdkafka has fetched of it ahead would
 * stand before what comes for them.  So a route that stays over its portion for longer
 * than a short stall is held: its partitions are paused until half of it is gone.
 *
 * Depends on: stream/internal.h's parts.
 * Ownership: holds are the source's.
 * Threads: poll thread. */
#ifndef MILLRACE_STREAM_PORTION_H
#define MILLRACE_STREAM_PORTION_H

#include <stdbool.h>
#include <stddef.h>

struct stream;

/* Routes may take one part in so many of the window, if there are as many. */
#define PORTION_PARTS_MAX 4

/* Lowers what one poll may take, in records and bytes, so far that a route at its portion
 * cannot take the rest of the window before it is held. */
void portion_bound_poll(const struct stream *stream, size_t *records, size_t *size);

/* Lets go of those that are well below their portion; whether one that is not held is
 * over it. */
bool portion_crowded(struct stream *stream);

/* Holds those that are over it; whether there are any. */
bool portion_hold(struct stream *stream);

#endif
