/* rejoin.h - a consumer that the group has fenced is replaced in the process.
 *
 * A member is fenced when another has come under its name.  Mostly that was itself: a
 * heartbeat that was stuck in the network arrives when its sender has long joined again.
 * librdkafka's client is of no use after that, so another one takes its place:
 *
 *     poll thread                                  commit thread
 *     loses all leases, as in a rebalance
 *     with loss; leaves the client alone --fenced--> lets go of what the pipeline had
 *                                                  of them, destroys the client, makes
 *     joins the group with it       <--not fenced--  another
 *
 * Where it comes again and again there is another worker of that name: the two would take
 * the place from each other for ever, and so this one ends.
 *
 * Depends on: stream/internal.h.
 * Ownership: source->fenced says whose the consumer is, see above.
 * Threads: as each function says. */
#ifndef MILLRACE_STREAM_REJOIN_H
#define MILLRACE_STREAM_REJOIN_H

#include "base/status.h"

/* Fenced more often than this in so long, the worker ends. */
#define REJOINS_MAX 3
#define REJOINS_PERIOD_US 600000000

struct stream;

/* Gives up all leases, and the consumer to the commit thread: nothing may be asked of it
 * after.  STATUS_FATAL where that was too often.  Runs on: poll thread. */
MUST_CHECK enum status rejoin_begin(struct stream *stream, struct error *err);

/* Replaces a consumer that was given up, once no record of its is left.  STATUS_FATAL
 * where that takes too long.  Runs on: commit thread. */
MUST_CHECK enum status rejoin_step(struct stream *stream, struct error *err);

#endif
