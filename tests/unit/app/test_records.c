/* test_records.c - record mode on the intake's side: records become jobs once their
 * schema is known, wait until then, and none is given up for a registry that is away. */
#include "app/records.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/allocations.h"
#include "tests/unit/registry/server.h"
#include "tests/unit/suite.h"

#define PATIENCE_US 20000000
#define ORDER                                                                     \
    "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"Order\\\",\\\"fields\\\":["    \
    "{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\"},{\\\"name\\\":\\\"b\\\"," \
    "\\\"type\\\":\\\"long\\\"}]}"
#define ANSWER "{\"id\": 1, \"schema\": \"" ORDER "\"}"
#define TWOFOLD "tests/data/models/twofold.onnx"

static char folder[] = "/tmp/millrace-records-XXXXXX";
static struct config *config;
static struct models models;
static struct records *records;
static struct server server;
static struct error err;
static struct job job;
static char mistakes[8][ERROR_TEXT_MAX];
static int mistake_count, unchecked_count;
static atomic_int woken;

static void write_file(const char *name, const char *text) {
    char path[256];
    FILE *file;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void on_mistake(void *opaque, const char *text) {
    ck_assert_ptr_null(opaque);
    ck_assert_int_lt(mistake_count, (int)ARRAY_COUNT(mistakes));
    (void)snprintf(mistakes[mistake_count++], sizeof(mistakes[0]), "%s", text);
}

static void on_unchecked(void *opaque, const char *text) {
    ck_assert_ptr_null(opaque);
    ck_assert_ptr_nonnull(strstr(text, "could not be checked"));
    unchecked_count++;
}

static void on_wake(void *opaque) {
    ck_assert_ptr_null(opaque);
    atomic_fetch_add(&woken, 1);
}

/* A worker's file with one route of records for each of `members`. */
static enum status open_routes(const char *const *members, int count) {
    static const struct records_watch watch = {on_mistake, on_unchecked, NULL};
    char text[8192], here[512], path[256];
    int used;
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    used = snprintf(text, sizeof(text),
                    "kafka = { bootstrap_servers = \"a\"; };\n"
                    "registry = { urls = \"http://127.0.0.1:%d\"; timeout_ms = 1000; };\n"
                    "models = ( { name = \"m\"; path = \"%s/" TWOFOLD "\"; } );\n"
                    "routes = ( ",
                    server_port(&server), here);
    for (int i = 0; i < count; i++) {
        used += snprintf(text + used, sizeof(text) - (size_t)used,
                         "%s{ input = \"in%d\"; output = \"out%d\"; dead_letter = \"d\"; "
                         "model = \"m\"; record = {\n%s\n}; }",
                         i == 0 ? "" : ", ", i, i, members[i]);
    }
    (void)snprintf(text + used, sizeof(text) - (size_t)used, " );\n");
    write_file("a.conf", text);
    (void)snprintf(path, sizeof(path), "%s/a.conf", folder);
    ck_assert_msg(config_load(path, NULL, 0, NULL, NULL, &config, &err) == STATUS_OK,
                  "%s", err.text);
    ck_assert_msg(models_open(config, 0, &models, &err) == STATUS_OK, "%s", err.text);
    return records_open(config, &models, &watch, &records, &err);
}

static void start(const char *members) {
    ck_assert_msg(open_routes(&members, 1) == STATUS_OK, "%s", err.text);
    ck_assert_msg(records_start(records, on_wake, NULL, &err) == STATUS_OK, "%s",
                  err.text);
}

static void set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_file("order.avsc", "{\"type\":\"record\",\"name\":\"Order\",\"fields\":["
                             "{\"name\":\"a\",\"type\":\"long\"},"
                             "{\"name\":\"t\",\"type\":\"string\"},"
                             "{\"name\":\"at\",\"type\":{\"type\":\"long\","
                             "\"logicalType\":\"timestamp-millis\"}}]}");
    server_open(&server);
}

static void tear_down(void) {
    char path[256];
    static const char *const names[] = {"a.conf", "order.avsc"};
    records_close(records);
    models_close(&models);
    config_free(config);
    server_close(&server);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)remove(path);
    }
    (void)rmdir(folder);
}

