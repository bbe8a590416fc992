/* result.h - writing and reading an InferenceResult (schemas/inference_result.avsc).
 *
 * Depends on: base/tensor.h, base/.
 * Ownership: the encoder writes into memory of its caller; the reader borrows.
 * Threads: pure functions. */
#ifndef MILLRACE_CODEC_RESULT_H
#define MILLRACE_CODEC_RESULT_H

#include "base/span.h"
#include "base/status.h"
#include "codec/job.h"

#define RESULT_SHA256_SIZE 32

struct result {
    struct span id;
    struct span model;
    struct span version; /* data NULL for null */
    struct span headers; /* an encoded Avro map; size 0 stands for an empty one */
    int64_t job_timestamp_ms;
    int32_t batch_size;
    int64_t wait_us;
    int64_t compute_us;
    struct span model_sha256; /* RESULT_SHA256_SIZE bytes, data NULL for null */
};

/* One output as rows of a batch: dims without the batch dimension. */
struct result_output {
    struct span name;
    struct tensor row; /* dtype, rank, dims of one row; data points at this row */
};

/* An upper bound of the encoded size, in bytes; string contents are counted. */
size_t result_size_max(const struct result *result, const struct result_output *outputs,
                       int output_count);

/* Encodes into `to`, which has room for result_size_max bytes; returns bytes written. */
size_t result_encode(const struct result *result, const struct result_output *outputs,
                     int output_count, uint8_t *to);

/* Reads a result (tools, tests): fields into *result, outputs into `outputs` of
 * JOB_INPUTS_MAX entries.  One that ends before model_sha256, as older workers wrote
 * them, is fine.  STATUS_POISON for anything malformed. */
MUST_CHECK enum status result_parse(struct span message, struct result *result,
                                    struct job_tensor *outputs, int *output_count,
                                    struct error *err);

#endif
