/* test_avro_schema.c - which texts are schemas, what they say, and what is refused. */
#include "codec/avro_schema.h"

#include <jansson.h>

#include "base/compiler.h"
#include "tests/unit/suite.h"

#define GOLDENS "tests/data/codec/schemas.json"
#define GOLDENS_MIN 15 /* cases */

static struct error err;

static struct avro_schema *parse(const char *text) {
    struct avro_schema *schema;
    ck_assert_msg(avro_schema_parse(span_text(text), NULL, &schema, &err) == STATUS_OK,
                  "%s", err.text);
    return schema;
}

static void refuses(const char *text, enum status status, const char *words) {
    struct avro_schema *schema;
    ck_assert_int_eq(avro_schema_parse(span_text(text), NULL, &schema, &err), status);
    ck_assert_msg(strstr(err.text, words) != NULL, "'%s' does not say '%s'", err.text,
                  words);
}

START_TEST(canonical_form_and_fingerprint_are_those_of_others) {
    json_t *cases = json_load_file(GOLDENS, 0, NULL);
    size_t i;
    json_t *item;
    ck_assert_uint_ge(json_array_size(cases), GOLDENS_MIN);
    json_array_foreach(cases, i, item) {
        struct avro_schema *schema =
            parse(json_string_value(json_object_get(item, "schema")));
        const char *canonical = json_string_value(json_object_get(item, "canonical"));
        const char *crc = json_string_value(json_object_get(item, "fingerprint"));
        ck_assert_msg(span_is(avro_schema_canonical(schema), canonical), "%s", canonical);
        ck_assert_uint_eq(avro_schema_fingerprint(schema), strtoull(crc, NULL, 16));
        avro_schema_destroy(schema);
    }
    json_decref(cases);
}
END_TEST

START_TEST(names_take_the_namespace_around_them) {
    struct avro_schema *schema =
        parse("{\"type\":\"record\",\"name\":\"a.R\",\"fields\":["
              "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}},"
              "{\"name\":\"y\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"namespace\":"
              "\"b\",\"symbols\":[\"P\",\"Q\"],\"default\":\"Q\",\"aliases\":[\"Old\"]}},"
              "{\"name\":\"z\",\"type\":[\"null\",\"a.F\"],\"aliases\":[\"zz\"]}]}");
    const struct avro_node *root = avro_schema_root(schema);
    ck_assert_str_eq(root->name, "a.R");
    ck_assert_int_eq(root->count, 3);
    ck_assert_str_eq(root->fields[0].type->name, "a.F");
    ck_assert_uint_eq(root->fields[0].type->size, 3);
    ck_assert_str_eq(root->fields[1].type->name, "b.E");
    ck_assert_int_eq(root->fields[1].type->symbol_default, 1);
    ck_assert(avro_names_hold(root->fields[1].type->aliases, "b.Old"));
    ck_assert_ptr_eq(root->fields[2].type->branches[1], root->fields[0].type);
    ck_assert(avro_names_hold(root->fields[2].aliases, "zz"));
    ck_assert_ptr_eq(avro_schema_named(schema, "b.E"), root->fields[1].type);
    ck_assert_uint_eq(root->size_min, 3 + 1 + 1);
    avro_schema_destroy(schema);
}
END_TEST

START_TEST(logical_types_are_known_where_they_fit) {
    struct avro_schema *schema = parse(
        "[{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":2},"
        "{\"type\":\"int\",\"logicalType\":\"date\"},"
        "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},"
        "{\"type\":\"string\",\"logicalType\":\"date\"},"
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\","
        "\"precision\":1,\"scale\":2}]");
    const struct avro_node *root = avro_schema_root(schema);
    ck_assert_int_eq(root->branches[0]->logical, AVRO_LOGICAL_DECIMAL);
    ck_assert_int_eq(root->branches[0]->precision, 4);
    ck_assert_int_eq(root->branches[0]->scale, 2);
    ck_assert_int_eq(root->branches[1]->logical, AVRO_LOGICAL_DATE);
    ck_assert_int_eq(root->branches[2]->logical, AVRO_LOGICAL_TIMESTAMP_MICROS);
    ck_assert_int_eq(root->branches[3]->logical, AVRO_LOGICAL_NONE);
    ck_assert_int_eq(root->branches[4]->logical, AVRO_LOGICAL_NONE);
    avro_schema_destroy(schema);
}
END_TEST

