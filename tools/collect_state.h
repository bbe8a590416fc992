/* collect_state.h - where collect is in its topics, and which answers it has.
 *
 * Depends on: tools/kafka_io.h, tools/expect.h; jansson.
 * Ownership: a state owns its starts and their topics until collect_state_release.
 * Threads: one. */
#ifndef MILLRACE_TOOLS_COLLECT_STATE_H
#define MILLRACE_TOOLS_COLLECT_STATE_H

#include "tools/expect.h"
#include "tools/kafka_io.h"

struct json_t;

struct collect_state {
    struct kafka_io_start *starts; /* owned; behind the last record of each partition */
    int count, room;
};

/* Accepts a zeroed state and leaves it zeroed. */
void collect_state_release(struct collect_state *state);

/* The record was taken. */
MUST_CHECK enum status collect_state_note(struct collect_state *state,
                                          const struct kafka_io_record *record,
                                          struct error *err);

/* All of it, and what the expectations have seen; a new reference, NULL without memory.
 */
struct json_t *collect_state_json(const struct collect_state *state,
                                  const struct expect *expects, int count);

/* STATUS_INVALID where it is of other expectations. */
MUST_CHECK enum status collect_state_load(struct collect_state *state,
                                          const struct json_t *json,
                                          struct expect *expects, int count,
                                          struct error *err);

#endif
