/* test_registry_store.c - what `millrace registry` answers: ids, versions, compatibility.
 */
#include "tools/registry_store.h"

#include "tests/unit/suite.h"

static struct registry_store *store;

static void set_up(void) {
    store = registry_store_create();
    ck_assert_ptr_nonnull(store);
}

static void tear_down(void) {
    registry_store_destroy(store);
}

/* The code; the body is kept until the next request. */
static json_t *body;

static unsigned ask(const char *method, const char *path, json_t *with) {
    struct registry_answer answer = registry_store_answer(store, method, path, with);
    json_decref(with);
    json_decref(body);
    body = answer.body;
    return answer.code;
}

static unsigned put(const char *path, const char *schema) {
    return ask("POST", path, json_pack("{s:s}", "schema", schema));
}

static int number(const char *key) {
    return (int)json_integer_value(json_object_get(body, key));
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define A "{\"name\":\"a\",\"type\":\"int\"}"
#define B "{\"name\":\"b\",\"type\":\"int\"}"
#define B_DEFAULT "{\"name\":\"b\",\"type\":\"int\",\"default\":1}"

START_TEST(the_same_schema_has_one_id) {
    ck_assert_uint_eq(put("/subjects/s/versions", "\"int\""), 200);
    ck_assert_int_eq(number("id"), 1);
    ck_assert_uint_eq(put("/subjects/s/versions", " \"int\" "), 200);
    ck_assert_int_eq(number("id"), 1);
    ck_assert_uint_eq(put("/subjects/t/versions", "\"int\""), 200);
    ck_assert_int_eq(number("id"), 1);
    ck_assert_uint_eq(put("/subjects/t/versions", "\"long\""), 200);
    ck_assert_int_eq(number("id"), 2);
    ck_assert_uint_eq(ask("GET", "/subjects/t/versions/latest", NULL), 200);
    ck_assert_int_eq(number("version"), 2);
    ck_assert_uint_eq(put("/subjects/t", "\"long\""), 200);
    ck_assert_int_eq(number("id"), 2);
    json_decref(body);
}
END_TEST

START_TEST(what_is_not_there_is_404_with_confluents_code) {
    ck_assert_uint_eq(ask("GET", "/schemas/ids/1", NULL), 404);
    ck_assert_int_eq(number("error_code"), 40403);
    ck_assert_uint_eq(ask("GET", "/subjects/s/versions", NULL), 404);
    ck_assert_int_eq(number("error_code"), 40401);
    ck_assert_uint_eq(ask("GET", "/no/such/path", NULL), 404);
    ck_assert_uint_eq(put("/subjects/s/versions", "\"what\""), 422);
    ck_assert_int_eq(number("error_code"), 42201);
    ck_assert_uint_eq(ask("POST", "/subjects/s/versions", NULL), 422);
    json_decref(body);
}
END_TEST

static void set_level(const char *level) {
    ck_assert_uint_eq(ask("PUT", "/config/s", json_pack("{s:s}", "compatibility", level)),
                      200);
}

START_TEST(each_level_of_compatibility_refuses_what_it_should) {
    static const struct {
        const char *level;
        unsigned field_more, field_less; /* the codes that they get */
    } cases[] = {{"NONE", 200, 200},
                 {"BACKWARD", 409, 200},
                 {"FORWARD", 200, 409},
                 {"FULL", 409, 409}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        tear_down();
        set_up();
        set_level(cases[i].level);
        ck_assert_uint_eq(put("/subjects/s/versions", RECORD(A)), 200);
        ck_assert_uint_eq(put("/subjects/s/versions", RECORD(A "," B)),
                          cases[i].field_more);
        tear_down();
        set_up();
        set_level(cases[i].level);
        ck_assert_uint_eq(put("/subjects/s/versions", RECORD(A "," B)), 200);
        ck_assert_uint_eq(put("/subjects/s/versions", RECORD(A)), cases[i].field_less);
        ck_assert_uint_eq(
            put("/compatibility/subjects/s/versions/1", RECORD(A "," B_DEFAULT)), 200);
    }
    json_decref(body);
}
END_TEST

START_TEST(references_are_resolved) {
    json_t *request = json_pack("{s:s, s:[{s:s, s:s, s:i}]}", "schema",
                                RECORD("{\"name\":\"f\",\"type\":\"F\"}"), "references",
                                "name", "F", "subject", "f", "version", 1);
    ck_assert_uint_eq(ask("POST", "/subjects/s/versions", json_incref(request)), 422);
    ck_assert_uint_eq(
        put("/subjects/f/versions", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}"),
        200);
    ck_assert_uint_eq(ask("POST", "/subjects/s/versions", request), 200);
    ck_assert_uint_eq(ask("GET", "/schemas/ids/2", NULL), 200);
    ck_assert_uint_eq(json_array_size(json_object_get(body, "references")), 1);
    json_decref(body);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        the_same_schema_has_one_id,
        what_is_not_there_is_404_with_confluents_code,
        each_level_of_compatibility_refuses_what_it_should,
        references_are_resolved,
    };
    return suite_run_with("tools/registry_store", tests, ARRAY_COUNT(tests), set_up,
                          tear_down);
}
