/* job.h - reading an InferenceJob (schemas/inference_job.avsc).
 *
 * Two steps, neither of which allocates or trusts a byte:
 *   job_parse  walks the whole message once, checks every length, count, union branch
 *              and enum against the bytes left, and notes where things are;
 *   job_fill   copies or converts one tensor's elements into its place in a batch.
 * A message is bare Avro binary or single-object encoding (C3 01 and the CRC-64-AVRO
 * fingerprint of the job schema).  Its first two bytes tell which: a bare message begins
 * with the length of the id, and C3 01 would be a negative one.
 *
 * Names are shown in error texts, cut to printable ASCII; values never are.
 *
 * Depends on: base/tensor.h for dtypes, base/.
 * Ownership: a struct job borrows from the message's bytes.
 * Threads: pure functions. */
#ifndef MILLRACE_CODEC_JOB_H
#define MILLRACE_CODEC_JOB_H

#include "base/span.h"
#include "base/status.h"
#include "base/tensor.h"

#define JOB_ID_SIZE_MAX 256    /* bytes */
#define JOB_MODEL_SIZE_MAX 128 /* bytes */
#define JOB_VERSION_SIZE_MAX 128
#define JOB_NAME_SIZE_MAX 256 /* of a tensor */
#define JOB_INPUTS_MAX 64
#define JOB_ROWS_MAX 65536 /* of one job */
#define JOB_HEADERS_MAX 64
#define JOB_HEADERS_SIZE_MAX (16 * 1024)        /* encoded bytes */
#define JOB_PRIORITY_HEADER "millrace.priority" /* of the job or of its record */

/* Branches of Tensor.data, in the schema's order. */
enum job_data {
    JOB_DATA_BYTES,
    JOB_DATA_FLOATS,
    JOB_DATA_DOUBLES,
    JOB_DATA_INTS,
    JOB_DATA_LONGS,
    JOB_DATA_BOOLEANS,
    JOB_DATA_STRINGS,
    JOB_DATA_COUNT,
    /* No branch: elements of the dtype as a tensor has them, put together by a mapping.
     */
    JOB_DATA_STAGED = JOB_DATA_COUNT
};

struct job_tensor {
    struct span name;
    enum dtype dtype;
    int rank;
    int64_t dims[TENSOR_RANK_MAX];
    enum job_data kind;
    size_t count;     /* elements; for JOB_DATA_BYTES, bytes */
    bool contiguous;  /* not an array of several blocks */
    struct span data; /* the raw bytes, or the array's items; where not contiguous, the
                         array's blocks as they are encoded */
};

struct job {
    struct span id;
    struct span model;
    struct span version; /* data NULL for null */
    bool has_deadline;
    int64_t deadline_ms;
    int64_t priority;    /* above 0: before others; of the headers, or a record's field */
    struct span headers; /* the encoded Avro map, copied into the result as it is */
    int input_count;
    struct job_tensor inputs[JOB_INPUTS_MAX];
};

/* STATUS_POISON with the byte offset and field for anything malformed, truncated, over
 * a limit, empty (no bytes, no inputs), or followed by trailing bytes. */
MUST_CHECK enum status job_parse(struct span message, struct job *job, struct error *err);

/* Writes the elements of `tensor` as `dtype` into `to`, exactly `count` of them; `to` is
 * aligned for dtype.  Strings become spans into the message.  STATUS_POISON where the
 * count differs, the tensor's dtype is not `dtype`, or a value does not fit dtype: an
 * integer past its range, a fraction for an integer, a finite number that would become
 * infinite.  Rounding to the nearest is no error. */
MUST_CHECK enum status job_fill(const struct job_tensor *tensor, enum dtype dtype,
                                size_t count, void *to, struct error *err);

/* Is there a way from an array of that kind to the dtype? */
bool job_fill_converts(enum job_data kind, enum dtype dtype);

/* The row shape that the tensor stands for, given the model's `row_dims` (negative where
 * free): an empty shape is the model's own if that has no free dimension, and one more
 * dimension in front is that of the rows.  Writes `rank` dimensions to `out_dims`, and to
 * *rows how many rows, -1 for one without that dimension; STATUS_POISON where rank, a
 * fixed dimension or the number of elements disagrees, or there are no rows or too many.
 */
MUST_CHECK enum status job_shape_check(const struct job_tensor *tensor,
                                       const int64_t *row_dims, int rank,
                                       int64_t *out_dims, int *rows, struct error *err);

/* Most bytes that job_encode needs; string contents are counted. */
size_t job_size_max(struct span id, struct span model, const struct span *names,
                    const struct tensor *inputs, int input_count);

/* Writes a bare job for producers (tools, tests): bytes used go to *size; STATUS_INVALID
 * where a limit is passed or `room` is less than job_size_max.  Numeric tensors are
 * written as arrays where Avro has the type, else as bytes. */
MUST_CHECK enum status job_encode(struct span id, struct span model,
                                  const struct span *names, const struct tensor *inputs,
                                  int input_count, uint8_t *to, size_t room, size_t *size,
                                  struct error *err);

#endif
