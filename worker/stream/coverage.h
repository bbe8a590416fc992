/* coverage.h - does the group read every partition of our topics?
 *
 * A member that is started again under its old name (group.instance.id) gets its old
 * partitions back without a rebalance: what a new route reads, or a retry topic that was
 * made meanwhile, would go to nobody; and where it was the group's leader, no member is
 * told to look for new partitions any more.  So each worker asks the group's coordinator
 * now and then who holds what, and where a partition stays unread it leaves the group and
 * joins again, which shares all of them out anew.
 *
 * Source: org.apache.kafka's GroupCoordinator.updateStaticMemberAndRebalance, which
 * compares the names of protocols alone, and KIP-814 for what that does to the leader.
 *
 * Depends on: stream/internal.h's parts.
 * Ownership: struct coverage owns its queue.
 * Threads: poll thread. */
#ifndef MILLRACE_STREAM_COVERAGE_H
#define MILLRACE_STREAM_COVERAGE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

struct stream;

struct coverage {
    rd_kafka_queue_t *answers; /* owned; NULL while nothing is asked */
    int64_t due_us;            /* when to ask again; 0: nothing was assigned yet */
    int gaps; /* answers in a row that named a partition without a member */
};

/* The group has shared out its partitions: look soon. */
void coverage_suspect(struct coverage *coverage);

/* Asks when it is time, and reads what was answered.  True where the worker should join
 * the group anew; it is logged. */
bool coverage_has_gap(struct stream *stream);

/* Before its consumer goes. */
void coverage_release(struct coverage *coverage);

#endif
