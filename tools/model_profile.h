/* model_profile.h - where the time of a model's runs goes: by node and by operator.
 *
 *     profile_open     makes room for a session's nodes and looks on from now on
 *     profile_start    before each session_run
 *     profile_print    what was found
 *
 * Depends on: engine/session.h.
 * Ownership: a profile owns its figures; the session must outlive it.
 * Threads: that of the session. */
#ifndef MILLRACE_TOOLS_MODEL_PROFILE_H
#define MILLRACE_TOOLS_MODEL_PROFILE_H

#include "engine/session.h"

struct profile {
    struct session *session; /* borrowed */
    int64_t *node_ns;        /* owned; of each node, over all runs */
    int64_t last_ns;         /* when the node before ended */
    int64_t runs;
};

MUST_CHECK enum status profile_open(struct profile *profile, struct session *session,
                                    struct error *err);
void profile_start(struct profile *profile);

/* The operators and the slowest nodes, microseconds a run; or all as one line of JSON:
 * {"runs", "run_us", "operators": [{"type", "nodes", "us"}],
 *  "nodes": [{"name", "type", "input", "output", "us"}]}, the slowest first. */
void profile_print(const struct profile *profile, bool json);

/* Accepts a zeroed profile and leaves it zeroed. */
void profile_close(struct profile *profile);

#endif