static const struct avro_node *find_in(void *opaque, const char *name) {
    return avro_schema_named(opaque, name);
}

START_TEST(types_of_another_schema_are_found_by_name) {
    struct avro_schema *other =
        parse("{\"type\":\"record\",\"name\":\"a.Inner\",\"fields\":[]}");
    struct avro_resolver resolver = {find_in, other};
    struct avro_schema *schema;
    const char *text = "{\"type\":\"record\",\"name\":\"a.Outer\",\"fields\":["
                       "{\"name\":\"x\",\"type\":\"Inner\"}]}";
    ck_assert_int_eq(avro_schema_parse(span_text(text), &resolver, &schema, &err),
                     STATUS_OK);
    ck_assert_ptr_eq(avro_schema_root(schema)->fields[0].type, avro_schema_root(other));
    ck_assert(span_is(avro_schema_canonical(schema),
                      "{\"name\":\"a.Outer\",\"type\":\"record\",\"fields\":[{\"name\":"
                      "\"x\",\"type\":{\"name\":\"a.Inner\",\"type\":\"record\","
                      "\"fields\":[]}}]}"));
    avro_schema_destroy(schema);
    avro_schema_destroy(other);
    refuses(text, STATUS_INVALID, "field 'x': unknown type 'a.Inner'");
}
END_TEST

START_TEST(a_type_that_contains_itself_is_refused) {
    refuses("{\"type\":\"record\",\"name\":\"Node\",\"fields\":[{\"name\":\"next\","
            "\"type\":[\"null\",\"Node\"]}]}",
            STATUS_UNSUPPORTED, "field 'next': the record 'Node' contains itself");
}
END_TEST

START_TEST(errors_name_the_place) {
    refuses("", STATUS_INVALID, "line 1");
    refuses("{\"type\":\n \"int\",}", STATUS_INVALID, "line 2");
    refuses("7", STATUS_INVALID, "a type is a name, an object or a list");
    refuses("\"strin\"", STATUS_INVALID, "unknown type 'strin'");
    refuses("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":"
            "{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"b\",\"type\":"
            "\"what\"}]}}]}",
            STATUS_INVALID, "field 'a.b': unknown type 'what'");
    refuses("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":"
            "\"int\"},{\"name\":\"a\",\"type\":\"int\"}]}",
            STATUS_INVALID, "'a' stands there twice");
    refuses("{\"type\":\"record\",\"name\":\"1R\",\"fields\":[]}", STATUS_INVALID,
            "'1R' is no Avro name");
    refuses("[\"int\",\"int\"]", STATUS_INVALID, "the union holds int twice");
    refuses("[\"int\",[\"null\"]]", STATUS_INVALID, "a union directly in a union");
    refuses("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}", STATUS_INVALID,
            "the enum 'E' has 1 to 4096 symbols, not 0");
    refuses("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}",
            STATUS_INVALID, "the default 'B' is no symbol");
    refuses("{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}", STATUS_INVALID,
            "the fixed 'F' needs a size");
    refuses("[{\"type\":\"fixed\",\"name\":\"F\",\"size\":1},"
            "{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}]",
            STATUS_INVALID, "'F' is defined twice");
}
END_TEST

