/* mapping.h - record mode, the way in: how a model's inputs are made of a record's
 * fields.
 *
 * A mapping is made once for a writer's schema (and, optionally, the schema that the
 * route reads it with).  It turns a record into a struct job, as job_parse does with an
 * envelope; from there on both go the same way: job_shape_check, job_fill.
 *
 * Each input is made of sources, whose elements stand behind each other in its row: a
 * field, a list of fields, lists in fields, constants.  See avro_path.h for paths and
 * value.h for what can be done to a value on its way.
 *
 *     mapping_create        at start, or when a schema is first met
 *     mapping_rows_create   once for each thread that uses the mapping
 *     mapping_parse         for each record
 *
 * Depends on: codec/plan.h, codec/job.h.
 * Ownership: the schemas and vocabularies outlive the mapping, the mapping its rows; a
 * parsed job borrows from the message and the rows, until the rows are used again.
 * Threads: a mapping is read-only; rows belong to one thread. */
#ifndef MILLRACE_CODEC_MAPPING_H
#define MILLRACE_CODEC_MAPPING_H

#include "codec/plan.h"

struct mapping_source {
    const char *place; /* where it was written, for errors: "worker.conf:31"; or NULL */
    const char *path;  /* NULL for a constant */
    bool has_value;    /* the constant; or what stands for null and absent */
    struct value value;
    const struct change *changes; /* borrowed while the mapping is made */
    int change_count;
    size_t count; /* values that a list gives; 0: what the input has room for */
};

/* Behind the model's inputs may stand the job's own: int64, of one field each, with
 * MAPPING_NONE or 0 where that is null. */
#define MAPPING_NONE INT64_MAX
enum mapping_use { MAPPING_MODEL, MAPPING_DEADLINE, MAPPING_PRIORITY };

struct mapping_input {
    enum mapping_use use;
    const char *name; /* of the model's input */
    enum dtype dtype;
    int rank;                             /* of a row, without the batch dimension */
    int64_t dims[TENSOR_RANK_MAX];        /* at most one negative, for a free dimension */
    const struct mapping_source *sources; /* borrowed while the mapping is made */
    int source_count;
};

struct mapping;      /* opaque */
struct mapping_rows; /* opaque */

/* STATUS_INVALID names the input, the source's place, what is wrong, and the fields that
 * do exist; STATUS_UNSUPPORTED for what is over a limit; STATUS_NO_MEMORY. */
MUST_CHECK enum status mapping_create(const struct avro_node *writer,
                                      const struct avro_node *reader,
                                      const struct mapping_input *inputs, int input_count,
                                      struct mapping **out, struct error *err);

/* Accepts NULL. */
void mapping_destroy(struct mapping *mapping);

/* NULL without memory. */
struct mapping_rows *mapping_rows_create(const struct mapping *mapping);
void mapping_rows_destroy(struct mapping_rows *rows);

/* The record's inputs into *job, which has no id and no model.  STATUS_POISON for bytes
 * that are no such record, values that do not fit, lists of another length. */
MUST_CHECK enum status mapping_parse(const struct mapping *mapping,
                                     struct mapping_rows *rows, struct span message,
                                     struct job *job, struct error *err);

/* The same of the first record of several; *size is set to its bytes. */
MUST_CHECK enum status mapping_parse_next(const struct mapping *mapping,
                                          struct mapping_rows *rows, struct span message,
                                          struct job *job, size_t *size,
                                          struct error *err);

#endif
