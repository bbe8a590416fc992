/* test_registry.c - whose fault it is that a schema is not there; and asking for one. */
#include "registry/registry.h"

#include "tests/unit/registry/server.h"
#include "tests/unit/suite.h"

#define PATIENCE_MS 60000 /* sanitizers are slow; an answer ends the wait */

static struct server server;
static struct registry *registry;
static const struct registry_schema *found;
static struct error err;
static char url[64];

static void set_up(void) {
    server_open(&server);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", server_port(&server));
}

static void tear_down(void) {
    registry_destroy(registry);
    server_close(&server);
}

static void open_with(struct http_client_opts http) {
    struct registry_opts opts = {
        .http = http, .backoff_min_ms = 1, .backoff_max_ms = 2, .missing_ms = 1};
    opts.http.timeout_ms = PATIENCE_MS;
    ck_assert_msg(registry_create(&opts, &registry, &err) == STATUS_OK, "%s", err.text);
}

static void open_registry(void) {
    open_with((struct http_client_opts){.urls = url});
}

static void says(const char *words) {
    ck_assert_msg(strstr(err.text, words) != NULL, "'%s' does not say '%s'", err.text,
                  words);
}

#define INT_BODY "{\"schema\":\"\\\"int\\\"\"}"

START_TEST(nobody_waits_for_an_id_that_is_not_known) {
    open_registry();
    server_add(&server, "GET", "/schemas/ids/7", 200, INT_BODY, 0);
    ck_assert_int_eq(registry_find(registry, 7, &found, &err), STATUS_AGAIN);
    says("schema 7: is being fetched");
    ck_assert_int_eq(registry_wait(registry, 7, PATIENCE_MS, &found, &err), STATUS_OK);
    ck_assert_int_eq(avro_schema_root(found->schema)->kind, AVRO_KIND_INT);
    ck_assert_int_eq(registry_find(registry, 7, &found, &err), STATUS_OK);
    ck_assert_int_eq(server_requests(&server), 1); /* it is kept */
}
END_TEST

START_TEST(an_unknown_id_is_the_records_fault_until_it_is_there) {
    open_registry();
    ck_assert_int_eq(registry_wait(registry, 8, PATIENCE_MS, &found, &err),
                     STATUS_POISON);
    says("schema 8: the schema registry answers 404 to /schemas/ids/8: not found");
    server_add(&server, "GET", "/schemas/ids/8", 200, INT_BODY, 0);
    while (registry_wait(registry, 8, PATIENCE_MS, &found, &err) == STATUS_POISON) {
        /* missing_ms is 1: it is asked for again */
    }
    ck_assert_ptr_nonnull(found);
}
END_TEST

START_TEST(a_registry_that_fails_is_asked_again) {
    open_registry();
    server_add(&server, "GET", "/schemas/ids/9", 500, "{}", 3);
    server_add(&server, "GET", "/schemas/ids/9", 401, "{}", 1);
    server_add(&server, "GET", "/schemas/ids/9", 200, "<html>", 1);
    server_add(&server, "GET", "/schemas/ids/9", 200, INT_BODY, 0);
    ck_assert_int_eq(registry_wait(registry, 9, PATIENCE_MS, &found, &err), STATUS_OK);
    ck_assert_int_eq(server_requests(&server), 6);
}
END_TEST

