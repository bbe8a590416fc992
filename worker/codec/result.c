/* result.c - see result.h. */
#include "codec/result.h"

#include <assert.h>

#include "codec/reader.h"
#include "codec/tensors.h"
#include "codec/writer.h"

/* ---- writing --------------------------------------------------------------------- */

size_t result_size_max(const struct result *result, const struct result_output *outputs,
                       int output_count) {
    /* The version's branch, empty headers, batch_size, three longs, the outputs' count
     * and end, the digest and its branch. */
    size_t size = 4 + RESULT_SHA256_SIZE + WRITER_INT_SIZE_MAX + 4 * WRITER_LONG_SIZE_MAX;
    size += writer_bytes_size_max(result->id) + writer_bytes_size_max(result->model);
    size += writer_bytes_size_max(result->version) + result->headers.size;
    for (int i = 0; i < output_count; i++) {
        size += tensors_size_max(outputs[i].name, &outputs[i].row);
    }
    return size;
}

size_t result_encode(const struct result *result, const struct result_output *outputs,
                     int output_count, uint8_t *to) {
    uint8_t *at = to;
    at = writer_bytes(at, result->id);
    at = writer_bytes(at, result->model);
    at = writer_optional(at, result->version);
    if (result->headers.size == 0) {
        *at++ = 0; /* an empty map */
    } else {
        at = writer_raw(at, result->headers.data, result->headers.size);
    }
    at = writer_long(at, result->job_timestamp_ms);
    at = writer_long(at, result->batch_size);
    at = writer_long(at, result->wait_us);
    at = writer_long(at, result->compute_us);
    if (output_count > 0) {
        at = writer_size(at, (size_t)output_count);
        for (int i = 0; i < output_count; i++) {
            at = tensors_write(at, outputs[i].name, &outputs[i].row);
        }
    }
    *at++ = 0;                                         /* end of the outputs */
    *at++ = result->model_sha256.data == NULL ? 0 : 2; /* the branch of the union */
    if (result->model_sha256.data != NULL) {
        assert(result->model_sha256.size == RESULT_SHA256_SIZE);
        at = writer_raw(at, result->model_sha256.data, RESULT_SHA256_SIZE);
    }
    return (size_t)(at - to);
}

/* ---- reading --------------------------------------------------------------------- */

/* What the steps below fill. */
struct reading {
    struct result *result;
    struct job_tensor *outputs;
    int *output_count;
};

static bool read_id(struct reader *r, struct reading *to) {
    return reader_text(r, 1, JOB_ID_SIZE_MAX, &to->result->id);
}

static bool read_model(struct reader *r, struct reading *to) {
    return reader_text(r, 0, JOB_MODEL_SIZE_MAX, &to->result->model);
}

static bool read_version(struct reader *r, struct reading *to) {
    return tensors_read_optional(r, JOB_VERSION_SIZE_MAX, &to->result->version);
}

static bool read_headers(struct reader *r, struct reading *to) {
    struct span named; /* none is looked for */
    return tensors_read_headers(r, &to->result->headers, "", &named);
}

static bool read_job_timestamp(struct reader *r, struct reading *to) {
    return reader_long(r, &to->result->job_timestamp_ms);
}

static bool read_batch_size(struct reader *r, struct reading *to) {
    return reader_int(r, &to->result->batch_size);
}

static bool read_wait(struct reader *r, struct reading *to) {
    return reader_long(r, &to->result->wait_us);
}

static bool read_compute(struct reader *r, struct reading *to) {
    return reader_long(r, &to->result->compute_us);
}

static bool read_outputs(struct reader *r, struct reading *to) {
    return tensors_read(r, "outputs", to->outputs, to->output_count);
}

static bool read_sha256(struct reader *r, struct reading *to) {
    const uint8_t *at = r->at;
    int64_t branch = 0;
    to->result->model_sha256 = span_of(NULL, 0);
    if (r->at == r->end) {
        return true; /* an older worker's */
    }
    if (!reader_long(r, &branch)) {
        return false;
    }
    if (branch < 0 || branch > 1 ||
        (branch == 1 && reader_left(r) < RESULT_SHA256_SIZE)) {
        reader_report(r, at, "must be null or %d bytes", RESULT_SHA256_SIZE);
        return false;
    }
    if (branch == 1) {
        to->result->model_sha256 = span_of(r->at, RESULT_SHA256_SIZE);
        r->at += RESULT_SHA256_SIZE;
    }
    return true;
}

/* The fields of an InferenceResult, in the schema's order. */
struct step {
    const char *field;
    bool (*read)(struct reader *r, struct reading *to);
};

static const struct step steps[] = {
    {"id", read_id},
    {"model", read_model},
    {"version", read_version},
    {"headers", read_headers},
    {"job_timestamp_ms", read_job_timestamp},
    {"batch_size", read_batch_size},
    {"wait_us", read_wait},
    {"compute_us", read_compute},
    {"outputs", read_outputs},
    {"model_sha256", read_sha256},
};

enum status result_parse(struct span message, struct result *result,
                         struct job_tensor *outputs, int *output_count,
                         struct error *err) {
    struct reading to = {result, outputs, output_count};
    struct reader r;
    reader_init(&r, message, err);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        r.field = steps[i].field;
        if (!steps[i].read(&r, &to)) {
            return STATUS_POISON;
        }
    }
    if (r.at != r.end) {
        r.field = NULL;
        reader_report(&r, r.at, "%zu bytes behind the result", reader_left(&r));
        return STATUS_POISON;
    }
    return STATUS_OK;
}
