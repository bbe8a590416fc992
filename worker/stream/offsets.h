/* offsets.h - lists of offsets for what the window holds, and committing them alone.
 *
 * Depends on: stream/internal.h's parts, librdkafka.
 * Ownership: a list is the caller's.
 * Threads: commit thread. */
#ifndef MILLRACE_STREAM_OFFSETS_H
#define MILLRACE_STREAM_OFFSETS_H

#include <librdkafka/rdkafka.h>

#include "base/status.h"

struct stream;
struct ahead;
struct lease;

/* The offsets to commit for what is in the open transaction. */
rd_kafka_topic_partition_list_t *offsets_of_taken(struct stream *stream);

/* The partitions of leases that are still ours, to ask for their offsets. */
rd_kafka_topic_partition_list_t *offsets_of_held(struct stream *stream);

/* The offset that the list has for the lease's partition, -1 for none, and what its
 * metadata say is published beyond it. */
int64_t offsets_find(struct stream *stream, rd_kafka_topic_partition_list_t *offsets,
                     const struct lease *lease, struct ahead *ahead);

/* Commits the list without a transaction; the answer comes to `queue` with `opaque`.
 * Refused where a lease was lost since window_losses() was `losses`: librdkafka sends the
 * generation of the moment, with which a broker takes the offsets of partitions that are
 * another's by now.  Any thread. */
rd_kafka_resp_err_t offsets_send(struct stream *stream,
                                 const rd_kafka_topic_partition_list_t *offsets,
                                 uint64_t losses, rd_kafka_queue_t *queue, void *opaque);

/* At least once: commits the offsets of what was taken; STATUS_AGAIN resumes it. */
MUST_CHECK enum status offsets_commit(struct stream *stream, struct error *err);

#endif
