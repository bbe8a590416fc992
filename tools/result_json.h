/* result_json.h - a result and its outputs as tensors and as JSON.
 *
 * Depends on: codec/result.h, jansson.
 * Ownership: tensors lie in the caller's arena, whose strings point into the message.
 * Threads: any. */
#ifndef MILLRACE_TOOLS_RESULT_JSON_H
#define MILLRACE_TOOLS_RESULT_JSON_H

#include <jansson.h>

#include "base/arena.h"
#include "codec/result.h"

/* The elements of one output; STATUS_POISON where they do not agree with its shape. */
MUST_CHECK enum status result_tensor(const struct job_tensor *output, struct arena *arena,
                                     struct tensor *y, struct error *err);

/* {"id", "model", "version", "timestamp_ms", "job_timestamp_ms", "batch_size",
 * "wait_us", "compute_us", "outputs": {NAME: {"dtype", "shape", "data"}}}, where data is
 * flat and row-major and numbers JSON does not have are null.  A new reference. */
json_t *result_json(const struct result *result, int64_t timestamp_ms,
                    const struct job_tensor *outputs, const struct tensor *tensors,
                    int output_count);

#endif
