/* room.h - how much may be polled: the window bounds what is in flight.
 *
 * Where there are several routes, each may take a part of the window only: one whose jobs
 * are slow would otherwise fill it, and then the others would find no room however fast
 * they are.  A route at its bound is held until half of its part is free, a full window
 * until an eighth of it is: there is no use in records one by one.
 *
 * Depends on: stream/internal.h's parts.
 * Ownership: plain data of the source.
 * Threads: poll thread; room_released on the commit thread. */
#ifndef MILLRACE_STREAM_ROOM_H
#define MILLRACE_STREAM_ROOM_H

#include <stdbool.h>
#include <stddef.h>

#include "stream/stream.h"

/* A route may take one part in so many of the window, if there are as many routes. */
#define ROOM_PARTS_MAX 4

/* What may still be polled, of a route or of all. */
struct room {
    size_t records, size; /* as far as size is positive, a record may go beyond it */
    bool held;            /* there is none until more of it is free */
};

struct rooms {
    struct room all, routes[STREAM_ROUTES_MAX];
    _Atomic bool awaited; /* the poll thread wants to know of released records */
};

struct stream;

/* Looks at what is in flight now. */
void room_look(struct stream *stream);

/* Whether a record of the route may be polled, since the last look, and that one was. */
bool room_has(const struct stream *stream, int route);
void room_take(struct stream *stream, int route, size_t size);

/* Records have been released: wakes the poll thread if it waits for that. */
void room_released(struct stream *stream);

#endif
