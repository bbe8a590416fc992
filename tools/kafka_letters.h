/* kafka_letters.h - dead letters: read, sent back, deleted.
 *
 * A letter is sent back in a transaction that also notes, in the metadata of an offset of
 * the group "millrace-dlq.TOPIC", which letters have been: whatever ends the process,
 * none is sent twice and none is left out.
 *
 * Depends on: tools/kafka_io.h, tools/ranges.h; librdkafka, which is in kafka_*.c only.
 * Ownership: opaque clients, closed by their close function, which accepts NULL.
 * Threads: one thread per client. */
#ifndef MILLRACE_TOOLS_KAFKA_LETTERS_H
#define MILLRACE_TOOLS_KAFKA_LETTERS_H

#include "tools/kafka_io.h"

struct letter {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    struct span key, value; /* data NULL if none; borrowed until the next call */
    void *message;          /* librdkafka's */
};

/* The last header of that name; false if there is none. */
bool letter_header(const struct letter *letter, const char *name, struct span *value);

/* The header with that number; false past the last. */
bool letter_header_at(const struct letter *letter, size_t index, const char **name,
                      struct span *value);

/* The number that a header holds; `otherwise` if there is none. */
int64_t letter_number(const struct letter *letter, const char *name, int64_t otherwise);

/* ---- reading --------------------------------------------------------------------- */

struct letters;

/* All that is committed in the topic when it is opened, partition by partition as it
 * comes.  Statuses as in kafka_io.h. */
MUST_CHECK enum status letters_open(const struct kafka_io_opts *opts, const char *topic,
                                    struct letters **letters, struct error *err);
void letters_close(struct letters *letters);

/* The next letter; *end is set instead where there is no more.  STATUS_AGAIN if nothing
 * came in time. */
MUST_CHECK enum status letters_next(struct letters *letters, struct letter *letter,
                                    bool *end, struct error *err);

/* ---- sending back ---------------------------------------------------------------- */

struct replay;

/* Ends what an earlier replay of the topic left open, and reads which letters have been
 * sent back. */
MUST_CHECK enum status replay_open(const struct kafka_io_opts *opts, const char *topic,
                                   struct replay **replay, struct error *err);
void replay_close(struct replay *replay);

/* Has it been sent back by an earlier call, of this process or another? */
bool replay_knows(const struct replay *replay, const struct letter *letter);

/* Sends the letter to its partition of topic `to`, without what made a letter of it and
 * with `count` as its number of replays; commits now and then. */
MUST_CHECK enum status replay_send(struct replay *replay, const struct letter *letter,
                                   const char *to, int32_t partition, int64_t count,
                                   struct error *err);

/* Commits what is left. */
MUST_CHECK enum status replay_finish(struct replay *replay, struct error *err);

/* ---- deleting -------------------------------------------------------------------- */

/* Deletes the records of the topic's partitions below before[partition], where that is
 * not negative. */
MUST_CHECK enum status letters_delete(const struct kafka_io_opts *opts, const char *topic,
                                      const int64_t *before, int32_t partitions,
                                      struct error *err);

#endif
