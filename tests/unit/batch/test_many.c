/* test_many.c - jobs of several rows: one answer each, the same as for its rows alone,
 * however they were spread over batches. */
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "codec/result.h"
#include "tests/unit/batch/world.h"
#include "tests/unit/suite.h"

#define LOOKUP "tests/data/models/lookup.onnx"
#define DIGITS "conf/models/digits/model.onnx"

enum { JOBS_MAX = 64, VALUES_MAX = 4096, THREADS = 2 };

/* What came of a job, by its tag. */
struct heard {
    int answered, failed;
    struct result result; /* without what it borrows */
    char id[16];
    int64_t dims[TENSOR_RANK_MAX];
    int rank;
    size_t count;
    float values[VALUES_MAX];
    char texts[256];
    char reason[ERROR_TEXT_MAX];
    int cause;
};

static struct batcher_progress progress;
static struct heard heard[JOBS_MAX];
static int tags[JOBS_MAX];
static uint8_t bytes[1 << 22];
static size_t bytes_used;

static void open_world(const char *path, int rows_max) {
    world_open(path, rows_max);
    for (int i = 0; i < JOBS_MAX; i++) {
        tags[i] = i;
    }
}

static enum status add(int tag, const char *name, const struct tensor *x,
                       struct error *err) {
    struct batch_row row = {.tag = &tags[tag],
                            .timestamp_ms = 1000 + tag,
                            .run_us = INT64_MAX,
                            .deadline_us = INT64_MAX};
    struct span span = span_text(name);
    struct job job;
    char id[16];
    size_t size;
    (void)snprintf(id, sizeof(id), "job-%d", tag);
    ck_assert_msg(job_encode(span_text(id), span_text("m"), &span, x, 1,
                             bytes + bytes_used, sizeof(bytes) - bytes_used, &size,
                             err) == STATUS_OK,
                  "%s", err->text);
    ck_assert_int_eq(job_parse(span_of(bytes + bytes_used, size), &job, err), STATUS_OK);
    bytes_used += size;
    return batcher_add(&batcher, 0, &job, &row, &progress, 0, err);
}

/* Rows of three ids each; a job of one row has no dimension for them if `rows` is 0. */
static enum status add_lookup(int tag, int rows, const int64_t *ids, struct error *err) {
    int64_t copy[VALUES_MAX];
    struct tensor x = {.dtype = DTYPE_I64,
                       .rank = rows == 0 ? 1 : 2,
                       .dims = {rows == 0 ? 3 : rows, 3},
                       .data = copy};
    memcpy(copy, ids, sizeof(int64_t) * 3 * (size_t)(rows == 0 ? 1 : rows));
    return add(tag, "ids", &x, err);
}

static void on_answered(void *opaque, const struct batch_row *row, struct span result,
                        void *holder) {
    struct heard *to = &heard[*(int *)row->tag];
    struct job_tensor outputs[JOB_INPUTS_MAX];
    struct span texts[16];
    struct error err;
    int count;
    (void)opaque;
    to->answered++;
    ck_assert_msg(result_parse(result, &to->result, outputs, &count, &err) == STATUS_OK,
                  "%s", err.text);
    ck_assert_int_eq(count, 1);
    (void)snprintf(to->id, sizeof(to->id), "%.*s", (int)to->result.id.size,
                   (const char *)to->result.id.data);
    to->rank = outputs[0].rank;
    memcpy(to->dims, outputs[0].dims, sizeof(to->dims));
    to->count = outputs[0].count;
    if (outputs[0].dtype == DTYPE_STRING) {
        ck_assert_int_eq(job_fill(&outputs[0], DTYPE_STRING, to->count, texts, &err),
                         STATUS_OK);
        for (size_t i = 0; i < to->count; i++) {
            (void)snprintf(to->texts + strlen(to->texts),
                           sizeof(to->texts) - strlen(to->texts), "%.*s,",
                           (int)texts[i].size, (const char *)texts[i].data);
        }
    } else {
        ck_assert_int_eq(job_fill(&outputs[0], DTYPE_F32, to->count, to->values, &err),
                         STATUS_OK);
    }
    answers_unref(holder);
}