/* `count` times `open`, then `inner`, then as often `close`. */
static char *nested(int count, const char *open, const char *inner, const char *close) {
    size_t each = strlen(open) + strlen(close);
    char *text = malloc(each * (size_t)count + strlen(inner) + 1);
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        memcpy(text + at, open, strlen(open));
        at += strlen(open);
    }
    memcpy(text + at, inner, strlen(inner));
    at += strlen(inner);
    for (int i = 0; i < count; i++) {
        memcpy(text + at, close, strlen(close));
        at += strlen(close);
    }
    text[at] = 0;
    return text;
}

START_TEST(depth_is_limited_in_the_text_and_through_names) {
    char *deep =
        nested(AVRO_DEPTH_MAX - 1, "{\"type\":\"array\",\"items\":", "\"int\"", "}");
    char text[64 * 128] = "[";
    avro_schema_destroy(parse(deep));
    free(deep);
    deep = nested(AVRO_DEPTH_MAX, "{\"type\":\"array\",\"items\":", "\"int\"", "}");
    refuses(deep, STATUS_UNSUPPORTED, "more than 64 deep");
    free(deep);
    deep = nested(100000, "[", "", "]");
    refuses(deep, STATUS_INVALID, "");
    free(deep);
    for (int i = 0; i <= AVRO_DEPTH_MAX; i++) {
        char type[8] = "int";
        size_t at = strlen(text);
        if (i > 0) {
            (void)snprintf(type, sizeof(type), "R%d", i - 1);
        }
        (void)snprintf(text + at, sizeof(text) - at,
                       "%s{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":"
                       "\"x\",\"type\":\"%s\"}]}",
                       i > 0 ? "," : "", i, type);
    }
    text[strlen(text) + 1] = 0;
    text[strlen(text)] = ']';
    refuses(text, STATUS_UNSUPPORTED, "more than 64 deep");
}
END_TEST

START_TEST(sizes_are_limited) {
    char *text = malloc(AVRO_TEXT_SIZE_MAX + 2);
    size_t at = 1;
    memset(text, ' ', AVRO_TEXT_SIZE_MAX + 1);
    text[AVRO_TEXT_SIZE_MAX + 1] = 0;
    refuses(text, STATUS_UNSUPPORTED, "over the limit of 1048576");
    at = (size_t)snprintf(text, AVRO_TEXT_SIZE_MAX,
                          "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
    for (int i = 0; i <= AVRO_FIELDS_MAX; i++) {
        at += (size_t)snprintf(text + at, AVRO_TEXT_SIZE_MAX - at,
                               "%s{\"name\":\"f%d\",\"type\":\"int\"}", i > 0 ? "," : "",
                               i);
    }
    (void)snprintf(text + at, AVRO_TEXT_SIZE_MAX - at, "]}");
    refuses(text, STATUS_UNSUPPORTED, "4097 fields, over the limit of 4096");
    free(text);
    refuses("{\"type\":\"fixed\",\"name\":\"F\",\"size\":16777217}", STATUS_INVALID,
            "0 to 16777216 bytes");
}
END_TEST

/* Nothing is read past the end, and nothing is left behind. */
START_TEST(every_truncation_of_a_schema_is_refused) {
    const char *text = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\","
                       "\"type\":[\"null\",{\"type\":\"map\",\"values\":\"int\"}]}]}";
    for (size_t size = 0; size < strlen(text); size++) {
        char *part = malloc(size + 1);
        struct avro_schema *schema;
        memcpy(part, text, size);
        ck_assert_int_eq(avro_schema_parse(span_of(part, size), NULL, &schema, &err),
                         STATUS_INVALID);
        free(part);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        canonical_form_and_fingerprint_are_those_of_others,
        names_take_the_namespace_around_them,
        logical_types_are_known_where_they_fit,
        types_of_another_schema_are_found_by_name,
        a_type_that_contains_itself_is_refused,
        errors_name_the_place,
        depth_is_limited_in_the_text_and_through_names,
        sizes_are_limited,
        every_truncation_of_a_schema_is_refused,
    };
    return suite_run("codec/avro_schema", tests, ARRAY_COUNT(tests));
}
