/* fetched.h - what librdkafka has fetched ahead, in a queue for each route.
 *
 * In the one queue of a consumer the records of a route that piles up stand before those
 * of all others, and leaving them alone for a while would mean to pause their partitions,
 * which throws away what is fetched.  Apart from each other, a route is left alone by not
 * looking into its queue.  The consumer's own queue has what the group wants.
 *
 * Depends on: stream/internal.h's parts, librdkafka.
 * Ownership: the queues are the source's, and live as long as its consumer.
 * Threads: poll thread; fetched_wake on any. */
#ifndef MILLRACE_STREAM_FETCHED_H
#define MILLRACE_STREAM_FETCHED_H

#include <librdkafka/rdkafka.h>

#include "base/status.h"

/* Of what is fetched ahead, in all routes together, and in one at least. */
#define FETCHED_KBYTES 65536
#define FETCHED_KBYTES_MIN 8192

/* From this librdkafka on `fetch.queue.backoff.ms` tells when a queue that was full is
 * looked at again. */
#define FETCHED_REFILLS_SINCE 0x020200ff

struct stream;

struct fetched {
    rd_kafka_queue_t *queue;
    size_t most; /* records that were in there since it was looked at last */
};

/* After the consumer was made, and before it is destroyed. */
MUST_CHECK enum status fetched_open(struct stream *stream, struct error *err);
void fetched_close(struct stream *stream);

/* What is fetched of these partitions goes to the queue of their route.  Before they are
 * assigned, each time. */
void fetched_direct(struct stream *stream,
                    const rd_kafka_topic_partition_list_t *partitions);

/* The next one of the route's, or NULL; does not wait. */
rd_kafka_message_t *fetched_next(struct stream *stream, int route);

/* After `taken` records, of `size` bytes, were.  librdkafka before 2.2 stops fetching
 * when a queue is full, and may look again a second later only: where one that was full
 * is half empty, it is made to look. */
void fetched_refill(struct stream *stream, int route, size_t taken, size_t size);

/* Bytes at which a queue is full and has to be watched for that; otherwise 0. */
size_t fetched_max_of(const rd_kafka_conf_t *conf);

/* Ends a wait for the consumer's own queue, as a record in an empty queue of a route
 * does. */
void fetched_wake(struct stream *stream);

#endif