static void on_failed(void *opaque, const struct batch_row *row, int cause,
                      const struct error *reason) {
    struct heard *to = &heard[*(int *)row->tag];
    (void)opaque;
    to->failed++;
    to->cause = cause;
    (void)snprintf(to->reason, sizeof(to->reason), "%s", reason->text);
}

static void run_batches(int first, int step) {
    struct infer_sink sink = {on_answered, on_failed, NULL};
    struct session *session;
    struct error err;
    ck_assert_int_eq(session_create(model.model, 0, &session, &err), STATUS_OK);
    for (int i = first; i < emitted_count; i += step) {
        struct infer_times times;
        infer_run(session, emitted[i], &answers, &sink, clock_now_us, &times);
    }
    session_destroy(session);
}

static void *run_some(void *first) {
    run_batches(*(int *)first, THREADS);
    return NULL;
}

static void run_all(void) {
    batcher_flush(&batcher, 0, true);
    run_batches(0, 1);
}

static int next_random(unsigned *state, int below) {
    *state = *state * 1103515245 + 12345;
    return (int)((*state >> 8) % (unsigned)below);
}

/* The answer is the one that each row would get: twice its id, and one more. */
static void check_lookup(int tag, int rows, const int64_t *ids) {
    const struct heard *h = &heard[tag];
    char id[16];
    (void)snprintf(id, sizeof(id), "job-%d", tag);
    ck_assert_int_eq(h->answered, 1);
    ck_assert_int_eq(h->failed, 0);
    ck_assert_str_eq(h->id, id);
    ck_assert_int_eq(h->result.job_timestamp_ms, 1000 + tag);
    ck_assert_int_eq(h->rank, rows == 0 ? 2 : 3);
    if (rows > 0) {
        ck_assert_int_eq(h->dims[0], rows);
    }
    ck_assert_uint_eq(h->count, (size_t)(rows == 0 ? 1 : rows) * 6);
    for (size_t i = 0; i < h->count; i++) {
        ck_assert_float_eq(h->values[i], (float)(2 * ids[i / 2] + (int64_t)(i % 2)));
    }
}

struct made {
    int rows[JOBS_MAX];
    int64_t ids[JOBS_MAX][3 * 64];
};

static void add_random(struct made *made, unsigned *random, int jobs) {
    struct error err;
    for (int j = 0; j < jobs; j++) {
        made->rows[j] = next_random(random, 30);
        for (int i = 0; i < 3 * 64; i++) {
            made->ids[j][i] = next_random(random, 10);
        }
        ck_assert_msg(add_lookup(j, made->rows[j], made->ids[j], &err) == STATUS_OK, "%s",
                      err.text);
    }
}

START_TEST(every_job_gets_one_answer_with_its_rows_in_order) {
    static struct made made;
    unsigned random = 11;
    open_world(LOOKUP, 8); /* jobs have up to 29 rows: they share, and are split */
    add_random(&made, &random, JOBS_MAX);
    run_all();
    for (int j = 0; j < JOBS_MAX; j++) {
        check_lookup(j, made.rows[j], made.ids[j]);
    }
    ck_assert_int_eq(heard[0].result.batch_size, 8);
    world_close();
}
END_TEST