/* Waits until some records' schema is known, and returns them. */
static struct record *await(void) {
    int64_t until_us = clock_now_us() + PATIENCE_US;
    struct record *chain = NULL;
    while (chain == NULL) {
        ck_assert_msg(clock_now_us() < until_us, "waited in vain");
        chain = records_take(records);
    }
    return chain;
}

static enum status parse(struct record *record, struct batch_row *row, bool *waits) {
    return records_parse(records, record, &job, row, waits, &err);
}

#define RECORD(text) \
    ((struct record){.value = {(const uint8_t *)(text), sizeof(text) - 1}})

START_TEST(records_wait_for_their_schema_and_are_jobs_once_it_is_known) {
    struct record first = RECORD("\0\0\0\0\1\2\4"), second = RECORD("\0\0\0\0\1\6\10");
    struct batch_row row = {0};
    bool waits;
    float x[2];
    server_add(&server, "GET", "/schemas/ids/1", 200, ANSWER, 0);
    server_add(&server, "POST", "/subjects/out0-value/versions", 200, "{\"id\": 9}", 0);
    start("inputs = [ \"a\", \"b\" ];");
    ck_assert_int_eq(unchecked_count, 1); /* the subject has no schema yet */
    ck_assert_int_eq(parse(&first, &row, &waits), STATUS_OK);
    ck_assert(waits);
    ck_assert_int_eq(parse(&second, &row, &waits), STATUS_OK);
    ck_assert(waits);
    ck_assert_int_eq(records_waiting(records), 2);
    ck_assert_ptr_eq(await(), &first); /* in their order */
    ck_assert_ptr_eq(first.next, &second);
    ck_assert_ptr_null(second.next);
    ck_assert_int_eq(records_waiting(records), 0);
    while (atomic_load(&woken) == 0) { /* comes right after; the case has a time-out */
        (void)sched_yield();
    }
    ck_assert_msg(parse(&second, &row, &waits) == STATUS_OK, "%s", err.text);
    ck_assert(!waits);
    ck_assert_int_eq(job.input_count, 1);
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_F32, 2, x, &err), STATUS_OK);
    ck_assert_float_eq(x[0], 3);
    ck_assert_float_eq(x[1], 4);
    ck_assert_uint_eq(row.record.size, 2);
    ck_assert_int_eq(row.answer->framing.kind, FRAMING_CONFLUENT);
    ck_assert_uint_eq(row.answer->framing.id, 9);
    ck_assert_ptr_null(records_take(records));
}
END_TEST

START_TEST(a_registry_that_fails_is_asked_again_until_it_answers) {
    struct record record = RECORD("\0\0\0\0\1\2\4");
    struct batch_row row = {0};
    bool waits;
    server_add(&server, "GET", "/schemas/ids/1", 503, "{}", 3);
    server_add(&server, "GET", "/schemas/ids/1", 200, ANSWER, 0);
    server_add(&server, "POST", "/subjects/out0-value/versions", 500, "{}", 2);
    server_add(&server, "POST", "/subjects/out0-value/versions", 200, "{\"id\": 9}", 0);
    start("inputs = [ \"a\", \"b\" ];");
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_OK);
    ck_assert(waits);
    ck_assert_ptr_eq(await(), &record);
    ck_assert_msg(parse(&record, &row, &waits) == STATUS_OK, "%s", err.text);
    ck_assert(!waits);
}
END_TEST

START_TEST(a_schema_that_the_registry_has_not_is_the_records_fault) {
    struct record record = RECORD("\0\0\0\0\7\2\4");
    struct batch_row row = {0};
    bool waits;
    int requests;
    start("inputs = [ \"a\", \"b\" ];");
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_OK);
    ck_assert(waits);
    ck_assert_ptr_eq(await(), &record);
    requests = server_requests(&server);
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_POISON);
    ck_assert_ptr_nonnull(strstr(err.text, "404"));
    ck_assert_int_eq(server_requests(&server), requests); /* it is remembered */
}
END_TEST

