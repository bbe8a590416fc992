/* test_infer.c - rows in, one answer each out; a bad row hurts nobody else. */
#include "batch/infer.h"

#include "base/clock.h"
#include "batch/batcher.h"
#include "codec/result.h"
#include "tests/unit/batch/fixture.h"

enum { ROWS = 37 };

struct heard {
    int answered[ROWS], failed[ROWS]; /* times that the row was heard of */
    struct span results[ROWS];
    void *holders[ROWS];
    char reason[ERROR_TEXT_MAX];
};

static struct batch *ready;
static struct batch *spare;
static int tags[ROWS];
static const struct batch_answer *answer; /* of every row; NULL: rows are of jobs */

static struct batch *take(void *opaque, int model_index) {
    (void)opaque;
    (void)model_index;
    return spare;
}

static void emit(void *opaque, struct batch *batch) {
    (void)opaque;
    ready = batch;
}

static void on_answered(void *opaque, const struct batch_row *from, struct span result,
                        void *holder) {
    struct heard *heard = opaque;
    int row = *(int *)from->tag;
    heard->answered[row]++;
    heard->results[row] = result;
    heard->holders[row] = holder;
}

static void on_failed(void *opaque, const struct batch_row *row, int cause,
                      const struct error *reason) {
    struct heard *heard = opaque;
    ck_assert_int_eq(cause, 0);
    heard->failed[*(int *)row->tag]++;
    (void)snprintf(heard->reason, sizeof(heard->reason), "%s", reason->text);
}

/* Runs ROWS lookups; row i is bad where bad[i]. Returns how often the model ran. */
static int run(const bool *bad, struct heard *heard, struct answers_pool *pool) {
    static struct batch_model model; /* answers do not point into it */
    static const struct batch_model *const serving[] = {&model};
    struct batcher_opts opts = {
        .models = serving, .model_count = 1, .take = take, .emit = emit};
    struct batcher batcher;
    struct session *session;
    struct infer_sink sink = {on_answered, on_failed, heard};
    struct infer_times times;
    struct error err;
    model = fixture_model("tests/data/models/lookup.onnx", ROWS);
    ck_assert_int_eq(batch_create(&model, 0, &spare, &err), STATUS_OK);
    batcher_init(&batcher, &opts);
    for (int i = 0; i < ROWS; i++) {
        struct batch_row row = {.tag = &tags[i],
                                .timestamp_ms = 1000 + i,
                                .run_us = INT64_MAX,
                                .answer = answer,
                                .record = span_text("record")};
        struct batcher_progress progress = {.parts = NULL};
        struct job job;
        char id[16];
        tags[i] = i;
        (void)snprintf(id, sizeof(id), "row-%d", i);
        fixture_lookup_job(&job, id, i % 10, bad[i] ? 99 : 1, 2);
        ck_assert_int_eq(batcher_add(&batcher, 0, &job, &row, &progress, 0, &err),
                         STATUS_OK);
    }
    ck_assert_int_eq(session_create(model.model, 0, &session, &err), STATUS_OK);
    ck_assert(answers_pool_init(pool));
    infer_run(session, ready, pool, &sink, clock_now_us, &times);
    ck_assert_int_eq(times.answered + times.failed, ROWS);
    session_destroy(session);
    batch_destroy(ready);
    fixture_model_close(&model);
    return times.runs;
}

static void check_answer(const struct heard *heard, int row) {
    struct job_tensor outputs[JOB_INPUTS_MAX];
    struct result result;
    struct error err;
    float values[6];
    char id[16];
    int count;
    (void)snprintf(id, sizeof(id), "row-%d", row);
    ck_assert_msg(result_parse(heard->results[row], &result, outputs, &count, &err) ==
                      STATUS_OK,
                  "%s", err.text);
    ck_assert(span_is(result.id, id));
    ck_assert_int_eq(result.batch_size, ROWS);
    ck_assert_int_eq(result.job_timestamp_ms, 1000 + row);
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(job_fill(&outputs[0], DTYPE_F32, 6, values, &err), STATUS_OK);
    ck_assert_float_eq(values[0], (float)(2 * (row % 10)));
    ck_assert_float_eq(values[3], 3.0F);
}

static int check_all(const bool *bad) {
    struct heard heard = {0};
    struct answers_pool pool;
    int runs = run(bad, &heard, &pool);
    for (int i = 0; i < ROWS; i++) {
        ck_assert_int_eq(heard.failed[i], bad[i]);
        ck_assert_int_eq(heard.answered[i], !bad[i]);
        if (!bad[i]) {
            check_answer(&heard, i);
            answers_unref(heard.holders[i]);
        }
    }
    answers_pool_release(&pool);
    return runs;
}

