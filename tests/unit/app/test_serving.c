/* test_serving.c - a version is kept for as long as a batch is made for it, and no
 * longer; what cannot take its place is refused. */
#include "app/reload.h"
#include "app/serving.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/suite.h"

#define LOOKUP "tests/data/models/lookup.onnx"
#define PAIR "tests/data/models/pair.onnx"
#define PATIENCE_US 20000000

static const struct config_model config_models[] = {
    {.name = "a", .path = LOOKUP, .version = "1", .batch_max = 8},
    {.name = "b", .path = PAIR, .version = "1", .batch_max = 4},
};
static const struct config config = {
    .models = config_models, .model_count = 2, .worker = {.threads = 2}};
static struct models models;
static struct error err;

/* ---- serving ---- */

static struct serving serving;
static struct loaded *retired[8];
static int retired_count;

static void on_retired(void *opaque, struct loaded *loaded) {
    (void)opaque;
    retired[retired_count++] = loaded;
}

static struct loaded *load(const char *path, const char *version) {
    const struct loaded_source source = {
        .config = &config_models[0], .path = path, .version = version, .threads = 2};
    struct loaded *loaded;
    ck_assert_msg(loaded_open(&source, &loaded, &err) == STATUS_OK, "%s", err.text);
    return loaded;
}

static struct batch *batch_of(int model) {
    struct batch *batch;
    ck_assert_int_eq(batch_create(&models.items[model]->item, model, &batch, &err),
                     STATUS_OK);
    serving_adopt(&serving, batch);
    return batch;
}

static void start(void) {
    ck_assert_msg(models_open(&config, 2, &models, &err) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(serving_init(&serving, &models, on_retired, NULL, &err), STATUS_OK);
}

static void stop(void) {
    serving_release(&serving);
    for (int i = 0; i < retired_count; i++) {
        loaded_close(retired[i]);
    }
    models_close(&models);
}

START_TEST(an_old_version_leaves_with_its_last_batch) {
    struct batch *unused, *busy, *other;
    struct loaded *next, *old;
    start();
    old = models.items[0];
    unused = batch_of(0);
    busy = batch_of(0);
    other = batch_of(1);
    ck_assert_ptr_null(serving_next(&serving, 0));
    serving_offer(&serving, load(LOOKUP, "2"));
    next = serving_next(&serving, 0);
    ck_assert_ptr_nonnull(next);
    serving_change(&serving, next);
    ck_assert_ptr_eq(models.items[0], next);
    ck_assert_ptr_eq(serving.items[0], &next->item);
    serving_rebind(&serving, unused);
    serving_rebind(&serving, unused); /* once is all */
    serving_rebind(&serving, other);
    ck_assert(serving_sweep(&serving));
    ck_assert_int_eq(retired_count, 0); /* `busy` is computed with it */
    ck_assert_str_eq(loaded_of(busy)->version, "1");
    ck_assert_str_eq(loaded_of(unused)->version, "2");
    serving_rebind(&serving, busy);
    ck_assert(!serving_sweep(&serving));
    ck_assert_int_eq(retired_count, 1);
    ck_assert_ptr_eq(retired[0], old);
    ck_assert_int_eq(next->batches, 2);
    batch_destroy(unused);
    batch_destroy(busy);
    batch_destroy(other);
    stop();
}
END_TEST

START_TEST(a_version_that_was_overtaken_is_retired_unused) {
    struct loaded *first;
    start();
    first = load(LOOKUP, "2");
    serving_offer(&serving, first);
    serving_offer(&serving, load(LOOKUP, "3"));
    ck_assert_int_eq(retired_count, 1);
    ck_assert_ptr_eq(retired[0], first);
    serving_change(&serving, serving_next(&serving, 0));
    ck_assert_str_eq(models.items[0]->version, "3");
    ck_assert_ptr_null(serving_next(&serving, 0));
    stop();
}
END_TEST

START_TEST(versions_queue_up_behind_one_that_cannot_leave) {
    struct batch *busy[SERVING_LEAVING_MAX];
    start();
    for (int i = 0; i < SERVING_LEAVING_MAX; i++) {
        busy[i] = batch_of(0);
        serving_offer(&serving, load(LOOKUP, "n"));
        serving_change(&serving, serving_next(&serving, 0));
    }
    serving_offer(&serving, load(LOOKUP, "last"));
    ck_assert_ptr_null(serving_next(&serving, 0));
    serving_rebind(&serving, busy[0]);
    ck_assert(serving_sweep(&serving));
    serving_change(&serving, serving_next(&serving, 0));
    ck_assert_str_eq(models.items[0]->version, "last");
    for (int i = 0; i < SERVING_LEAVING_MAX; i++) {
        batch_destroy(busy[i]);
    }
    stop(); /* what has not left is freed all the same: the sanitizer looks */
}
END_TEST

START_TEST(only_what_is_like_the_one_before_may_follow) {
    struct loaded *same, *other;
    start();
    same = load(LOOKUP, "2");
    other = load(PAIR, "2");
    ck_assert_int_eq(loaded_check_like(models.items[0], same, &err), STATUS_OK);
    ck_assert_int_eq(loaded_check_like(models.items[0], other, &err), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "restart to serve it"));
    loaded_close(same);
    loaded_close(other);
    stop();
}
END_TEST

