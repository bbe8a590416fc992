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
 * compares the names of protocols alone, and KIP-814 for what that does to the leader;
 * ConsumerProtocolAssignment.json for what members hold.  The older call for groups is
 * used: the admin's (DescribeConsumerGroups) aborts in librdkafka 2.0.2 where a
 * coordinator cannot be asked.
 *
 * Depends on: stream/internal.h's parts.
 * Ownership: none.
 * Threads: poll thread, but for coverage_count (any). */
#ifndef MILLRACE_STREAM_COVERAGE_H
#define MILLRACE_STREAM_COVERAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

struct coverage {
    int64_t due_us; /* when to look again; 0: nothing was assigned yet */
    int gaps;       /* looks in a row that found a partition without a member */
};

/* The group has shared out its partitions: look soon. */
void coverage_suspect(struct coverage *coverage);

/* Looks when it is time; blocks for a second or two where brokers do not answer.  True
 * where the worker should join the group anew; it is logged. */
bool coverage_has_gap(struct stream *stream);

/* How many partitions of `topic` a member's assignment has, as the brokers keep it; -1
 * where the bytes are cut off. */
int32_t coverage_count(const void *assignment, size_t size, const char *topic);

#endif
