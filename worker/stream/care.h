/* care.h - finding the record that ends the process.
 *
 * A record may make the model's code crash.  Restarting alone would meet it for ever, so
 * a mark in the offsets' metadata tells whoever holds the partition next how the last
 * holder ended (mark.h).  Who finds that a worker ended without notice takes care with
 * the records that may be to blame:
 *
 *     ends without notice   handed out at once         of all that is in the worker
 *     0                     what the window holds
 *     1                     all the suspects           nothing else
 *     2 ..                  a 16th of the last step    nothing else
 *     a record alone, two times, and the limit: the next record is a dead letter
 *
 * The second of these two counts only while the record is computed.
 *
 * One lease at a time is active in this way, and only after its mark says so: a crash is
 * then blamed on what was in the worker, and never on a record that waited.  A worker
 * that was killed from outside costs one round of care, in which all of a partition's
 * suspects go together.
 *
 * Depends on: stream/internal.h's parts, librdkafka.
 * Ownership: the fields of a lease that window.h says are care's.
 * Threads: commit thread, but for care_close* (poll thread). */
#ifndef MILLRACE_STREAM_CARE_H
#define MILLRACE_STREAM_CARE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

struct stream;
struct lease;

/* How long it is waited for what the group holds, before something is done about it. */
#define CARE_LOOK_MS 1000

/* How a lease is treated. */
enum care_state {
    CARE_UNKNOWN, /* its mark is not read yet */
    CARE_FREE,
    CARE_RESTING, /* suspected; nothing of it is in the worker */
    CARE_ACTIVE   /* suspected; only its records are in the worker */
};

/* Moves every lease on.  True while somebody waits for it, so that it is to be called
 * again soon. */
bool care_step(struct stream *stream);

/* Before a transaction: a record that has its outcome is not to blame for what ends the
 * process from now on.  Said only where a record could be condemned for it, since it
 * costs a commit. */
void care_absolve(struct stream *stream);

/* Sets the offset that is to be committed for what is taken of `lease`, and the mark. */
void care_add_mark(struct stream *stream, const struct lease *lease,
                   rd_kafka_topic_partition_t *partition);

/* Marks the ends of leases as orderly ones: adds one to a list, where it is one, and
 * commits the list, which is taken. */
void care_close_add(struct stream *stream, rd_kafka_topic_partition_list_t *list,
                    const struct lease *lease);
void care_close(struct stream *stream, rd_kafka_topic_partition_list_t *list);

#endif