START_TEST(threads_put_the_rows_of_one_job_together) {
    static struct made made;
    pthread_t threads[THREADS];
    int first[THREADS] = {0, 1};
    unsigned random = 12;
    open_world(LOOKUP, 4);
    add_random(&made, &random, 30);
    batcher_flush(&batcher, 0, true);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_some, &first[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    for (int j = 0; j < 30; j++) {
        check_lookup(j, made.rows[j], made.ids[j]);
    }
    world_close();
}
END_TEST

START_TEST(a_bad_row_fails_its_job_alone_and_is_named) {
    static const int64_t good[3 * 10] = {1, 2, 3};
    int64_t bad[3 * 10] = {0};
    struct error err;
    bad[3 * 7 + 1] = 99;
    open_world(LOOKUP, 4);
    ck_assert_int_eq(add_lookup(0, 10, good, &err), STATUS_OK);
    ck_assert_int_eq(add_lookup(1, 10, bad, &err), STATUS_OK);
    ck_assert_int_eq(add_lookup(2, 10, good, &err), STATUS_OK);
    run_all();
    check_lookup(0, 10, good);
    check_lookup(2, 10, good);
    ck_assert_int_eq(heard[1].answered, 0);
    ck_assert_int_eq(heard[1].failed, 1);
    ck_assert_int_eq(heard[1].cause, 0);
    ck_assert_msg(strncmp(heard[1].reason, "row 7 of 10: ", 13) == 0, "%s",
                  heard[1].reason);
    world_close();
}
END_TEST

START_TEST(a_failure_that_came_from_elsewhere_keeps_its_cause) {
    static const int64_t ids[3 * 4] = {0};
    struct error late, err;
    struct parts *job;
    (void)error_set(&late, STATUS_POISON, "too late");
    open_world(LOOKUP, 2);
    ck_assert_int_eq(add_lookup(0, 4, ids, &err), STATUS_OK);
    ck_assert_int_eq(emitted_count, 2);
    job = emitted[0]->rows[1].parts;
    batch_drop(emitted[0], 1);
    ck_assert(!parts_fail(job, 1, 5, &late));
    run_all();
    ck_assert_int_eq(heard[0].failed, 1);
    ck_assert_int_eq(heard[0].answered, 0);
    ck_assert_int_eq(heard[0].cause, 5);
    ck_assert_str_eq(heard[0].reason, "too late");
    world_close();
}
END_TEST

/* Batches for 8 rows are free, then for 8 more: the job goes on where it was. */
START_TEST(a_job_larger_than_what_is_free_goes_on_later) {
    static struct made made;
    unsigned random = 14;
    struct error err;
    open_world(LOOKUP, 4);
    for (int i = 0; i < 3 * 29; i++) {
        made.ids[0][i] = next_random(&random, 10);
    }
    for (batches_allowed = 2; batches_allowed < 8; batches_allowed += 2) {
        ck_assert_int_eq(add_lookup(0, 29, made.ids[0], &err), STATUS_AGAIN);
        ck_assert_int_eq(progress.placed, 4 * batches_allowed);
    }
    ck_assert_int_eq(add_lookup(0, 29, made.ids[0], &err), STATUS_OK);
    ck_assert_ptr_null(progress.parts);
    run_all();
    check_lookup(0, 29, made.ids[0]);
    world_close();
}
END_TEST

START_TEST(a_job_that_is_not_gone_on_with_fails_once_its_rows_are_out) {
    static const int64_t ids[3 * 29];
    struct error late, err;
    open_world(LOOKUP, 4);
    (void)error_set(&late, STATUS_POISON, "too late");
    batches_allowed = 1;
    ck_assert_int_eq(add_lookup(0, 29, ids, &err), STATUS_AGAIN);
    ck_assert(!batcher_abandon(&progress, 3, &late));
    ck_assert_int_eq(heard[0].failed, 0);
    run_all();
    ck_assert_int_eq(heard[0].failed, 1);
    ck_assert_int_eq(heard[0].cause, 3);
    batches_allowed = batches_taken; /* none: nothing is begun, so the caller tells */
    ck_assert_int_eq(add_lookup(1, 29, ids, &err), STATUS_AGAIN);
    ck_assert(batcher_abandon(&progress, 3, &late));
    ck_assert_ptr_null(progress.parts);
    world_close();
}
END_TEST

/* Nothing of it may be in a batch: the last of its rows is the one that does not fit. */
START_TEST(a_job_that_is_refused_has_no_row_in_any_batch) {
    float values[2 * 9] = {0};
    struct tensor x = {.dtype = DTYPE_F32, .rank = 2, .dims = {9, 2}, .data = values};
    struct error err;
    open_world("tests/data/models/mixing.onnx", 4);
    model.nan_rejected = true;
    values[17] = 0.0F / 0.0F;
    ck_assert_int_eq(add(0, "x", &x, &err), STATUS_POISON);
    ck_assert_ptr_nonnull(strstr(err.text, "NaN"));
    x.dims[0] = 6;
    x.dims[1] = 3;
    values[17] = 0;
    ck_assert_int_eq(add(0, "x", &x, &err), STATUS_POISON);
    batcher_flush(&batcher, 0, true);
    ck_assert_int_eq(emitted_count, 0);
    ck_assert_ptr_null(parts.made);
    world_close();
}
END_TEST

static enum status add_pair(const float *values, int64_t length, struct error *err) {
    struct span names[] = {span_text("a"), span_text("b")};
    const struct tensor x = {.dtype = DTYPE_F32,
                             .rank = 1,
                             .dims = {length},
                             .data = (void *)(uintptr_t)values};
    const struct tensor pair[] = {x, x};
    struct batch_row row = {.run_us = INT64_MAX, .deadline_us = INT64_MAX};
    struct job job;
    size_t size;
    ck_assert_int_eq(job_encode(span_text("j"), span_text("m"), names, pair, 2,
                                bytes + bytes_used, sizeof(bytes) - bytes_used, &size,
                                err),
                     STATUS_OK);
    ck_assert_int_eq(job_parse(span_of(bytes + bytes_used, size), &job, err), STATUS_OK);
    bytes_used += size;
    return batcher_add(&batcher, 0, &job, &row, &progress, 0, err);
}

/* Of such rows even one is refused: the batch would have to hold rows_max of them. */
START_TEST(a_batch_of_rows_that_are_too_large_is_not_made) {
    static const float values[1 << 18];
    struct error err;
    open_world("tests/data/models/pair.onnx",
               (int)(BATCH_TENSOR_SIZE_MAX / sizeof(values)) + 1);
    ck_assert_int_eq(add_pair(values, 1 << 18, &err), STATUS_POISON);
    ck_assert_msg(strstr(err.text, "over the limit of") != NULL, "%s", err.text);
    world_close();
}
END_TEST

START_TEST(more_shapes_than_may_be_open_send_off_the_oldest) {
    static const float values[BATCHER_LANES_MAX + 6];
    struct error err;
    open_world("tests/data/models/pair.onnx", 2);
    for (int length = 1; length <= BATCHER_LANES_MAX + 6; length++) {
        ck_assert_int_eq(add_pair(values, length, &err), STATUS_OK);
    }
    ck_assert_int_eq(batcher.lane_count, BATCHER_LANES_MAX);
    ck_assert_int_eq(emitted_count, 6);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(emitted[i]->inputs[0].dims[1], i + 1);
    }
    world_close();
}
END_TEST

