/* fuzz_job.c - libFuzzer: any bytes as a job and as a result.
 *
 * Whatever the bytes, parsing ends without harm; what parses keeps the promises of job.h,
 * fills in or is refused, and gives a result that reads back.  `make fuzz-codec` builds
 * and runs it; its first inputs are the messages of tests/data/codec. */
#include "codec/result.h"

#include <assert.h>

#define FILL_SIZE_MAX ((size_t)1 << 24) /* more comes only of a longer message */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool inside(struct span part, const uint8_t *bytes, size_t size) {
    return part.size == 0 || (part.data >= bytes && part.size <= size &&
                              (size_t)(part.data - bytes) <= size - part.size);
}

/* The tensor's own elements, or NULL where it is refused; the caller frees them. */
static void *fill(const struct job_tensor *x, size_t *count) {
    size_t size = dtype_size(x->dtype);
    struct error err;
    void *to;
    *count = x->kind == JOB_DATA_BYTES ? x->count / size : x->count;
    if (*count > FILL_SIZE_MAX / size) {
        return NULL;
    }
    to = malloc(*count * size + 1);
    assert(to != NULL);
    if (job_fill(x, x->dtype, *count, to, &err) != STATUS_OK) {
        assert(err.status == STATUS_POISON);
        free(to);
        return NULL;
    }
    return to;
}

/* Writes the job's first tensor that fills as a result, and reads that. */
static void round_trip(const struct job *job, const struct job_tensor *x) {
    static struct job_tensor back[JOB_INPUTS_MAX];
    struct result result = {.id = job->id,
                            .model = job->model,
                            .version = job->version,
                            .headers = job->headers,
                            .wait_us = job->deadline_ms};
    struct result_output output = {.name = x->name,
                                   .row = {.dtype = x->dtype, .rank = 1, .data = NULL}};
    struct result read;
    struct error err;
    size_t count, size;
    int output_count = 0;
    uint8_t *to;
    void *elements = fill(x, &count);
    if (elements == NULL) {
        return;
    }
    output.row.dims[0] = (int64_t)count;
    output.row.data = elements;
    size = result_size_max(&result, &output, 1);
    to = malloc(size);
    assert(to != NULL);
    size = result_encode(&result, &output, 1, to);
    assert(result_parse(span_of(to, size), &read, back, &output_count, &err) ==
           STATUS_OK);
    assert(output_count == 1);
    assert(span_equal(read.id, job->id));
    assert(read.wait_us == job->deadline_ms);
    assert(span_equal(back[0].name, x->name));
    free(to);
    free(elements);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct job job;
    static struct job_tensor outputs[JOB_INPUTS_MAX];
    struct result result;
    struct error err;
    int64_t dims[TENSOR_RANK_MAX];
    int rows;
    int count = 0;
    (void)result_parse(span_of(bytes, size), &result, outputs, &count, &err);
    if (job_parse(span_of(bytes, size), &job, &err) != STATUS_OK) {
        assert(err.status == STATUS_POISON);
        return 0;
    }
    assert(job.id.size >= 1);
    assert(job.id.size <= JOB_ID_SIZE_MAX);
    assert(inside(job.id, bytes, size));
    assert(inside(job.headers, bytes, size));
    assert(job.input_count >= 1);
    assert(job.input_count <= JOB_INPUTS_MAX);
    for (int i = 0; i < job.input_count; i++) {
        const struct job_tensor *x = &job.inputs[i];
        assert(inside(x->name, bytes, size));
        assert(inside(x->data, bytes, size));
        assert(x->count <= size);
        (void)job_shape_check(x, x->dims, x->rank, dims, &rows, &err);
        round_trip(&job, x);
    }
    return 0;
}
