/* side.h - records to topics beside the work: sent if it can be, and never waited for.
 *
 * A producer of its own without transactions.  What does not fit its bounded queue is
 * refused at once; what the brokers do not take in time is counted.
 *
 * Depends on: stream/stream.h, librdkafka.
 * Ownership: keys and values are copied.
 * Threads: one at a time. */
#ifndef MILLRACE_STREAM_SIDE_H
#define MILLRACE_STREAM_SIDE_H

#include <stdbool.h>

#include "base/span.h"
#include "stream/stream.h"

struct side; /* opaque */

/* A producer with the properties of `opts`, which are borrowed for the call alone. */
MUST_CHECK enum status side_open(const struct stream_opts *opts, struct side **side,
                                 struct error *err);

/* False where the record was not taken. */
bool side_send(struct side *side, const char *topic, struct span key, struct span value);

/* Serves what the brokers answered; how many records they have not taken, since the last
 * call. */
uint64_t side_poll(struct side *side);

/* Accepts NULL; waits up to timeout_ms for what is under way. */
void side_close(struct side *side, int timeout_ms);

#endif
