/* phase.h - from one phase of a commit to the next, and what a failure asks for.
 *
 * Depends on: stream/internal.h's parts, librdkafka.
 * Ownership: the phase is the txn's; only phase_enter writes it.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_PHASE_H
#define MILLRACE_STREAM_PHASE_H

#include <librdkafka/rdkafka.h>

#include "stream/txn.h"

/* The step must be one of those in txn.h's picture. */
void phase_enter(struct stream *stream, enum txn_phase to);

/* Who must react to a failed transaction call: STATUS_AGAIN resumes it, STATUS_ABORT_TXN
 * rolls back, STATUS_FATAL replaces the client.  Takes `error`, NULL for none. */
MUST_CHECK enum status phase_judge(struct stream *stream, const char *call,
                                   rd_kafka_error_t *error, struct error *err);

/* Enters the phase that `status` of a failed phase asks for, some time later. */
MUST_CHECK enum status phase_fail(struct stream *stream, enum status status,
                                  struct error *err);

#endif
