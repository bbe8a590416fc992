/* test_pad.c - rows of different lengths share batches, and their answers are those that
 * they would have had alone. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "codec/result.h"
#include "tests/unit/batch/world.h"
#include "tests/unit/suite.h"

#define MASKED "tests/data/models/masked.onnx"

enum { JOBS = 48, LENGTH_MAX = 12, ROWS_MAX = 8, OUTPUTS = 3 };

struct heard {
    int answered;
    int64_t dims[OUTPUTS][TENSOR_RANK_MAX];
    int ranks[OUTPUTS];
    float values[OUTPUTS][3 * 2 * LENGTH_MAX];
    char reason[ERROR_TEXT_MAX];
};

static struct heard heard[JOBS];
static int tags[JOBS];
static uint8_t bytes[1 << 20];
static size_t bytes_used;

/* Padded to 4, 8 and 12, of which the outputs have the length where it is. */
static void set_up(void) {
    world_open(MASKED, ROWS_MAX);
    model.pad =
        (struct batch_pad){.count = 3, .input_axis = {0, 0}, .output_axis = {-1, 1, 0}};
    for (int i = 0; i < 3; i++) {
        model.pad.lengths[i] = (struct batch_length){
            .length = 4 * (i + 1), .aim = {.rows = ROWS_MAX, .early_rows = ROWS_MAX}};
    }
    for (int i = 0; i < JOBS; i++) {
        tags[i] = i;
    }
}

/* Element `k` of step `step` of row `row` of a job. */
static float element(int tag, int row, int step, int k) {
    return (float)((tag * 31 + row * 17 + step * 7 + k * 3) % 23) - 11.0f;
}

static int64_t mask_value = 1;

static int nan_tag = -1; /* of the job whose numbers are none */

/* A job of `rows` rows, without the dimension for them if that is 0. */
static enum status add(int tag, int rows, int length, int mask_length,
                       struct error *err) {
    float values[4 * 2 * (LENGTH_MAX + 8)];
    int64_t mask[4 * (LENGTH_MAX + 8)];
    const char *names[] = {"x", "mask"};
    struct tensor inputs[] = {
        {.dtype = DTYPE_F32, .rank = 2, .dims = {length, 2}, .data = values},
        {.dtype = DTYPE_I64, .rank = 1, .dims = {mask_length}, .data = mask}};
    struct batch_row row = {
        .tag = &tags[tag], .run_us = INT64_MAX, .deadline_us = INT64_MAX};
    struct batcher_progress progress = {.parts = NULL};
    struct span spans[] = {span_text(names[0]), span_text(names[1])};
    struct job job;
    size_t size;
    int n = rows == 0 ? 1 : rows;
    if (rows > 0) {
        inputs[0].rank = 3;
        memcpy(inputs[0].dims, (int64_t[]){rows, length, 2}, 3 * sizeof(int64_t));
        inputs[1].rank = 2;
        memcpy(inputs[1].dims, (int64_t[]){rows, mask_length}, 2 * sizeof(int64_t));
    }
    for (int r = 0; r < n; r++) {
        for (int i = 0; i < 2 * length; i++) {
            values[r * 2 * length + i] =
                tag == nan_tag ? NAN : element(tag, r, i / 2, i % 2);
        }
        for (int i = 0; i < mask_length; i++) {
            mask[r * mask_length + i] = mask_value;
        }
    }
    ck_assert_int_eq(job_encode(span_text("id"), span_text("m"), spans, inputs, 2,
                                bytes + bytes_used, sizeof(bytes) - bytes_used, &size,
                                err),
                     STATUS_OK);
    ck_assert_int_eq(job_parse(span_of(bytes + bytes_used, size), &job, err), STATUS_OK);
    bytes_used += size;
    return batcher_add(&batcher, 0, &job, &row, &progress, 0, err);
}

static void on_answered(void *opaque, const struct batch_row *row, struct span encoded,
                        void *holder) {
    struct heard *to = &heard[*(int *)row->tag];
    struct job_tensor outputs[JOB_INPUTS_MAX];
    struct result result;
    struct error err;
    int count;
    (void)opaque;
    to->answered++;
    ck_assert_int_eq(result_parse(encoded, &result, outputs, &count, &err), STATUS_OK);
    ck_assert_int_eq(count, OUTPUTS);
    for (int i = 0; i < count; i++) {
        to->ranks[i] = outputs[i].rank;
        memcpy(to->dims[i], outputs[i].dims, sizeof(to->dims[i]));
        ck_assert_int_eq(
            job_fill(&outputs[i], DTYPE_F32, outputs[i].count, to->values[i], &err),
            STATUS_OK);
    }
    answers_unref(holder);
}

static void on_failed(void *opaque, const struct batch_row *row, int cause,
                      const struct error *reason) {
    (void)opaque;
    (void)cause;
    (void)snprintf(heard[*(int *)row->tag].reason, ERROR_TEXT_MAX, "%s", reason->text);
}

static void run_all(void) {
    struct infer_sink sink = {on_answered, on_failed, NULL};
    struct session *session;
    struct error err;
    batcher_flush(&batcher, 0, true);
    ck_assert_int_eq(session_create(model.model, 0, &session, &err), STATUS_OK);
    for (int i = 0; i < emitted_count; i++) {
        struct infer_times times;
        infer_run(session, emitted[i], &answers, &sink, clock_now_us, &times);
    }
    session_destroy(session);
}