/* ---- reload ---- */

static struct reload *reload;
static struct metrics *metrics;
static _Atomic(struct loaded *) offered;

static void on_offer(void *opaque, struct loaded *loaded) {
    (void)opaque;
    ck_assert_ptr_null(atomic_exchange(&offered, loaded));
}

static void start_reload(void) {
    const char *const routes[] = {"r"};
    const struct metrics_model names[] = {{"a", "", "", ""}, {"b", "", "", ""}};
    const struct metrics_opts figures = {.models = names,
                                         .model_count = 2,
                                         .routes = routes,
                                         .route_count = 1,
                                         .version = ""};
    struct reload_opts opts = {.config = &config, .models = &models, .offer = on_offer};
    ck_assert_msg(models_open(&config, 2, &models, &err) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(metrics_create(&figures, &metrics, &err), STATUS_OK);
    opts.metrics = metrics;
    ck_assert_int_eq(reload_create(&opts, &reload, &err), STATUS_OK);
}

static void stop_reload(void) {
    reload_stop(reload);
    reload_destroy(reload);
    loaded_close(atomic_load(&offered));
    metrics_destroy(metrics);
    models_close(&models);
}

/* Waits for what the page says of the outcome. */
static void wait_counted(const char *outcome) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    char wanted[128];
    bool found = false;
    snprintf(wanted, sizeof wanted,
             "millrace_model_reloads_total{model=\"a\",outcome=\"%s\"} 1\n", outcome);
    while (!found) {
        char *text = NULL;
        size_t size = 0;
        FILE *to = open_memstream(&text, &size);
        metrics_write(metrics, to);
        fclose(to);
        found = strstr(text, wanted) != NULL;
        free(text);
        ck_assert_msg(clock_now_us() < deadline_us, "never %s", outcome);
    }
}

START_TEST(a_version_is_loaded_and_offered_ready) {
    struct reload_order order = {.path = LOOKUP, .version = "2", .origin = "test"};
    struct loaded *loaded;
    start_reload();
    order.sha256 = models.items[0]->sha256_text;
    reload_order(reload, 0, &order);
    wait_counted("loaded");
    reload_stop(reload);
    loaded = atomic_load(&offered);
    ck_assert_ptr_nonnull(loaded);
    ck_assert_str_eq(loaded->version, "2");
    ck_assert_int_eq(loaded->session_count, 2);
    ck_assert_int_eq(session_output(loaded->sessions[1], 0)->dims[0], 8);
    ck_assert_ptr_eq(loaded->item.sha256, loaded->sha256);
    stop_reload();
}
END_TEST

START_TEST(what_cannot_serve_leaves_the_one_before) {
    static const struct reload_order orders[] = {
        {.path = "nowhere.onnx", .version = "2", .origin = "test"},
        {.path = PAIR, .version = "2", .origin = "test"},
        {.path = LOOKUP,
         .version = "2",
         .sha256 = "0000000000000000000000000000000000000000000000000000000000000000",
         .origin = "test"},
        {.path = "tests/data/models/unknown_ops.onnx", .version = "2", .origin = "test"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(orders); i++) {
        start_reload();
        reload_order(reload, 0, &orders[i]);
        wait_counted("refused");
        ck_assert_ptr_null(atomic_load(&offered));
        stop_reload();
    }
}
END_TEST

START_TEST(what_serves_already_is_not_loaded_again) {
    const struct reload_order order = {.path = LOOKUP, .version = "1", .origin = "test"};
    start_reload();
    reload_order(reload, 0, &order);
    wait_counted("unchanged");
    ck_assert_ptr_null(atomic_load(&offered));
    stop_reload();
}
END_TEST

START_TEST(the_digest_is_that_of_the_file) {
    char path[] = "/tmp/millrace-digest-XXXXXX", text[DIGEST_TEXT_SIZE];
    uint8_t digest[DIGEST_SIZE];
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, "abc", 3), 3);
    close(file);
    ck_assert_int_eq(digest_file(path, digest, &err), STATUS_OK);
    digest_text(digest, text);
    /* FIPS 180-2, appendix B.1. */
    ck_assert_str_eq(text,
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    unlink(path);
    ck_assert_int_eq(digest_file(path, digest, &err), STATUS_INVALID);
    ck_assert_int_eq(digest_file("tests", digest, &err), STATUS_INVALID);
}
END_TEST

static void be_quiet(void) {
    log_setup(LOG_ERROR + 1, LOG_FORMAT_JSON);
}

int main(void) {
    const TTest *const tests[] = {
        an_old_version_leaves_with_its_last_batch,
        a_version_that_was_overtaken_is_retired_unused,
        versions_queue_up_behind_one_that_cannot_leave,
        only_what_is_like_the_one_before_may_follow,
        a_version_is_loaded_and_offered_ready,
        what_cannot_serve_leaves_the_one_before,
        what_serves_already_is_not_loaded_again,
        the_digest_is_that_of_the_file,
    };
    return suite_run_with("serving", tests, ARRAY_COUNT(tests), be_quiet, NULL);
}
