/* fence.h - ending what a worker that is gone has left open.
 *
 * A worker that dies in a transaction leaves its offsets hidden until the brokers find,
 * by the transaction's timeout, that nobody ends it.  If it is started again it does that
 * itself; if it is not, whoever gets its partitions looks into the last marks, which any
 * reader of uncommitted offsets may see, for who that was, and ends its transaction by
 * taking up its transactional.id for a moment.  A worker that lives after all is told by
 * its next call, makes a new producer and does again what was not committed.
 *
 * Depends on: stream/internal.h's parts.
 * Ownership: none; its clients live for a call.
 * Threads: commit thread; may block for some seconds. */
#ifndef MILLRACE_STREAM_FENCE_H
#define MILLRACE_STREAM_FENCE_H

#include <librdkafka/rdkafka.h>

struct stream;

/* Ends the transactions of the last owners of these partitions, but our own.  What fails
 * is logged; the partitions then wait for the transaction's timeout. */
void fence_owners(struct stream *stream, const rd_kafka_topic_partition_list_t *hidden);

#endif
