/* fixture.h - what the tests of batching share: tiny models and jobs for them.
 *
 * Ownership: jobs lie in memory of the fixture's own; fixture_model_close closes what
 * fixture_model opened. */
#ifndef MILLRACE_TESTS_BATCH_FIXTURE_H
#define MILLRACE_TESTS_BATCH_FIXTURE_H

#include <check.h>

#include "batch/batch.h"
#include "codec/job.h"

static inline struct batch_model fixture_model(const char *path, int rows_max) {
    struct batch_model item = {.name = "m", .version = "", .rows_max = rows_max};
    struct model *model;
    struct error err;
    ck_assert_msg(model_open(path, &model, &err) == STATUS_OK, "%s", err.text);
    item.model = model;
    item.linger_us = 1000;
    item.aim = (struct batch_aim){.rows = rows_max, .early_rows = rows_max};
    for (int i = 0; i < model_output_count(model); i++) {
        item.outputs[item.output_count++] = i;
    }
    return item;
}

static inline void fixture_model_close(struct batch_model *item) {
    union {
        const struct model *borrowed; /* as all but its owner may use it */
        struct model *owned;
    } model = {.borrowed = item->model};
    model_close(model.owned);
    *item = (struct batch_model){.model = NULL};
}

/* A parsed job with one array of longs or floats per input. */
static inline void fixture_job(struct job *job, const char *id,
                               const struct tensor *inputs, const char *const *names,
                               int count) {
    static uint8_t bytes[1 << 16];
    static size_t used; /* jobs borrow from here, so each has its own part */
    struct span spans[8];
    size_t size;
    struct error err;
    for (int i = 0; i < count; i++) {
        spans[i] = span_text(names[i]);
    }
    ck_assert_msg(job_encode(span_text(id), span_text("m"), spans, inputs, count,
                             bytes + used, sizeof(bytes) - used, &size,
                             &err) == STATUS_OK,
                  "%s", err.text);
    ck_assert_msg(job_parse(span_of(bytes + used, size), job, &err) == STATUS_OK, "%s",
                  err.text);
    used += size;
}

static inline void fixture_lookup_job(struct job *job, const char *id, int64_t a,
                                      int64_t b, int64_t c) {
    int64_t ids[] = {a, b, c};
    struct tensor x = {.dtype = DTYPE_I64, .rank = 1, .dims = {3}, .data = ids};
    const char *name = "ids";
    fixture_job(job, id, &x, &name, 1);
}

static inline void fixture_pair_job(struct job *job, const char *id, int length,
                                    float value) {
    float values[64];
    const char *names[] = {"a", "b"};
    struct tensor x = {.dtype = DTYPE_F32, .rank = 1, .dims = {length}, .data = values};
    struct tensor pair[] = {x, x};
    for (int i = 0; i < length; i++) {
        values[i] = value;
    }
    fixture_job(job, id, pair, names, 2);
}

#endif
