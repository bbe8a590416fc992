/* answers.h - answers from a topic into a file of rows: Avro, CSV, JSON lines or .npy.
 *
 * Answers to jobs become rows of `id`, `row` (the job's number) and the model's outputs;
 * answers to records are rows as they are.  The schema is that of the first one, and all
 * others must agree with it.  In a .npy file each answer stands in its row's place.
 *
 * Depends on: tools/rows.h, tools/part_file.h, codec/result.h, registry/registry.h.
 * Ownership: the caller's texts outlive it.
 * Threads: one. */
#ifndef MILLRACE_TOOLS_ANSWERS_H
#define MILLRACE_TOOLS_ANSWERS_H

#include "base/tensor.h"
#include "codec/result.h"
#include "tools/registry_options.h"

struct json_t;

struct answers_opts {
    const char *path, *to, *codec;         /* the format and codec by name, or NULL */
    bool records;                          /* they are records, not results */
    const struct registry_flags *registry; /* of records framed for one */
    const char *schema;                    /* file, of bare records; or NULL */
    int64_t rows;                          /* of a .npy file: the places of all answers */
    bool restart;
};

struct answers; /* opaque */

/* `state`, owned by the caller, is what answers_save of a run before was given; or NULL.
 * STATUS_INVALID for what the user must change. */
MUST_CHECK enum status answers_open(const struct answers_opts *opts, struct answers **out,
                                    struct json_t **state, struct error *err);
/* Accepts NULL.  What is written and was not finished stays for the next run. */
void answers_close(struct answers *answers);

/* STATUS_POISON for an answer that is not like the first one. */
MUST_CHECK enum status answers_take_result(struct answers *answers, int64_t number,
                                           int64_t row, const struct result *result,
                                           const struct job_tensor *outputs,
                                           const struct tensor *tensors, int count,
                                           struct error *err);
/* `message` is a record with its framing. */
MUST_CHECK enum status answers_take_record(struct answers *answers, int64_t row,
                                           struct span message, struct error *err);

/* All that was taken is on disk, and `state` with it. */
MUST_CHECK enum status answers_save(struct answers *answers, const struct json_t *state,
                                    struct error *err);
/* The file gets its name. */
MUST_CHECK enum status answers_finish(struct answers *answers, struct error *err);

#endif
