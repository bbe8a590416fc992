/* test_plan.c - plans against fastavro (tests/data/codec/plans.json): records written
 * with one schema and read with another, by path; and what becomes of damaged ones. */
#include <jansson.h>
#include <math.h>

#include "codec/avro_path.h"
#include "codec/plan.h"
#include "tests/unit/codec/fixture.h"
#include "tests/unit/suite.h"

#define GOLDENS "tests/data/codec/plans.json"
#define GOLDENS_MIN 300 /* cases; fewer would mean that the file was not understood */
#define PATHS_MAX 128
#define VALUES_MAX 256
#define NO_NUMBER -4321.0
#define NO_TEXT "(null)"

static struct error err;

static const char *text_of(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* Bytes of hexadecimal digits, in a block of exact size; the caller frees it. */
static uint8_t *unhex(const char *hex, size_t *size) {
    uint8_t *bytes;
    *size = strlen(hex) / 2;
    bytes = malloc(*size == 0 ? 1 : *size);
    for (size_t i = 0; i < *size; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return bytes;
}

/* A case: its schemas, message, and a want for each of its paths. */
struct golden {
    const json_t *json;
    struct avro_schema *writer, *reader;
    uint8_t *message;
    size_t size;
    int count;
    struct plan_want wants[PATHS_MAX];
    const json_t *values[PATHS_MAX];
    int lists[PATHS_MAX];
    bool fits[PATHS_MAX]; /* the values are of the first branch's type, where it is a
                             union */
};

static struct avro_schema *parse(const char *text) {
    struct avro_schema *schema;
    ck_assert_msg(avro_schema_parse(span_text(text), NULL, &schema, &err) == STATUS_OK,
                  "%s", err.text);
    return schema;
}

static const struct avro_node *reads(const struct golden *g) {
    return g->reader == NULL ? NULL : avro_schema_root(g->reader);
}

static bool is_text(const struct avro_node *type) {
    return type->kind == AVRO_KIND_STRING || type->kind == AVRO_KIND_ENUM ||
           ((type->kind == AVRO_KIND_BYTES || type->kind == AVRO_KIND_FIXED) &&
            type->logical != AVRO_LOGICAL_DECIMAL);
}

static void set_want(struct golden *g, const json_t *entry) {
    const struct avro_node *root =
        g->reader == NULL ? avro_schema_root(g->writer) : avro_schema_root(g->reader);
    struct avro_path_end end;
    int i = g->count++;
    struct plan_want *want = &g->wants[i];
    const json_t *value;
    size_t k;
    ck_assert_int_lt(i, PATHS_MAX);
    g->values[i] = json_object_get(entry, "values");
    *want = (struct plan_want){.place = "input 'x'",
                               .path = text_of(entry, "path"),
                               .tensor = i,
                               .values_min = 1,
                               .values_max = 1,
                               .has_fallback = true};
    ck_assert_msg(avro_path_find(root, want->path, &end, &err) == STATUS_OK, "%s",
                  err.text);
    /* float32 has quick steps of its own. */
    want->dtype = is_text(end.type) ? DTYPE_STRING : i % 2 == 0 ? DTYPE_F64 : DTYPE_F32;
    want->fallback =
        is_text(end.type) ? value_text(span_text(NO_TEXT)) : value_real(NO_NUMBER);
    g->lists[i] = end.lists;
    if (end.lists > 0) {
        want->values_min = 0;
        want->values_max = VALUES_MAX;
        want->whole = i % 2 == 0; /* noted or copied */
    }
    g->fits[i] = true;
    json_array_foreach(g->values[i], k, value) {
        g->fits[i] &= json_is_null(value) || json_is_number(value) == !is_text(end.type);
    }
}

static void open_golden(struct golden *g, const json_t *json) {
    const char *reader = text_of(json, "reader");
    const json_t *entry;
    size_t i;
    *g = (struct golden){.json = json};
    g->writer = parse(text_of(json, "writer"));
    g->reader = reader == NULL ? NULL : parse(reader);
    g->message = unhex(text_of(json, "message"), &g->size);
    json_array_foreach(json_object_get(json, "values"), i, entry) {
        set_want(g, entry);
    }
}

static void close_golden(struct golden *g) {
    avro_schema_destroy(g->writer);
    avro_schema_destroy(g->reader);
    free(g->message);
}

/* ---- comparing --------------------------------------------------------------------- */

struct rows {
    uint8_t *rows[PATHS_MAX];
    struct job_tensor tensors[PATHS_MAX];
    uint32_t values[PATHS_MAX];
    struct plan_out out;
};

static void open_rows(struct rows *rows, int count) {
    for (int i = 0; i < count; i++) {
        rows->rows[i] = calloc(VALUES_MAX, sizeof(struct span));
    }
    rows->out = (struct plan_out){rows->rows, rows->tensors, rows->values};
}

static void close_rows(struct rows *rows, int count) {
    for (int i = 0; i < count; i++) {
        free(rows->rows[i]);
    }
}

static void same_text(struct span have, const json_t *want, const char *what) {
    const json_t *hex = json_object_get(want, "bytes");
    if (json_is_null(want)) {
        ck_assert_msg(span_is(have, NO_TEXT), "%s", what);
    } else if (hex != NULL) {
        size_t size;
        uint8_t *bytes = unhex(json_string_value(hex), &size);
        ck_assert_msg(span_equal(have, span_of(bytes, size)), "%s", what);
        free(bytes);
    } else {
        ck_assert_msg(
            span_equal(have, span_of(json_string_value(want), json_string_length(want))),
            "%s", what);
    }
}

static void same_values(const struct golden *g, const struct rows *rows, int i) {
    const struct job_tensor *noted = &rows->tensors[i];
    const void *elements = rows->rows[i];
    size_t count = g->lists[i] > 0 ? rows->values[i] : 1;
    size_t expected = json_array_size(g->values[i]);
    char what[256];
    (void)snprintf(what, sizeof(what), "%s: %s", text_of(g->json, "name"),
                   g->wants[i].path);
    if (noted->kind != JOB_DATA_STAGED) {
        struct job_tensor x = *noted;
        x.dtype = g->wants[i].dtype;
        count = x.count;
        ck_assert_msg(job_fill(&x, x.dtype, count, rows->rows[i], &err) == STATUS_OK,
                      "%s", err.text);
    }
    if (g->lists[i] > 0 && expected == 1 &&
        json_is_null(json_array_get(g->values[i], 0)) && count == 0) {
        return; /* the list itself is null */
    }
    ck_assert_msg(count == expected, "%s: %zu values, not %zu", what, count, expected);
    for (size_t k = 0; k < count; k++) {
        const json_t *want = json_array_get(g->values[i], k);
        if (g->wants[i].dtype == DTYPE_STRING) {
            same_text(((const struct span *)elements)[k], want, what);
        } else {
            bool wide = g->wants[i].dtype == DTYPE_F64;
            double have = wide ? ((const double *)elements)[k]
                               : (double)((const float *)elements)[k];
            double number = json_is_null(want) ? NO_NUMBER : json_number_value(want);
            number = wide ? number : (double)(float)number;
            ck_assert_msg(fabs(have - number) <= fabs(number) * 1e-15,
                          "%s: %.17g, not %.17g", what, have, number);
        }
    }
}

/* One plan for `count` wants from `first`; the caller destroys it. */
static struct plan *run(const struct golden *g, int first, int count, struct rows *rows,
                        enum status expected) {
    struct plan *plan;
    enum status status;
    ck_assert_msg(plan_create(avro_schema_root(g->writer), reads(g), g->wants + first,
                              count, &plan, &err) == STATUS_OK,
                  "%s: %s", text_of(g->json, "name"), err.text);
    err.text[0] = 0;
    status = plan_run(plan, span_of(g->message, g->size), &rows->out, &err);
    ck_assert_msg(status == expected, "%s: %s", text_of(g->json, "name"), err.text);
    return plan;
}

static json_t *load(void) {
    json_t *goldens = json_load_file(GOLDENS, JSON_ALLOW_NUL, NULL);
    ck_assert_uint_ge(json_array_size(goldens), GOLDENS_MIN);
    return goldens;
}

START_TEST(every_value_is_the_one_that_fastavro_reads) {
    json_t *goldens = load();
    const json_t *json;
    size_t i;
    json_array_foreach(goldens, i, json) {
        struct golden g;
        struct rows rows;
        struct plan *plan;
        bool all_fit = true;
        open_golden(&g, json);
        open_rows(&rows, g.count);
        for (int k = 0; k < g.count; k++) {
            struct plan_want want = g.wants[k];
            if (want.dtype != DTYPE_STRING) {
                g.wants[k].dtype = i % 2 == 0 ? DTYPE_F64 : DTYPE_F32;
            }
            all_fit &= g.fits[k];
            rows.values[0] = 0;
            plan = run(&g, k, 1, &rows, g.fits[k] ? STATUS_OK : STATUS_POISON);
            if (g.fits[k]) { /* of a plan with one want the counts are at 0 */
                rows.values[k] = rows.values[0];
                same_values(&g, &rows, k);
            }
            g.wants[k] = want;
            plan_destroy(plan);
        }
        plan = run(&g, 0, all_fit && json_object_get(json, "error") == NULL ? g.count : 0,
                   &rows, STATUS_OK);
        for (int k = 0; all_fit && k < g.count; k++) {
            same_values(&g, &rows, k);
        }
        plan_destroy(plan);
        close_rows(&rows, g.count);
        close_golden(&g);
    }
    json_decref(goldens);
}
END_TEST

START_TEST(what_does_not_resolve_is_refused) {
    json_t *goldens = load();
    const json_t *json;
    size_t i;
    int count = 0;
    json_array_foreach(goldens, i, json) {
        const char *words = text_of(json, "error");
        struct plan_want want = {
            .place = "input 'x'", .dtype = DTYPE_F64, .values_min = 1, .values_max = 1};
        struct golden g;
        struct rows rows;
        struct plan *plan;
        if (words == NULL) {
            continue;
        }
        count++;
        open_golden(&g, json);
        open_rows(&rows, 1);
        /* The last field, of the type that it has. */
        want.path = avro_schema_root(g.reader)
                        ->fields[avro_schema_root(g.reader)->count - 1]
                        .name;
        {
            struct avro_path_end end;
            ck_assert_int_eq(
                avro_path_find(avro_schema_root(g.reader), want.path, &end, &err),
                STATUS_OK);
            want.dtype = is_text(end.type) ? DTYPE_STRING : DTYPE_F64;
        }
        if (plan_create(avro_schema_root(g.writer), reads(&g), &want, 1, &plan, &err) ==
            STATUS_OK) {
            ck_assert_int_eq(plan_run(plan, span_of(g.message, g.size), &rows.out, &err),
                             STATUS_POISON);
            plan_destroy(plan);
        }
        ck_assert_msg(strstr(err.text, words) != NULL, "%s: %s", text_of(json, "name"),
                      err.text);
        ck_assert_int_eq(plan_check_resolution(avro_schema_root(g.writer),
                                               avro_schema_root(g.reader), &err),
                         STATUS_INVALID);
        close_rows(&rows, 1);
        close_golden(&g);
    }
    ck_assert_int_ge(count, 30);
    json_decref(goldens);
}
END_TEST

START_TEST(every_truncation_is_poison) {
    json_t *goldens = load();
    const json_t *json;
    size_t i;
    json_array_foreach(goldens, i, json) {
        struct golden g;
        struct rows rows;
        struct plan *plan;
        open_golden(&g, json);
        open_rows(&rows, g.count);
        if (json_object_get(json, "error") != NULL) {
            g.count = 0;
        }
        ck_assert_msg(plan_create(avro_schema_root(g.writer), reads(&g), g.wants, g.count,
                                  &plan, &err) == STATUS_OK,
                      "%s: %s", text_of(json, "name"), err.text);
        for (size_t size = 0; size < g.size; size++) {
            uint8_t *part = malloc(size + 1); /* + 1: malloc(0) may be NULL */
            uint8_t *cut = part + 1;
            memcpy(cut, g.message, size);
            ck_assert_msg(plan_run(plan, span_of(cut, size), &rows.out, &err) ==
                              STATUS_POISON,
                          "%s cut to %zu bytes", text_of(json, "name"), size);
            free(part);
        }
        plan_destroy(plan);
        close_rows(&rows, g.count);
        close_golden(&g);
    }
    json_decref(goldens);
}
END_TEST

/* Whatever is broken, nothing outside is touched: a sanitizer looks on. */
START_TEST(a_broken_byte_does_no_harm) {
    json_t *goldens = load();
    const json_t *json;
    size_t i;
    json_array_foreach(goldens, i, json) {
        static const uint8_t bad[] = {0x01, 0x7f, 0x80, 0xff};
        struct golden g;
        struct rows rows;
        struct plan *plan;
        open_golden(&g, json);
        open_rows(&rows, g.count);
        if (plan_create(avro_schema_root(g.writer), reads(&g), g.wants, g.count, &plan,
                        &err) == STATUS_OK) {
            for (size_t k = 0; k < g.size * ARRAY_COUNT(bad); k++) {
                uint8_t *byte = &g.message[k / ARRAY_COUNT(bad)];
                uint8_t old = *byte;
                *byte ^= bad[k % ARRAY_COUNT(bad)];
                (void)!plan_run(plan, span_of(g.message, g.size), &rows.out, &err);
                *byte = old;
            }
            plan_destroy(plan);
        }
        close_rows(&rows, g.count);
        close_golden(&g);
    }
    json_decref(goldens);
}
END_TEST

/* ---- by hand ------------------------------------------------------------------------
 */

static uint8_t row[4096];
static struct job_tensor tensor;
static uint32_t values[8];

/* Runs a plan for one want over bytes. */
static enum status try(const char *schema, struct plan_want want, const void *bytes,
                       size_t size) {
    uint8_t *rows[1] = {row};
    struct plan_out out = {rows, &tensor, values};
    struct avro_schema *parsed = parse(schema);
    struct plan *plan;
    enum status status;
    want.place = "input 'x'";
    if (want.values_max == 0) {
        want.values_min = want.values_max = 1;
    }
    err.text[0] = 0;
    status = plan_create(avro_schema_root(parsed), NULL, &want, 1, &plan, &err);
    if (status == STATUS_OK) {
        status = plan_run(plan, span_of(bytes, size), &out, &err);
        plan_destroy(plan);
    }
    avro_schema_destroy(parsed);
    return status;
}

#define FIELD(type)                                                                      \
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":" type "}" \
    "]"                                                                                  \
    "}"

static void says(const char *words) {
    ck_assert_msg(strstr(err.text, words) != NULL, "'%s' does not say '%s'", err.text,
                  words);
}

START_TEST(errors_name_field_byte_and_reason) {
    struct plan_want want = {.path = "a", .dtype = DTYPE_I8};
    ck_assert_int_eq(try(FIELD("\"int\""), want, "\x90\x03", 2), STATUS_POISON);
    says("a at byte 2: does not fit int8, which input 'x' takes");
    ck_assert_int_eq(try(FIELD("[\"null\",\"int\"]"), want, "\0", 1), STATUS_POISON);
    says("a at byte 1: null or absent, and input 'x' gives no default for it");
    ck_assert_int_eq(try(FIELD("[\"null\",\"int\"]"), want, "\4", 1), STATUS_POISON);
    says("a at byte 0: union branch 2 of 2");
    ck_assert_int_eq(try(FIELD("\"int\""), want, "\2\2", 2), STATUS_POISON);
    says("message at byte 1: 1 bytes behind the record");
    ck_assert_int_eq(try(FIELD("\"boolean\""), want, "\2", 1), STATUS_POISON);
    says("a boolean is neither 0 nor 1");
    ck_assert_int_eq(try(FIELD("\"string\""), want, "\2x", 2), STATUS_INVALID);
    says("input 'x': a text for a tensor of int8: give a vocabulary or hash it");
    want.dtype = DTYPE_STRING;
    ck_assert_int_eq(try(FIELD("\"string\""), want, "\2\xff", 2), STATUS_POISON);
    says("a at byte 1: is not UTF-8");
}
END_TEST

START_TEST(lists_keep_to_their_places) {
    struct plan_want want = {
        .path = "a", .dtype = DTYPE_I32, .values_min = 2, .values_max = 3};
    const char *schema = FIELD("{\"type\":\"array\",\"items\":\"int\"}");
    const char *rows =
        FIELD("{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":"
              "\"int\"}}");
    ck_assert_int_eq(try(schema, want, "\4\2\4\0", 4), STATUS_OK);
    ck_assert_uint_eq(values[0], 2);
    ck_assert_int_eq(((int32_t *)(void *)row)[1], 2);
    ck_assert_int_eq(try(schema, want, "\2\2\0", 3), STATUS_POISON);
    says("1 values, but 2 are needed");
    ck_assert_int_eq(try(schema, want, "\4\2\2\4\2\2\0", 7), STATUS_POISON);
    says("more than 3 values");
    ck_assert_int_eq(try(rows, want, "\4\2\2\0\4\2\2\0\0", 9), STATUS_POISON);
    says("a list of 2 beside lists of 1");
    want.has_fallback = true;
    want.fallback = value_integer(9);
    ck_assert_int_eq(
        try(FIELD("[\"null\",{\"type\":\"array\",\"items\":\"int\"}]"), want, "\0", 1),
        STATUS_OK);
    ck_assert_uint_eq(values[0], 2);
    ck_assert_int_eq(((int32_t *)(void *)row)[1], 9);
}
END_TEST

START_TEST(a_few_bytes_cannot_cost_much) {
    struct plan_want want = {.path = "b", .dtype = DTYPE_I32};
    const char *schema =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\","
        "\"type\":{\"type\":\"array\",\"items\":\"null\"}},{\"name\":\"b\","
        "\"type\":\"int\"}]}";
    /* 65,536 nulls, twice: passed over at once; one more is refused. */
    ck_assert_int_eq(try(schema, want, "\x80\x80\x08\x80\x80\x08\0\2", 8), STATUS_OK);
    ck_assert_int_eq(try(schema, want, "\x82\x80\x08\0\2", 5), STATUS_POISON);
    want.path = "a";
    ck_assert_int_eq(try(FIELD("{\"type\":\"array\",\"items\":\"int\"}"), want,
                         "\x80\x80\x80\x80\x10", 5),
                     STATUS_POISON);
    says("bytes are left");
}
END_TEST

START_TEST(raw_bytes_are_the_elements) {
    struct plan_want want = {
        .path = "a", .dtype = DTYPE_F32, .values_min = 2, .values_max = 2};
    const float given[2] = {1.5f, -2.5f};
    uint8_t bytes[9] = {16};
    memcpy(bytes + 1, given, sizeof(given));
    ck_assert_int_eq(try(FIELD("\"bytes\""), want, bytes, 9), STATUS_OK);
    ck_assert_mem_eq(row, given, sizeof(given));
    bytes[0] = 14;
    ck_assert_int_eq(try(FIELD("\"bytes\""), want, bytes, 8), STATUS_POISON);
    says("7 bytes, but 1 elements of float32 are expected");
    want.whole = true;
    bytes[0] = 16;
    ck_assert_int_eq(try(FIELD("\"bytes\""), want, bytes, 9), STATUS_OK);
    ck_assert_int_eq(tensor.kind, JOB_DATA_BYTES);
    ck_assert_uint_eq(tensor.count, 8);
}
END_TEST

/* Types that stand in many places are cheap to write: 2^40 of them are refused. */
START_TEST(plans_are_limited) {
    char text[8192] = "[";
    struct avro_schema *schema;
    struct plan *plan;
    for (int i = 0; i < 40; i++) {
        char type[16] = "\"int\"";
        size_t at = strlen(text);
        if (i > 0) {
            (void)snprintf(type, sizeof(type), "\"R%d\"", i - 1);
        }
        (void)snprintf(text + at, sizeof(text) - at,
                       "%s{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":"
                       "\"x\",\"type\":%s},{\"name\":\"y\",\"type\":%s}]}",
                       i > 0 ? "," : "", i, type, type);
    }
    text[strlen(text) + 1] = 0;
    text[strlen(text)] = ']';
    schema = parse(text);
    ck_assert_int_eq(plan_create(avro_schema_root(schema), NULL, NULL, 0, &plan, &err),
                     STATUS_UNSUPPORTED);
    says("more than 65536 steps");
    avro_schema_destroy(schema);
}
END_TEST

START_TEST(several_wants_of_one_field_each_get_it) {
    struct avro_schema *schema = parse(FIELD("{\"type\":\"array\",\"items\":\"long\"}"));
    struct plan_want wants[3] = {
        {.place = "0", .path = "a", .dtype = DTYPE_F32, .values_min = 2, .values_max = 2},
        {.place = "1", .path = "a", .dtype = DTYPE_I64, .tensor = 1, .values_max = 4},
        {.place = "2", .path = "a", .dtype = DTYPE_F32, .offset = 2, .values_max = 2}};
    float floats[4] = {0};
    int64_t longs[4] = {0};
    uint8_t *rows[2] = {(uint8_t *)floats, (uint8_t *)longs};
    struct job_tensor tensors[2];
    struct plan_out out = {rows, tensors, values};
    struct plan *plan;
    ck_assert_int_eq(plan_create(avro_schema_root(schema), NULL, wants, 3, &plan, &err),
                     STATUS_OK);
    ck_assert_int_eq(plan_run(plan, span_of("\4\6\x08\0", 4), &out, &err), STATUS_OK);
    ck_assert(floats[0] == 3 && floats[1] == 4 && floats[2] == 3 && floats[3] == 4);
    ck_assert(longs[0] == 3 && longs[1] == 4);
    ck_assert_uint_eq(values[1], 2);
    plan_destroy(plan);
    avro_schema_destroy(schema);
}
END_TEST

START_TEST(a_path_that_leads_nowhere_is_told_the_names) {
    struct avro_schema *schema = parse(
        "{\"type\":\"record\",\"name\":\"Order\",\"fields\":[{\"name\":\"customer\","
        "\"type\":[\"null\",{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{"
        "\"name\":\"address\",\"type\":\"string\"},{\"name\":\"age\",\"type\":\"int\"}"
        "]}]},{\"name\":\"tags\",\"type\":{\"type\":\"map\",\"values\":\"int\"}}]}");
    const struct avro_node *root = avro_schema_root(schema);
    struct avro_path_end end;
    ck_assert_int_eq(avro_path_find(root, "customer.adress", &end, &err), STATUS_INVALID);
    ck_assert_str_eq(err.text,
                     "the record 'Customer' has no field 'adress' (did you mean "
                     "'address'?); it has: address, age");
    ck_assert_int_eq(avro_path_find(root, "customer", &end, &err), STATUS_INVALID);
    says("the path ends at the record 'Customer'; go on with one of: address, age");
    ck_assert_int_eq(avro_path_find(root, "customer.age.x", &end, &err), STATUS_INVALID);
    says("a int has no field 'x'");
    ck_assert_int_eq(avro_path_find(root, "tags", &end, &err), STATUS_INVALID);
    says("a map; go on with a key");
    ck_assert_int_eq(avro_path_find(root, "tags[\"a.b\"]", &end, &err), STATUS_OK);
    ck_assert_int_eq(end.type->kind, AVRO_KIND_INT);
    ck_assert_int_eq(avro_path_find(root, "tags[\"a", &end, &err), STATUS_INVALID);
    ck_assert_int_eq(avro_path_find(root, "customer..age", &end, &err), STATUS_INVALID);
    ck_assert_int_eq(avro_path_find(root, "customer.age", &end, &err), STATUS_OK);
    ck_assert(end.nullable);
    avro_schema_destroy(schema);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        every_value_is_the_one_that_fastavro_reads,
        what_does_not_resolve_is_refused,
        every_truncation_is_poison,
        a_broken_byte_does_no_harm,
        errors_name_field_byte_and_reason,
        lists_keep_to_their_places,
        a_few_bytes_cannot_cost_much,
        raw_bytes_are_the_elements,
        plans_are_limited,
        several_wants_of_one_field_each_get_it,
        a_path_that_leads_nowhere_is_told_the_names,
    };
    return suite_run("codec/plan", tests, ARRAY_COUNT(tests));
}
