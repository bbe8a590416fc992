/* mark.h - what an offset's metadata in the group says of the worker that held it.
 *
 *     millrace:2:STATE:CRASHES:ALONE:SUSPECTS:STEP:OWNER[newline AHEAD]
 *
 * STATE is `o` while records from this offset on are in a worker, `r` while they are not
 * yet, and `c` after an orderly end.  CRASHES ends without notice were met at this place,
 * the last ALONE of them with a single record in the worker.  SUSPECTS records from here
 * on may be to blame, and STEP of them are in the worker at once, with nothing else; 0:
 * as many as the window holds.  OWNER is the transactional.id of the worker, empty where
 * it has none: what it left open hides the offsets.  AHEAD is what is published beyond
 * the offset (ahead.h).
 *
 * Each end divides the suspects: all of them together, then a part in MARK_PARTS of the
 * step in which it came, at last one.
 *
 * Depends on: stream/identity.h, librdkafka.  Threads: any; values only. */
#ifndef MILLRACE_STREAM_MARK_H
#define MILLRACE_STREAM_MARK_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "stream/ahead.h"
#include "stream/identity.h"

#define MARK_PARTS 16
/* The fewest that are suspected: more may have come since the mark was written. */
#define MARK_SUSPECTS_MIN 256

struct mark {
    char state;
    int crashes, alone;
    int64_t suspects, step;
    char owner[IDENTITY_NAME_MAX];
};

/* Reads a mark; one that is not ours is that of an orderly end. */
void mark_parse(const char *text, size_t size, struct mark *mark);

/* Makes the mark that a worker left into what the next one has to do.  True if the worker
 * ended without notice. */
bool mark_take_over(struct mark *mark);

/* Reads what is published beyond `offset`, at which the mark stands. */
void mark_parse_ahead(const char *text, size_t size, int64_t offset, struct ahead *ahead);

/* Writes the mark, and what is published beyond the partition's offset, as its metadata.
 */
void mark_set(rd_kafka_topic_partition_t *partition, const struct mark *mark,
              const struct ahead *ahead);

#endif