START_TEST(a_schema_without_the_field_condemns_its_records) {
    struct record record = RECORD("\0\0\0\0\1\2\4");
    struct batch_row row = {0};
    bool waits;
    server_add(&server, "GET", "/schemas/ids/1", 200, ANSWER, 0);
    start("inputs = [ \"a\", \"c\" ];");
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_OK);
    ck_assert_ptr_eq(await(), &record);
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_POISON);
    ck_assert_ptr_nonnull(strstr(err.text, "a.conf:5"));
    ck_assert_ptr_nonnull(strstr(err.text, "a, b"));
}
END_TEST

START_TEST(an_answer_that_its_subject_refuses_condemns_its_records) {
    struct record record = RECORD("\0\0\0\0\1\2\4");
    struct batch_row row = {0};
    bool waits;
    server_add(&server, "GET", "/schemas/ids/1", 200, ANSWER, 0);
    server_add(&server, "POST", "/subjects/out0-value/versions", 409,
               "{\"error_code\": 409, \"message\": \"not compatible at all\"}", 0);
    start("inputs = [ \"a\", \"b\" ];");
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_OK);
    ck_assert_ptr_eq(await(), &record);
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_POISON);
    ck_assert_ptr_nonnull(strstr(err.text, "not compatible at all"));
}
END_TEST

START_TEST(bare_records_need_no_registry_and_every_step_is_known) {
    struct record record = RECORD("\2\2x\0");
    struct batch_row row = {0};
    bool waits;
    float x[2];
    start(
        "schema = \"order.avsc\"; answer = \"prediction\"; inputs = ( "
        "{ field = \"a\"; steps = ( \"log1p\", { scale = 2; }, { clip = [0, 1]; } ); }, "
        "{ field = \"t\"; steps = { vocabulary = [\"w\", \"x\"]; }; } ); "
        "outputs = { one = { output = \"y\"; element = 0; }; "
        "best = { output = \"y\"; top = 1; labels = [\"l\", \"m\"]; }; "
        "most = { output = \"y\"; form = \"score\"; }; "
        "name = { output = \"y\"; form = \"label\"; }; raw = \"z\"; };");
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_OK);
    ck_assert_ptr_eq(await(), &record);
    ck_assert_msg(parse(&record, &row, &waits) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(row.answer->framing.kind, FRAMING_BARE);
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_F32, 2, x, &err), STATUS_OK);
    ck_assert_float_eq(x[0], 1);
    ck_assert_float_eq(x[1], 1);
    ck_assert_int_eq(server_requests(&server), 0);
}
END_TEST

START_TEST(the_other_steps_are_known_too) {
    const char *const members[] = {
        "schema = \"order.avsc\"; inputs = ( { field = \"at\"; steps = \"hour\"; }, "
        "{ field = \"at\"; steps = \"weekday\"; } );",
        "schema = \"order.avsc\"; inputs = ( { field = \"at\"; steps = \"seconds\"; }, "
        "{ field = \"t\"; steps = { hash = 9; }; } );",
        "schema = \"order.avsc\"; inputs = ( { field = \"a\"; steps = { one_hot = 2; }; "
        "} );",
    };
    ck_assert_msg(open_routes(members, 3) == STATUS_OK, "%s", err.text);
}
END_TEST

START_TEST(all_mistakes_are_told_with_their_places) {
    const char *const members[] = {
        "schema = \"order.avsc\"; inputs = [ \"a\", \"nowhere\" ];",
        "schema = \"order.avsc\"; inputs = [ \"a\", \"a\" ];",
        "schema = \"order.avsc\"; inputs = { y = [ \"a\", \"a\" ]; };",
        "schema = \"order.avsc\"; inputs = ( { field = \"t\"; steps = { vocabulary = "
        "\"no-such-file\"; }; }, \"a\" );",
    };
    ck_assert_int_eq(open_routes(members, 4), STATUS_INVALID);
    ck_assert_ptr_null(records);
    ck_assert_int_eq(mistake_count, 3);
    ck_assert_ptr_nonnull(strstr(mistakes[0], "a.conf:5"));
    ck_assert_ptr_nonnull(strstr(mistakes[0], "nowhere"));
    ck_assert_ptr_nonnull(strstr(mistakes[1], "a.conf:9"));
    ck_assert_ptr_nonnull(strstr(mistakes[1], "there is no input 'y'"));
    ck_assert_ptr_nonnull(strstr(mistakes[2], "no-such-file"));
    ck_assert_str_eq(err.text, mistakes[0]);
}
END_TEST