START_TEST(inputs_must_agree_on_the_number_of_rows) {
    float values[6] = {0};
    struct span names[] = {span_text("a"), span_text("b")};
    struct tensor pair[] = {
        {.dtype = DTYPE_F32, .rank = 2, .dims = {3, 2}, .data = values},
        {.dtype = DTYPE_F32, .rank = 2, .dims = {2, 2}, .data = values}};
    struct batch_row row = {.run_us = INT64_MAX, .deadline_us = INT64_MAX};
    struct job job;
    struct error err;
    size_t size;
    open_world("tests/data/models/pair.onnx", 4);
    ck_assert_int_eq(job_encode(span_text("j"), span_text("m"), names, pair, 2, bytes,
                                sizeof(bytes), &size, &err),
                     STATUS_OK);
    ck_assert_int_eq(job_parse(span_of(bytes, size), &job, &err), STATUS_OK);
    ck_assert_int_eq(batcher_add(&batcher, 0, &job, &row, &progress, 0, &err),
                     STATUS_POISON);
    ck_assert_str_eq(err.text, "input 'b' has 2 rows, but 'a' has 3");
    world_close();
}
END_TEST

START_TEST(texts_of_rows_outlive_their_batch) {
    struct span texts[] = {span_text("a"),  span_text(""),  span_text("ccc"),
                           span_text("dd"), span_text("e"), span_text("f")};
    struct tensor x = {.dtype = DTYPE_STRING, .rank = 2, .dims = {3, 2}, .data = texts};
    struct error err;
    open_world("tests/data/models/echo.onnx", 2);
    for (int tag = 0; tag < 3; tag++) {
        ck_assert_int_eq(add(tag, "x", &x, &err), STATUS_OK);
    }
    run_all();
    for (int tag = 0; tag < 3; tag++) {
        ck_assert_str_eq(heard[tag].texts, "a,,ccc,dd,e,f,");
        ck_assert_int_eq(heard[tag].dims[0], 3);
    }
    world_close();
}
END_TEST

