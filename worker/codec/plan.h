/* plan.h - a decode plan: made once for a writer's schema and what is wanted of it, run
 * for every record.
 *
 * A plan is a flat list of steps.  Running it walks the record's bytes once, without
 * recursion and without allocating: every length, count, enum index, boolean and union
 * branch is held against the bytes left, wanted or not, so that a record that passes is
 * well-formed to its last byte.  Wanted values go straight to their places in tensor
 * rows; a whole list that fills a tensor is only noted, to be copied or converted by
 * job_fill.
 *
 * With a reader's schema, paths are its own and the specification's resolution applies:
 * promotion, defaults, aliases, reordered, added and removed fields, unions, enums with a
 * default.  What is not wanted is only skipped, so that fields of no interest may differ.
 *
 * Depends on: codec/avro_schema.h, codec/value.h, codec/job.h for struct job_tensor.
 * Ownership: a plan owns all but the schemas and vocabularies, which must outlive it.
 * Threads: a plan is read-only once made; each thread runs it with a struct plan_out of
 * its own. */
#ifndef MILLRACE_CODEC_PLAN_H
#define MILLRACE_CODEC_PLAN_H

#include "codec/avro_schema.h"
#include "codec/job.h"
#include "codec/value.h"

#define PLAN_WANTS_MAX 4096
#define PLAN_STEPS_MAX 65536
#define PLAN_VALUES_MAX 65536 /* of a list or a tensor, where its length is not given */
#define PLAN_EMPTY_ITEMS_MAX 65536 /* of an array whose items take no bytes */

/* One value, or one list of values, and where it goes: elements `offset` and up of the
 * row of `tensor`. */
struct plan_want {
    const char
        *place;       /* whose it is, for errors: "input 'x', field 2 (worker.conf:31)" */
    const char *path; /* see avro_path.h */
    enum dtype dtype;
    int tensor;
    size_t offset; /* elements */
    size_t
        values_min; /* of a list; both 1 for a single value.  A value is one element, */
    size_t values_max; /* or as many as one_hot has */
    bool whole;        /* the list is all of its tensor, and may be noted */
    bool has_fallback; /* for null, and a key that a map does not have; a list that is
                          null becomes values_min of it */
    struct value fallback;
    const struct change *changes; /* copied */
    int change_count;
};

struct plan; /* opaque */

/* Makes the plan.  `reader` may be NULL: then it is the writer's.  Both outlive the plan.
 * STATUS_INVALID for a want that cannot be met, naming its place; STATUS_UNSUPPORTED for
 * schemas that do not resolve or are over a limit; STATUS_NO_MEMORY. */
MUST_CHECK enum status plan_create(const struct avro_node *writer,
                                   const struct avro_node *reader,
                                   const struct plan_want *wants, int want_count,
                                   struct plan **out, struct error *err);

/* Accepts NULL. */
void plan_destroy(struct plan *plan);

/* Where a run writes; arrays of the caller. */
struct plan_out {
    uint8_t *const *rows;       /* by tensor; aligned for its dtype */
    struct job_tensor *tensors; /* by tensor: set where a list was noted: kind, count,
                                   contiguous, data; kind is JOB_DATA_STAGED where not */
    uint32_t *values;           /* by want: how many values it has stored; of a list that
                                   was noted, anything */
};

/* Decodes `message`, which is one record and nothing behind it.  STATUS_POISON, with the
 * field and the byte, for bytes that are no such record and for values that do not fit.
 */
MUST_CHECK enum status plan_run(const struct plan *plan, struct span message,
                                struct plan_out *out, struct error *err);

/* The same, but the record may be followed by others: *size is set to its bytes. */
MUST_CHECK enum status plan_run_next(const struct plan *plan, struct span message,
                                     struct plan_out *out, size_t *size,
                                     struct error *err);

/* Can data of `writer` be read as `reader`, all of it?  STATUS_INVALID, saying what is in
 * the way; union branches and enum symbols without a counterpart count as that. */
MUST_CHECK enum status plan_check_resolution(const struct avro_node *writer,
                                             const struct avro_node *reader,
                                             struct error *err);

#endif
