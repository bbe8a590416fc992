/* session_fixture.h - models with made-up rows, for tests of whole sessions.
 *
 * Ownership: release_all, which is to run after each test, frees everything. */
#ifndef MILLRACE_TESTS_ENGINE_SESSION_FIXTURE_H
#define MILLRACE_TESTS_ENGINE_SESSION_FIXTURE_H

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model_impl.h"
#include "engine/passes/passes.h"
#include "engine/session.h"

#define DIGITS "conf/models/digits/model.onnx"
#define TEXT "conf/models/text/model.onnx"
#define ATTENTION "conf/models/attention/model.onnx"

/* Sums may be taken in another order, but of the same few hundred numbers. */
#define SAME_TOLERANCE 1e-6

/* What a test has opened, for release_all. */
static struct model *opened_models[256];
static struct session *opened_sessions[256];
static void *opened_memory[1024];
static size_t model_count, session_count, memory_count;

/* Runs after each test, so that leak checkers see what a test itself has lost. */
static inline void release_all(void) {
    for (size_t i = 0; i < session_count; i++) {
        session_destroy(opened_sessions[i]);
    }
    for (size_t i = 0; i < model_count; i++) {
        model_close(opened_models[i]);
    }
    for (size_t i = 0; i < memory_count; i++) {
        free(opened_memory[i]);
    }
}

static inline void *keep(void *memory) {
    ck_assert_uint_lt(memory_count, ARRAY_COUNT(opened_memory));
    return opened_memory[memory_count++] = memory;
}

static inline struct model *open_model(const char *path) {
    struct model *model;
    struct error err;
    ck_assert_msg(model_open(path, &model, &err) == STATUS_OK, "%s", err.text);
    return opened_models[model_count++] = model;
}

static inline int count_of_type(const struct model *model, const char *type) {
    int count = 0;
    for (int n = 0; n < model->graph.node_count; n++) {
        count += strcmp(model->graph.nodes[n].type, type) == 0;
    }
    return count;
}

static inline struct session *open_session(const struct model *model) {
    struct session *session;
    struct error err;
    ck_assert_msg(session_create(model, 0, &session, &err) == STATUS_OK, "%s", err.text);
    return opened_sessions[session_count++] = session;
}

/* The file's bytes, for model_open_bytes. */
static inline struct span read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    long size;
    uint8_t *data;
    ck_assert_msg(file != NULL, "cannot open %s", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    ck_assert_int_gt(size, 0);
    rewind(file);
    data = keep(malloc((size_t)size));
    ck_assert_uint_eq(fread(data, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    return (struct span){.data = data, .size = (size_t)size};
}

/* Row `first`, first+1, ..: the values of a row depend on its number alone.  Only for
 * models of one input, float32 or int32. */
static inline struct tensor make_rows(const struct model *model, int64_t first,
                                      int64_t count) {
    struct tensor x = model_input(model, 0)->type;
    size_t each;
    x.dims[0] = count;
    each = count == 0 ? 0 : tensor_count(&x) / (size_t)count;
    x.data = keep(malloc(tensor_size(&x) + 1));
    for (int64_t row = 0; row < count; row++) {
        uint32_t seed = (uint32_t)(first + row) * 2654435761U + 1;
        for (size_t i = 0; i < each; i++) {
            size_t at = (size_t)row * each + i;
            seed = seed * 1664525U + 1013904223U;
            if (x.dtype == DTYPE_I32) {
                ((int32_t *)x.data)[at] = (int32_t)(seed >> 8) % 5000;
            } else {
                ((float *)x.data)[at] = (float)(seed >> 8) / (float)(1 << 24);
            }
        }
    }
    return x;
}

static inline void run_rows(struct session *session, const struct tensor *x) {
    struct error err;
    ck_assert_msg(session_prepare(session, x, &err) == STATUS_OK, "%s", err.text);
    ck_assert_msg(session_run(session, x, &err) == STATUS_OK, "%s", err.text);
}

/* Elements of output 0 in one row. */
static inline size_t row_count(const struct session *session) {
    const struct tensor *y = session_output(session, 0);
    return tensor_count(y) / (size_t)y->dims[0];
}

static inline void assert_close(const float *a, const float *b, size_t count,
                                double tolerance) {
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(fabs((double)a[i] - (double)b[i]) <= tolerance,
                      "element %zu: %.9g and %.9g", i, (double)a[i], (double)b[i]);
    }
}

#endif