START_TEST(every_row_is_answered_with_its_own_values) {
    bool bad[ROWS] = {false};
    ck_assert_int_eq(check_all(bad), 1);
}
END_TEST

START_TEST(one_bad_row_fails_alone_wherever_it_stands) {
    for (int i = 0; i < ROWS; i += 9) {
        bool bad[ROWS] = {false};
        bad[i] = true;
        check_all(bad);
    }
}
END_TEST

START_TEST(exactly_the_bad_rows_of_many_fail) {
    bool bad[ROWS] = {false};
    for (int i = 0; i < ROWS; i++) {
        bad[i] = i % 3 == 0 || i > 30;
    }
    check_all(bad);
}
END_TEST

/* Halving meets at most two ranges on each level for each bad row. */
START_TEST(any_bad_rows_fail_alone_in_few_runs) {
    unsigned random = 7;
    int levels = 0;
    while (1 << levels < ROWS) {
        levels++;
    }
    for (int wanted = 1; wanted <= ROWS / 2; wanted++) {
        bool bad[ROWS] = {false};
        int count = 0;
        for (int i = 0; i < wanted; i++) {
            random = random * 1103515245 + 12345;
            count += !bad[(random >> 8) % ROWS];
            bad[(random >> 8) % ROWS] = true;
        }
        ck_assert_int_le(check_all(bad), 1 + 2 * count * levels);
    }
}
END_TEST

START_TEST(a_batch_of_bad_rows_only_ends) {
    bool bad[ROWS];
    memset(bad, true, sizeof(bad));
    check_all(bad);
}
END_TEST

START_TEST(answers_go_back_to_the_pool_with_their_last_row) {
    bool bad[ROWS] = {false};
    struct heard heard = {0};
    struct answers_pool pool;
    run(bad, &heard, &pool);
    for (int i = 0; i < ROWS; i++) {
        ck_assert_ptr_null(pool.unused);
        answers_unref(heard.holders[i]);
    }
    ck_assert_ptr_nonnull(pool.unused);
    answers_pool_release(&pool);
}
END_TEST

/* The label of the largest element has only two words, so that the rows whose largest is
 * another one have no answer. */
START_TEST(a_record_without_an_answer_fails_alone) {
    const struct span words[] = {span_text("one"), span_text("two")};
    const struct record_output output = {
        .name = "y", .dtype = DTYPE_F32, .rank = 2, .dims = {3, 2}};
    struct record_field field = {.name = "label", .output = "y", .form = RECORD_LABEL};
    struct record_out_opts opts = {
        .fields = &field, .field_count = 1, .outputs = &output, .output_count = 1};
    struct batch_answer one = {.framing = {.kind = FRAMING_CONFLUENT, .id = 258}};
    struct vocabulary *labels;
    struct record_out *out;
    struct heard heard = {0};
    struct answers_pool pool;
    struct error err;
    bool bad[ROWS] = {false};
    ck_assert_int_eq(vocabulary_create(words, 2, 0, true, &labels, &err), STATUS_OK);
    field.labels = labels;
    ck_assert_msg(record_out_create(&opts, &out, &err) == STATUS_OK, "%s", err.text);
    one.out = out;
    answer = &one;
    bad[5] = true; /* the model fails for it, and the batch is halved */
    (void)run(bad, &heard, &pool);
    answer = NULL;
    for (int i = 0; i < ROWS; i++) {
        bool has = i % 10 > 1 && i != 5; /* its first words are the largest */
        ck_assert_int_eq(heard.answered[i], has);
        ck_assert_int_eq(heard.failed[i], !has);
        if (has) {
            ck_assert(span_equal(heard.results[i], span_of("\0\0\0\1\2\6two", 9)));
            answers_unref(heard.holders[i]);
        }
    }
    ck_assert_ptr_nonnull(pool.unused); /* all references came back */
    ck_assert_ptr_nonnull(strstr(heard.reason, "labels are 2"));
    answers_pool_release(&pool);
    record_out_destroy(out);
    vocabulary_destroy(labels);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("infer");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;
    tcase_add_test(tests, every_row_is_answered_with_its_own_values);
    tcase_add_test(tests, one_bad_row_fails_alone_wherever_it_stands);
    tcase_add_test(tests, exactly_the_bad_rows_of_many_fail);
    tcase_add_test(tests, any_bad_rows_fail_alone_in_few_runs);
    tcase_add_test(tests, a_batch_of_bad_rows_only_ends);
    tcase_add_test(tests, answers_go_back_to_the_pool_with_their_last_row);
    tcase_add_test(tests, a_record_without_an_answer_fails_alone);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
