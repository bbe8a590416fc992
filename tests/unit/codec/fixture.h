/* fixture.h - what the codec's tests share: messages put together by hand, and a main.
 *
 * Messages are parsed from heap blocks of their exact size, so that a sanitizer sees a
 * read past their end. */
#ifndef MILLRACE_TESTS_UNIT_CODEC_FIXTURE_H
#define MILLRACE_TESTS_UNIT_CODEC_FIXTURE_H

#include <check.h>

#include "base/compiler.h"
#include "codec/job.h"
#include "codec/writer.h"

#define MESSAGE_SIZE_MAX (64 * 1024)

struct message {
    uint8_t bytes[MESSAGE_SIZE_MAX];
    size_t size;
};

static inline void put_long(struct message *m, int64_t value) {
    m->size = (size_t)(writer_long(m->bytes + m->size, value) - m->bytes);
}

static inline void put_bytes(struct message *m, const void *bytes, size_t size) {
    ck_assert_uint_le(m->size + size, MESSAGE_SIZE_MAX);
    memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static inline void put_text(struct message *m, const char *text) {
    put_long(m, (int64_t)strlen(text));
    put_bytes(m, text, strlen(text));
}

/* Id, model, null version, null deadline, no headers. */
static inline void put_job(struct message *m, const char *id, const char *model) {
    m->size = 0;
    put_text(m, id);
    put_text(m, model);
    put_bytes(m, "\0\0\0", 3);
}

/* A tensor with one dimension, or none for `dim` < 0, up to its data. */
static inline void put_tensor(struct message *m, const char *name, int symbol,
                              int64_t dim, enum job_data kind) {
    put_text(m, name);
    put_long(m, symbol);
    if (dim >= 0) {
        put_long(m, 1);
        put_long(m, dim);
    }
    put_long(m, 0);
    put_long(m, kind);
}

enum { SYMBOL_F32, SYMBOL_F64, SYMBOL_F16, SYMBOL_BF16, SYMBOL_I8, SYMBOL_I64 = 7 };

/* A whole job: one float32 input "x" of [3]. */
static inline void put_small_job(struct message *m) {
    const float values[] = {1.0f, -2.5f, 3.0f};
    put_job(m, "id", "model");
    put_long(m, 1);
    put_tensor(m, "x", SYMBOL_F32, 3, JOB_DATA_FLOATS);
    put_long(m, 3);
    put_bytes(m, values, sizeof(values));
    put_long(m, 0);
    put_long(m, 0);
}

/* A copy of exactly `size` bytes; the caller frees it. */
static inline uint8_t *exact_copy(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    return copy;
}

/* Fills every input from outside knowledge of nothing but the job itself: must neither
 * crash nor read or write past a block's end, whatever it returns. */
static inline void fill_all(const struct job *job) {
    struct error err;
    for (int i = 0; i < job->input_count; i++) {
        const struct job_tensor *x = &job->inputs[i];
        size_t size = dtype_size(x->dtype);
        size_t count = x->kind == JOB_DATA_BYTES ? x->count / size : x->count;
        void *to = malloc(count * size + 1);
        ck_assert_ptr_nonnull(to);
        if (job_fill(x, x->dtype, count, to, &err) != STATUS_OK) {
            ck_assert_int_eq(err.status, STATUS_POISON);
        }
        free(to);
    }
}

/* Parses from a block of exact size; where that succeeds, fills too. */
static inline enum status try_bytes(const uint8_t *bytes, size_t size,
                                    struct error *err) {
    struct job job;
    uint8_t *copy = exact_copy(bytes, size);
    enum status status = job_parse(span_of(copy, size), &job, err);
    if (status == STATUS_OK) {
        fill_all(&job);
    } else {
        ck_assert_int_eq(status, STATUS_POISON);
        ck_assert_int_eq(err->status, STATUS_POISON);
        ck_assert_uint_gt(strlen(err->text), 0);
    }
    free(copy);
    return status;
}

/* The message is refused, and the error says `text`. */
static inline void expect_poison(const struct message *m, const char *text) {
    struct error err;
    ck_assert_int_eq(try_bytes(m->bytes, m->size, &err), STATUS_POISON);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' lacks '%s'", err.text, text);
}

static inline int run_tests(const char *name, const TTest *const *tests, size_t count) {
    Suite *suite = suite_create(name);
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;
    tcase_set_timeout(all, 120);
    for (size_t i = 0; i < count; i++) {
        tcase_add_test(all, tests[i]);
    }
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
