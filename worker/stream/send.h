/* send.h - outcomes are queued: results in runs, what has headers of its own by itself.
 *
 * A record goes to the partition of its own number, modulo those of the target, so that
 * order per partition holds from end to end.
 *
 * Depends on: stream/internal.h's parts, librdkafka.
 * Ownership: librdkafka copies what is queued.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_SEND_H
#define MILLRACE_STREAM_SEND_H

#include <stddef.h>

#include "base/status.h"

struct stream;
struct lease;

/* Queues records of the lease behind those that are taken, all with outcomes: until
 * `count` are taken, or as much as one request holds.  More than that waits in librdkafka
 * until the request is answered, since an idempotent producer has one at a time for each
 * partition, and its thread does not sleep while it waits.  STATUS_ABORT_TXN: the attempt
 * is spoilt.  STATUS_FATAL: the client is. */
MUST_CHECK enum status send_outcomes(struct stream *stream, struct lease *lease,
                                     size_t count, struct error *err);

#endif
