/* topics.h - do the routes' topics exist, and how many partitions do they have?
 *
 * Asked at the start and every few seconds while one is missing, through the consumer,
 * which never creates a topic by asking.  A route's outcomes wait until its output and
 * dead-letter topics are there.  Retry topics are ours, and are made with as many
 * partitions and replicas as the input has.
 *
 * Depends on: stream/stream.h, librdkafka.
 * Ownership: topics owns its arrays.
 * Threads: commit thread, but for topics_suspect and `ready` (any). */
#ifndef MILLRACE_STREAM_TOPICS_H
#define MILLRACE_STREAM_TOPICS_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/status.h"
#include "stream/stream.h"

/* Partition counts; 0 for a topic that is missing. */
struct topic_counts {
    int32_t input, output, dead_letter;
    int32_t retries[STREAM_RETRIES_MAX];
};

#define TOPICS_MISSING_MAX 512 /* bytes of names that are told */

struct topics {
    struct topic_counts *routes;      /* owned */
    char missing[TOPICS_MISSING_MAX]; /* names that a look did not find: "a,b" */
    int64_t next_check_us;
    _Atomic bool suspect; /* an error spoke of a missing topic */
    _Atomic bool ready;   /* all are there */
    _Atomic bool settled; /* the retry topics that could be made have been */
};

MUST_CHECK enum status topics_init(struct topics *topics, size_t route_count,
                                   struct error *err);
void topics_release(struct topics *topics);

/* Look again soon.  Any thread. */
void topics_suspect(struct topics *topics);

/* Asks the brokers if a look is due.  May block for some seconds while none answers. */
void topics_check(struct stream *stream);

/* Whether the route's outcomes can be published. */
bool topics_can_publish(const struct stream *stream, int route);

#endif
