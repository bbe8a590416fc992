/* test_models.c - what can serve jobs is loaded and proved; what cannot is named. */
#include "app/models.h"

#include <unistd.h>

#include "batch/learn.h"
#include "tests/unit/suite.h"

#define LOOKUP "tests/data/models/lookup.onnx"
#define PAIR "tests/data/models/pair.onnx"
#define DIGITS "conf/models/digits/model.onnx"
#define TWOFOLD "tests/data/models/twofold.onnx"

static struct models models;
static struct error err;
static int threads; /* sessions of each model */

static enum status open_all(const struct config_model *items, size_t count) {
    struct config config = {.models = items, .model_count = count};
    return models_open(&config, threads, &models, &err);
}

/* What must not load, and what the error says. */
static void refuses(struct config_model item, enum status status, const char *text) {
    ck_assert_int_eq(open_all(&item, 1), status);
    ck_assert_ptr_null(models.items);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
    ck_assert_msg(strncmp(err.text, "model 'm': ", 11) == 0, "%s", err.text);
}

START_TEST(models_are_found_by_their_configured_name) {
    const struct config_model items[] = {
        {.name = "a",
         .path = LOOKUP,
         .version = "7",
         .batch_max = 8,
         .weight = 5,
         .linger_ms = 3},
        {.name = "b", .path = PAIR, .batch_max = 4, .nan = CONFIG_NAN_REJECT},
    };
    ck_assert_msg(open_all(items, 2) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(models_find(&models, span_text("a")), 0);
    ck_assert_int_eq(models_find(&models, span_text("b")), 1);
    ck_assert_int_eq(models_find(&models, span_text("c")), -1);
    ck_assert_str_eq(models.items[0]->item.version, "7");
    ck_assert_str_eq(models.items[1]->item.version, "");
    ck_assert_int_eq(models.items[0]->item.rows_max, 8);
    ck_assert_int_eq(models.items[0]->item.weight, 5);
    ck_assert_int_eq(models.items[0]->item.linger_us, 3000);
    ck_assert(!models.items[0]->item.nan_rejected);
    ck_assert(models.items[1]->item.nan_rejected);
    models_close(&models);
    models_close(&models); /* a closed one is a zeroed one */
}
END_TEST

START_TEST(only_the_wanted_outputs_are_answered) {
    const char *const known[] = {"z"};
    const char *const unknown[] = {"w"};
    struct config_model item = {.name = "m", .path = TWOFOLD, .batch_max = 8};
    ck_assert_msg(open_all(&item, 1) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(models.items[0]->item.output_count,
                     2); /* all, unless some are named */
    models_close(&models);
    item.outputs = known;
    item.output_count = 1;
    ck_assert_msg(open_all(&item, 1) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(models.items[0]->item.output_count, 1);
    ck_assert_int_eq(models.items[0]->item.outputs[0], 1);
    models_close(&models);
    item.outputs = unknown;
    refuses(item, STATUS_INVALID, "no output 'w'; its first one is 'y'");
}
END_TEST

START_TEST(models_are_measured_and_batches_sized_by_it) {
    struct config_model items[] = {
        {.name = "a", .path = LOOKUP, .batch_max = 12},
        {.name = "b", .path = LOOKUP, .batch_max = 8, .batch_size = 3},
        {.name = "c", .path = PAIR, .batch_max = 8}, /* its jobs choose the shape */
    };
    const struct batch_model *a, *b, *c;
    threads = 1;
    ck_assert_msg(open_all(items, 3) == STATUS_OK, "%s", err.text);
    a = &models.items[0]->item;
    b = &models.items[1]->item;
    c = &models.items[2]->item;
    ck_assert_int_eq(a->cost.count, 5);
    ck_assert_int_eq(a->cost.rows[4], 12);
    ck_assert_int_eq(a->aim.rows, cost_best_throughput(&a->cost));
    ck_assert_int_eq(a->aim.early_rows, cost_best_latency(&a->cost));
    ck_assert_int_eq(b->aim.rows, 3);
    ck_assert_int_eq(b->aim.early_rows, 3);
    ck_assert_int_eq(c->cost.count, 0);
    ck_assert_ptr_nonnull(c->learn); /* it is learned while it serves */
    ck_assert_ptr_null(a->learn);
    ck_assert_ptr_null(b->learn);
    models_close(&models);
    threads = 0;
}
END_TEST

/* Rows in a batch of the model after a single one has taken 60 ms, twice. */
static int rows_learned(const struct batch_model *model) {
    struct learned learned;
    for (int i = 0; i < 2; i++) {
        (void)!learn_note(model->learn, 5, 1, 60000000, &learned);
    }
    return learn_aim(model->learn, 5).rows;
}

START_TEST(what_is_learned_keeps_to_the_slice_or_the_size_in_the_file) {
    const struct config_model items[] = {
        {.name = "a", .path = PAIR, .batch_max = 8},
        {.name = "b", .path = PAIR, .batch_max = 8, .batch_size = 3},
    };
    struct config config = {
        .models = items, .model_count = 2, .worker = {.slice_ms = 100}};
    ck_assert_msg(models_open(&config, 1, &models, &err) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(rows_learned(&models.items[0]->item), 1);
    ck_assert_int_eq(rows_learned(&models.items[1]->item), 3);
    models_close(&models);
    config.model_count = 1; /* nobody else waits */
    ck_assert_msg(models_open(&config, 1, &models, &err) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(rows_learned(&models.items[0]->item), 2);
    models_close(&models);
}
END_TEST

START_TEST(a_slice_is_as_long_as_the_others_have_to_wait) {
    struct batch_model model = {.rows_max = 64};
    for (int rows = 1; rows <= 64; rows *= 2) { /* ever cheaper */
        cost_add(&model.cost, rows, 1000000 + (int64_t)rows * 4000000);
    }
    batch_aim_by(&model.aim, &model.cost, 64, 0, 0);
    ck_assert_int_eq(model.aim.rows, 8);
    ck_assert_int_eq(model.aim.early_rows, 2);
    ck_assert_int_eq(model.aim.reason, BATCH_FULL);
    batch_aim_by(&model.aim, &model.cost, 64, 0, 20);
    ck_assert_int_eq(model.aim.rows, 4);
    ck_assert_int_eq(model.aim.reason, BATCH_SLICE);
    batch_aim_by(&model.aim, &model.cost, 64, 0, 2);
    ck_assert_int_eq(model.aim.rows, 1);
    ck_assert_int_eq(model.aim.early_rows, 1);
    ck_assert_int_eq(model.aim.reason, BATCH_SLICE);
}
END_TEST

START_TEST(a_batch_size_in_the_file_goes_before_the_slice) {
    struct batch_model model = {.rows_max = 64};
    cost_add(&model.cost, 1, 5000000);
    batch_aim_by(&model.aim, &model.cost, 64, 32, 2);
    ck_assert_int_eq(model.aim.rows, 32);
    ck_assert_int_eq(model.aim.early_rows, 32);
    ck_assert_int_eq(model.aim.reason, BATCH_FULL);
}
END_TEST

/* Whether opening two models warns of a batch of the first that takes longer than 1 ms.
 */
static bool warns_of_long(int batch_size) {
    static char text[65536];
    struct config_model items[] = {
        {.name = "slow", .path = DIGITS, .batch_max = 1024, .batch_size = batch_size},
        {.name = "b", .path = PAIR, .batch_max = 4}};
    struct config config = {.models = items, .model_count = 2, .worker = {.slice_ms = 1}};
    FILE *log = tmpfile();
    size_t size;
    ck_assert_ptr_nonnull(log);
    ck_assert_int_ge(dup2(fileno(log), STDERR_FILENO), 0);
    log_setup(LOG_WARN, LOG_FORMAT_JSON);
    ck_assert_msg(models_open(&config, 1, &models, &err) == STATUS_OK, "%s", err.text);
    models_close(&models);
    rewind(log);
    size = fread(text, 1, sizeof text - 1, log);
    text[size] = '\0';
    fclose(log);
    return strstr(text, "\"batch_longer_than_slice\",\"model\":\"slow\"") != NULL;
}

/* Hundreds of images take longer than a millisecond on any machine. */
START_TEST(a_batch_size_in_the_file_that_takes_longer_than_the_slice_is_told) {
    ck_assert(warns_of_long(1024));
    ck_assert(!warns_of_long(0)); /* the slice decides */
}
END_TEST

START_TEST(a_batch_of_one_in_the_file_is_the_largest) {
    struct config_model item = {
        .name = "m", .path = "tests/data/models/single.onnx", .batch_max = 8};
    threads = 1;
    ck_assert_msg(open_all(&item, 1) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(models.items[0]->item.rows_max, 1);
    models_close(&models);
}
END_TEST

START_TEST(what_cannot_serve_is_refused_with_the_reason) {
    refuses((struct config_model){.name = "m", .path = "nowhere.onnx", .batch_max = 8},
            STATUS_INVALID, "nowhere.onnx");
    refuses((struct config_model){.name = "m", .path = "Makefile", .batch_max = 8},
            STATUS_INVALID, "Makefile");
    refuses((struct config_model){.name = "m",
                                  .path = "tests/data/models/fixed.onnx",
                                  .batch_max = 8},
            STATUS_UNSUPPORTED, "input 'x' has the shape [4,2]");
    refuses((struct config_model){.name = "m",
                                  .path = "tests/data/models/unknown_ops.onnx",
                                  .batch_max = 8},
            STATUS_UNSUPPORTED, "Defenestrate");
}
END_TEST

/* The largest batch is planned at start where the rows' shape is the model's own. */
START_TEST(sessions_are_ready_for_the_largest_batch) {
    struct config_model items[] = {{.name = "a", .path = LOOKUP, .batch_max = 8},
                                   {.name = "b", .path = PAIR, .batch_max = 4}};
    threads = 2;
    ck_assert_msg(open_all(items, 2) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(models.items[0]->session_count, 2);
    ck_assert_int_eq(session_output(models.items[0]->sessions[0], 0)->dims[0], 8);
    ck_assert_int_eq(session_output(models.items[0]->sessions[1], 0)->dims[0], 8);
    models_close(&models);
}
END_TEST

START_TEST(outputs_without_a_row_for_each_job_are_refused) {
    struct config_model item = {
        .name = "m", .path = "tests/data/models/rowless.onnx", .batch_max = 8};
    threads = 1; /* the file does not give it away, the first run does */
    ck_assert_int_eq(open_all(&item, 1), STATUS_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "output 'sizes' has the shape [2]") != NULL, "%s",
                  err.text);
}
END_TEST

static void be_quiet(void) {
    log_setup(LOG_ERROR, LOG_FORMAT_JSON);
}

int main(void) {
    const TTest *const tests[] = {
        models_are_found_by_their_configured_name,
        only_the_wanted_outputs_are_answered,
        models_are_measured_and_batches_sized_by_it,
        what_is_learned_keeps_to_the_slice_or_the_size_in_the_file,
        a_slice_is_as_long_as_the_others_have_to_wait,
        a_batch_size_in_the_file_goes_before_the_slice,
        a_batch_size_in_the_file_that_takes_longer_than_the_slice_is_told,
        a_batch_of_one_in_the_file_is_the_largest,
        what_cannot_serve_is_refused_with_the_reason,
        sessions_are_ready_for_the_largest_batch,
        outputs_without_a_row_for_each_job_are_refused,
    };
    return suite_run_with("models", tests, ARRAY_COUNT(tests), be_quiet, NULL);
}