START_TEST(a_registry_that_is_away_is_named) {
    struct http_client_opts http = {.urls = "http://user:secret@127.0.0.1:1"};
    open_with(http);
    while (registry_wait(registry, 3, 1, &found, &err) != STATUS_AGAIN ||
           strstr(err.text, "127.0.0.1:1") == NULL) {
    }
    ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

START_TEST(the_next_url_is_tried) {
    char urls[128];
    snprintf(urls, sizeof(urls), "http://127.0.0.1:1, %s/", url);
    server_add(&server, "GET", "/schemas/ids/7", 200, INT_BODY, 0);
    open_with((struct http_client_opts){.urls = urls});
    ck_assert_int_eq(registry_wait(registry, 7, PATIENCE_MS, &found, &err), STATUS_OK);
}
END_TEST

START_TEST(a_schema_that_cannot_be_read_is_the_records_fault) {
    open_registry();
    server_add(&server, "GET", "/schemas/ids/1", 200, "{\"schema\":\"\\\"what\\\"\"}", 0);
    server_add(&server, "GET", "/schemas/ids/2", 200,
               "{\"schema\":\"x\",\"schemaType\":\"PROTOBUF\"}", 0);
    ck_assert_int_eq(registry_wait(registry, 1, PATIENCE_MS, &found, &err),
                     STATUS_POISON);
    says("unknown type 'what'");
    ck_assert_int_eq(registry_wait(registry, 2, PATIENCE_MS, &found, &err),
                     STATUS_POISON);
    says("is PROTOBUF, not Avro");
}
END_TEST

START_TEST(references_are_fetched_and_kept) {
    open_registry();
    server_add(&server, "GET", "/schemas/ids/4", 200,
               "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"a.R\\\","
               "\\\"fields\\\":[{\\\"name\\\":\\\"x\\\",\\\"type\\\":\\\"a.E\\\"},"
               "{\\\"name\\\":\\\"y\\\",\\\"type\\\":\\\"a.F\\\"}]}\","
               "\"references\":[{\"name\":\"a.E\",\"subject\":\"e s\",\"version\":2}]}",
               0);
    server_add(&server, "GET", "/subjects/e s/versions/2", 200,
               "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"a.E\\\","
               "\\\"fields\\\":[{\\\"name\\\":\\\"f\\\",\\\"type\\\":\\\"a.F\\\"}]}\","
               "\"references\":[{\"name\":\"a.F\",\"subject\":\"f\",\"version\":1}]}",
               0);
    server_add(&server, "GET", "/subjects/f/versions/1", 200,
               "{\"schema\":\"{\\\"type\\\":\\\"fixed\\\",\\\"name\\\":\\\"a.F\\\","
               "\\\"size\\\":3}\"}",
               0);
    server_add(&server, "POST", "/subjects/out/versions", 200, "{\"id\":11}", 0);
    ck_assert_msg(registry_wait(registry, 4, PATIENCE_MS, &found, &err) == STATUS_OK,
                  "%s", err.text);
    ck_assert_uint_eq(avro_schema_root(found->schema)->size_min, 6);
    ck_assert_int_eq(found->reference_count, 1);
    {
        uint32_t id = 0;
        ck_assert_int_eq(registry_register(registry, "out", "\"int\"", found, &id, &err),
                         STATUS_OK);
        ck_assert_uint_eq(id, 11);
        ck_assert_str_eq(server.posted,
                         "{\"schema\":\"\\\"int\\\"\",\"references\":[{\"name\":\"a.E\","
                         "\"subject\":\"e s\",\"version\":2}]}");
    }
}
END_TEST

START_TEST(an_incompatible_schema_is_told_as_such) {
    uint32_t id = 0;
    open_registry();
    server_add(
        &server, "POST", "/subjects/s/versions", 409,
        "{\"error_code\":409,\"message\":\"Schema being registered is incompatible\"}",
        1);
    server_add(&server, "POST", "/subjects/s/versions", 503, "{}", 1);
    ck_assert_int_eq(registry_register(registry, "s", "\"int\"", NULL, &id, &err),
                     STATUS_INVALID);
    says("answers 409 to /subjects/s/versions: Schema being registered is incompatible");
    ck_assert_int_eq(registry_register(registry, "s", "\"int\"", NULL, &id, &err),
                     STATUS_AGAIN);
}
END_TEST

START_TEST(passwords_and_tokens_are_sent) {
    server_add(&server, "GET", "/schemas/ids/7", 200, INT_BODY, 0);
    open_with((struct http_client_opts){.urls = url, .user = "u", .password = "p"});
    ck_assert_int_eq(registry_wait(registry, 7, PATIENCE_MS, &found, &err), STATUS_OK);
    ck_assert_str_eq(server.authorization, "Basic dTpw");
    registry_destroy(registry);
    open_with((struct http_client_opts){.urls = url, .token = "t0k"});
    ck_assert_int_eq(registry_wait(registry, 7, PATIENCE_MS, &found, &err), STATUS_OK);
    ck_assert_str_eq(server.authorization, "Bearer t0k");
}
END_TEST

START_TEST(a_flood_of_unknown_ids_is_bounded) {
    open_registry();
    for (uint32_t id = 1; id < REGISTRY_SCHEMAS_MAX + 64; id++) {
        enum status status = registry_find(registry, id, &found, &err);
        ck_assert(status == STATUS_AGAIN || status == STATUS_POISON);
    }
}
END_TEST

START_TEST(subjects_follow_the_strategies) {
    struct avro_schema *schema, *nameless;
    char to[64];
    ck_assert_int_eq(
        avro_schema_parse(
            span_text("{\"type\":\"record\",\"name\":\"shop.Order\",\"fields\":[]}"),
            NULL, &schema, &err),
        STATUS_OK);
    ck_assert_int_eq(avro_schema_parse(span_text("\"int\""), NULL, &nameless, &err),
                     STATUS_OK);
    ck_assert_int_eq(registry_subject(REGISTRY_TOPIC, "t", schema, to, sizeof(to), &err),
                     STATUS_OK);
    ck_assert_str_eq(to, "t-value");
    ck_assert_int_eq(registry_subject(REGISTRY_RECORD, "t", schema, to, sizeof(to), &err),
                     STATUS_OK);
    ck_assert_str_eq(to, "shop.Order");
    ck_assert_int_eq(
        registry_subject(REGISTRY_TOPIC_RECORD, "t", schema, to, sizeof(to), &err),
        STATUS_OK);
    ck_assert_str_eq(to, "t-shop.Order");
    ck_assert_int_eq(
        registry_subject(REGISTRY_RECORD, "t", nameless, to, sizeof(to), &err),
        STATUS_INVALID);
    ck_assert_int_eq(registry_subject(REGISTRY_RECORD, "t", schema, to, 5, &err),
                     STATUS_INVALID);
    avro_schema_destroy(schema);
    avro_schema_destroy(nameless);
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused) {
    const struct registry_opts none = {{0}, 0, 0, 0};
    const struct registry_opts wrong = {.http = {.urls = "http://a:1,ftp://b"}};
    ck_assert_int_eq(registry_create(&none, &registry, &err), STATUS_INVALID);
    ck_assert_int_eq(registry_create(&wrong, &registry, &err), STATUS_INVALID);
    says("URL 2 of the schema registry does not begin with http:// or https://");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        nobody_waits_for_an_id_that_is_not_known,
        an_unknown_id_is_the_records_fault_until_it_is_there,
        a_registry_that_fails_is_asked_again,
        a_registry_that_is_away_is_named,
        the_next_url_is_tried,
        a_schema_that_cannot_be_read_is_the_records_fault,
        references_are_fetched_and_kept,
        an_incompatible_schema_is_told_as_such,
        passwords_and_tokens_are_sent,
        a_flood_of_unknown_ids_is_bounded,
        subjects_follow_the_strategies,
        options_that_make_no_sense_are_refused,
    };
    return suite_run_with("registry/registry", tests, ARRAY_COUNT(tests), set_up,
                          tear_down);
}