START_TEST(a_bad_record_is_refused_alone) {
    struct record unframed = RECORD("x"), cut = RECORD("\0\0\0\0\1\2");
    struct record good = RECORD("\0\0\0\0\1\2\4");
    struct batch_row row = {0};
    bool waits;
    server_add(&server, "GET", "/schemas/ids/1", 200, ANSWER, 0);
    start("inputs = [ \"a\", \"b\" ]; answer_framing = \"bare\";");
    ck_assert_int_eq(parse(&unframed, &row, &waits), STATUS_POISON);
    ck_assert_int_eq(parse(&good, &row, &waits), STATUS_OK);
    ck_assert_ptr_eq(await(), &good);
    ck_assert_int_eq(parse(&cut, &row, &waits), STATUS_POISON);
    ck_assert(!waits);
    ck_assert_int_eq(parse(&good, &row, &waits), STATUS_OK);
}
END_TEST

START_TEST(closing_ends_a_wait_for_a_registry_that_is_away) {
    struct record record = RECORD("\0\0\0\0\1\2\4");
    struct batch_row row = {0};
    bool waits;
    server_add(&server, "GET", "/schemas/ids/1", 503, "{}", 0);
    start("inputs = [ \"a\", \"b\" ];");
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_OK);
    ck_assert(waits);
    records_close(records); /* returns, and loses nobody's record: the stream has it */
    records = NULL;
}
END_TEST

#ifdef COUNTS_ALLOCATIONS
START_TEST(a_record_allocates_nothing_once_its_schema_is_known) {
    struct record record = RECORD("\0\0\0\0\1\2\4");
    struct batch_row row = {0};
    uint8_t to[512], *end;
    float y[] = {1, 0}, x[2];
    const struct result_output outputs[] = {
        {.row = {.dtype = DTYPE_F32, .rank = 1, .dims = {2}, .data = y}},
        {.row = {.dtype = DTYPE_F32, .rank = 1, .dims = {2}, .data = y}}};
    bool waits, good = true;
    long before;
    server_add(&server, "GET", "/schemas/ids/1", 200, ANSWER, 0);
    start(
        "inputs = ( \"a\", { field = \"b\"; steps = { hash = 9; }; } ); "
        "answer_framing = \"bare\"; outputs = { top = { output = \"y\"; top = 2; }; };");
    ck_assert_int_eq(parse(&record, &row, &waits), STATUS_OK);
    ck_assert_ptr_eq(await(), &record);
    before = allocations;
    for (int i = 0; i < 3; i++) {
        good = good && parse(&record, &row, &waits) == STATUS_OK &&
               job_fill(&job.inputs[0], DTYPE_F32, 2, x, &err) == STATUS_OK &&
               record_out_size_max(row.answer->out, row.record, outputs) <= sizeof(to) &&
               record_out_encode(row.answer->out, row.record, outputs, to, &end, &err) ==
                   STATUS_OK &&
               records_take(records) == NULL;
    }
    before = allocations - before;
    ck_assert(good);
    ck_assert_int_eq(before, 0);
}
END_TEST
#endif

int main(void) {
    Suite *suite = suite_create("app/records");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, records_wait_for_their_schema_and_are_jobs_once_it_is_known);
    tcase_add_test(all, a_registry_that_fails_is_asked_again_until_it_answers);
    tcase_add_test(all, a_schema_that_the_registry_has_not_is_the_records_fault);
    tcase_add_test(all, a_schema_without_the_field_condemns_its_records);
    tcase_add_test(all, an_answer_that_its_subject_refuses_condemns_its_records);
    tcase_add_test(all, bare_records_need_no_registry_and_every_step_is_known);
    tcase_add_test(all, the_other_steps_are_known_too);
    tcase_add_test(all, all_mistakes_are_told_with_their_places);
    tcase_add_test(all, a_bad_record_is_refused_alone);
    tcase_add_test(all, closing_ends_a_wait_for_a_registry_that_is_away);
#ifdef COUNTS_ALLOCATIONS
    tcase_add_test(all, a_record_allocates_nothing_once_its_schema_is_known);
#endif
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