/* A real network: rows alone, and the same in jobs of several, in batches of any size. */
/* Of each of them: their answers stand in one piece of memory. */
START_TEST(answers_have_room_for_texts_of_any_length) {
    static char text[1 << 20];
    struct span texts[] = {span_of(text, 1), span_text("end")};
    struct tensor x = {.dtype = DTYPE_STRING, .rank = 1, .dims = {2}, .data = texts};
    struct error err;
    memset(text, 'a', sizeof text);
    open_world("tests/data/models/echo.onnx", 3);
    for (int tag = 0; tag < 3; tag++) {
        texts[0].size = tag == 1 ? sizeof text : 2;
        ck_assert_int_eq(add(tag, "x", &x, &err), STATUS_OK);
    }
    run_all();
    ck_assert_str_eq(heard[0].texts, "aa,end,");
    ck_assert_int_eq(heard[1].texts[200], 'a');
    ck_assert_str_eq(heard[2].texts, "aa,end,");
    world_close();
}
END_TEST

START_TEST(batching_changes_nothing) {
    enum { ROWS = 24, SIZE = 28 * 28, CLASSES = 10 };
    static float images[ROWS * SIZE];
    static const int splits[] = {1, 2, 5, 16}; /* 24 in all */
    struct tensor x = {.dtype = DTYPE_F32, .rank = 3, .dims = {28, 28, 1}};
    struct error err;
    unsigned random = 13;
    int from = 0;
    for (int i = 0; i < ROWS * SIZE; i++) {
        images[i] = (float)next_random(&random, 1000) / 1000.0F;
    }
    open_world(DIGITS, 7);
    for (int i = 0; i < ROWS; i++) {
        x.data = images + (size_t)i * SIZE;
        ck_assert_msg(add(i, "", &x, &err) == STATUS_OK, "%s", err.text);
        batcher_flush(&batcher, 0, true);
    }
    for (size_t j = 0; j < ARRAY_COUNT(splits); from += splits[j++]) {
        struct tensor many = {
            .dtype = DTYPE_F32, .rank = 4, .dims = {splits[j], 28, 28, 1}};
        many.data = images + (size_t)from * SIZE;
        ck_assert_msg(add(ROWS + (int)j, "", &many, &err) == STATUS_OK, "%s", err.text);
    }
    run_all();
    from = 0;
    for (size_t j = 0; j < ARRAY_COUNT(splits); from += splits[j++]) {
        const struct heard *many = &heard[ROWS + j];
        ck_assert_int_eq(many->answered, 1);
        ck_assert_uint_eq(many->count, (size_t)splits[j] * CLASSES);
        for (int i = 0; i < splits[j] * CLASSES; i++) {
            float alone = heard[from + i / CLASSES].values[i % CLASSES];
            ck_assert_float_eq_tol(many->values[i], alone, 1e-6F);
        }
    }
    world_close();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        every_job_gets_one_answer_with_its_rows_in_order,
        threads_put_the_rows_of_one_job_together,
        a_bad_row_fails_its_job_alone_and_is_named,
        a_failure_that_came_from_elsewhere_keeps_its_cause,
        a_job_larger_than_what_is_free_goes_on_later,
        a_job_that_is_not_gone_on_with_fails_once_its_rows_are_out,
        a_job_that_is_refused_has_no_row_in_any_batch,
        a_batch_of_rows_that_are_too_large_is_not_made,
        more_shapes_than_may_be_open_send_off_the_oldest,
        inputs_must_agree_on_the_number_of_rows,
        texts_of_rows_outlive_their_batch,
        answers_have_room_for_texts_of_any_length,
        batching_changes_nothing,
    };
    return suite_run("many", tests, ARRAY_COUNT(tests));
}