static void check_row(int tag, int row, int length) {
    const struct heard *h = &heard[tag];
    for (int k = 0; k < 2; k++) {
        float sum = 0;
        for (int step = 0; step < length; step++) {
            float x = element(tag, row, step, k);
            sum += x;
            ck_assert_float_eq(h->values[1][(row * 2 + k) * length + step], x);
            ck_assert_float_eq(h->values[2][(row * length + step) * 2 + k], 2 * x);
        }
        ck_assert_float_eq_tol(h->values[0][row * 2 + k], sum / (float)length, 1e-5f);
    }
}

static void check_job(int tag, int rows, int length) {
    const struct heard *h = &heard[tag];
    int more = rows > 0 ? 1 : 0;
    ck_assert_msg(h->answered == 1, "job %d: %s", tag, h->reason);
    ck_assert_int_eq(h->ranks[1], 2 + more);
    ck_assert_int_eq(h->dims[1][1 + more], length);
    ck_assert_int_eq(h->dims[2][more], length);
    for (int row = 0; row < (rows > 0 ? rows : 1); row++) {
        check_row(tag, row, length);
    }
}

START_TEST(rows_of_all_lengths_are_answered_as_if_they_were_alone) {
    struct error err;
    int most = 0;
    for (int tag = 0; tag < JOBS; tag++) {
        int rows = tag % 5 == 4 ? 1 + tag % 3 : 0;
        ck_assert_msg(add(tag, rows, 1 + tag % LENGTH_MAX, 1 + tag % LENGTH_MAX, &err) ==
                          STATUS_OK,
                      "%s", err.text);
    }
    run_all();
    for (int tag = 0; tag < JOBS; tag++) {
        check_job(tag, tag % 5 == 4 ? 1 + tag % 3 : 0, 1 + tag % LENGTH_MAX);
    }
    for (int i = 0; i < emitted_count; i++) {
        most = emitted[i]->count > most ? emitted[i]->count : most;
        ck_assert_int_eq(emitted[i]->inputs[0].dims[1] % 4, 0);
    }
    ck_assert_int_eq(most, ROWS_MAX); /* of different lengths: each has four jobs only */
}
END_TEST

START_TEST(lengths_that_do_not_go_are_refused_and_harm_nobody) {
    struct error err;
    ck_assert_int_eq(add(0, 0, 3, 3, &err), STATUS_OK);
    ck_assert_int_eq(add(1, 0, LENGTH_MAX + 1, LENGTH_MAX + 1, &err), STATUS_POISON);
    ck_assert_str_eq(err.text,
                     "input 'x' is 13 long; model 'm' is configured for 1 to 12 "
                     "(pad_to)");
    ck_assert_int_eq(add(2, 0, 3, 4, &err), STATUS_POISON);
    ck_assert_str_eq(err.text,
                     "input 'x' is 3 long and 'mask' 4: pad_to pads one length");
    ck_assert_int_eq(add(3, 0, 0, 0, &err), STATUS_POISON);
    ck_assert_int_eq(add(4, 0, 4, 4, &err), STATUS_OK);
    run_all();
    check_job(0, 0, 3);
    check_job(4, 0, 4);
    ck_assert_int_eq(emitted_count, 1);
}
END_TEST

START_TEST(nan_is_refused_in_padded_rows_as_in_others) {
    struct error err;
    model.nan_rejected = true;
    nan_tag = 1;
    ck_assert_int_eq(add(0, 0, 3, 3, &err), STATUS_OK);
    ck_assert_int_eq(add(1, 0, 3, 3, &err), STATUS_POISON);
    ck_assert_msg(strstr(err.text, "NaN") != NULL, "%s", err.text);
    ck_assert_int_eq(add(2, 0, 3, 3, &err), STATUS_OK);
    run_all();
    check_job(0, 0, 3);
    check_job(2, 0, 3);
}
END_TEST

START_TEST(a_row_that_fails_leaves_its_padded_neighbours_their_answers) {
    struct error err;
    for (int tag = 0; tag < ROWS_MAX; tag++) {
        mask_value = tag == 5 ? 9 : 1; /* there is no such weight */
        ck_assert_int_eq(add(tag, 0, 5 + tag % 4, 5 + tag % 4, &err), STATUS_OK);
    }
    run_all();
    ck_assert_int_eq(emitted_count, 1);
    for (int tag = 0; tag < ROWS_MAX; tag++) {
        if (tag != 5) {
            check_job(tag, 0, 5 + tag % 4);
        }
    }
    ck_assert_int_eq(heard[5].answered, 0);
    ck_assert_str_ne(heard[5].reason, "");
}
END_TEST

START_TEST(an_output_that_is_not_as_long_fails_the_row_and_not_the_worker) {
    struct error err;
    model.pad.output_axis[0] = 0; /* the mean has two elements, whatever the length */
    ck_assert_int_eq(add(0, 0, 3, 3, &err), STATUS_OK);
    run_all();
    ck_assert_int_eq(heard[0].answered, 0);
    ck_assert_ptr_nonnull(strstr(heard[0].reason, "output 'mean'"));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        rows_of_all_lengths_are_answered_as_if_they_were_alone,
        lengths_that_do_not_go_are_refused_and_harm_nobody,
        nan_is_refused_in_padded_rows_as_in_others,
        a_row_that_fails_leaves_its_padded_neighbours_their_answers,
        an_output_that_is_not_as_long_fails_the_row_and_not_the_worker,
    };
    return suite_run_with("pad", tests, ARRAY_COUNT(tests), set_up, world_close);
}
