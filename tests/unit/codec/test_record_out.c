/* test_record_out.c - records that come out: the bytes that came in, and the new fields.
 */
#include "codec/record_out.h"

#include "codec/plan.h"
#include "tests/unit/codec/fixture.h"
#include "tests/unit/suite.h"

static struct error err;

static const char writer_text[] =
    "{\"type\":\"record\",\"name\":\"a.b.In\",\"doc\":\"kept\",\"fields\":[{\"name\":"
    "\"id\","
    "\"type\":\"string\"},{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"F\","
    "\"size\":2}},{\"name\":\"g\",\"type\":\"F\"}]}";

static struct avro_schema *writer;

static void set_up(void) {
    ck_assert_int_eq(avro_schema_parse(span_text(writer_text), NULL, &writer, &err),
                     STATUS_OK);
}

static void tear_down(void) {
    avro_schema_destroy(writer);
}

static const struct record_output outputs[] = {
    {"probabilities", DTYPE_F32, 1, {3}},
    {"label", DTYPE_I64, 0, {0}},
    {"words", DTYPE_STRING, 1, {-1}},
    {"huge", DTYPE_U64, 1, {1}},
};

static enum status open_out(const struct record_field *fields, int count,
                            const char *name, bool alone, struct record_out **out) {
    const struct record_out_opts opts = {.writer = alone ? NULL : writer,
                                         .name = name,
                                         .fields = fields,
                                         .field_count = count,
                                         .outputs = outputs,
                                         .output_count = ARRAY_COUNT(outputs)};
    return record_out_create(&opts, out, &err);
}

static float scores[3] = {0.25f, 0.5f, 0.125f};
static int64_t index_of_label = 2;
static struct span words[2];

static void set_rows(struct result_output rows[3]) {
    words[0] = span_text("w0");
    words[1] = span_text("w1");
    rows[0] = (struct result_output){
        .row = {.dtype = DTYPE_F32, .rank = 1, .dims = {3}, .data = scores}};
    rows[1] =
        (struct result_output){.row = {.dtype = DTYPE_I64, .data = &index_of_label}};
    rows[2] = (struct result_output){
        .row = {.dtype = DTYPE_STRING, .rank = 1, .dims = {2}, .data = words}};
}

static struct vocabulary *labels(void) {
    const struct span names[] = {span_text("no"), span_text("yes"), span_text("maybe")};
    struct vocabulary *vocabulary;
    ck_assert_int_eq(vocabulary_create(names, 3, -1, true, &vocabulary, &err), STATUS_OK);
    return vocabulary;
}

/* A value of the record by its path, as a text or a number. */
static struct span value_at(const struct avro_schema *schema, const char *path,
                            enum dtype dtype, size_t count, struct span record) {
    static double room[8];
    uint8_t *rows[1] = {(uint8_t *)room};
    struct job_tensor tensor;
    uint32_t values[1];
    struct plan_out out = {rows, &tensor, values};
    struct plan_want want = {.place = "p",
                             .path = path,
                             .dtype = dtype,
                             .values_min = count,
                             .values_max = count};
    struct plan *plan;
    ck_assert_msg(plan_create(avro_schema_root(schema), NULL, &want, 1, &plan, &err) ==
                      STATUS_OK,
                  "%s", err.text);
    ck_assert_msg(plan_run(plan, record, &out, &err) == STATUS_OK, "%s", err.text);
    plan_destroy(plan);
    return span_of(room, sizeof(room));
}

static struct span text_at(const struct avro_schema *schema, const char *path,
                           size_t index, size_t count, struct span record) {
    struct span room = value_at(schema, path, DTYPE_STRING, count, record);
    return ((const struct span *)(const void *)room.data)[index];
}

static double number_at(const struct avro_schema *schema, const char *path, size_t index,
                        size_t count, struct span record) {
    struct span room = value_at(schema, path, DTYPE_F64, count, record);
    return ((const double *)(const void *)room.data)[index];
}

static const uint8_t record_bytes[] = {4, 'i', 'd', 1, 2, 3, 4};

START_TEST(new_fields_stand_behind_the_record_that_came) {
    struct vocabulary *vocabulary = labels();
    const struct record_field fields[] = {
        {.name = "all", .output = "probabilities"},
        {.name = "choice",
         .output = "probabilities",
         .form = RECORD_LABEL,
         .labels = vocabulary},
        {.name = "index", .output = "probabilities", .form = RECORD_LABEL},
        {.name = "score", .output = "probabilities", .form = RECORD_SCORE},
        {.name = "third",
         .output = "probabilities",
         .form = RECORD_ELEMENT,
         .element = 2},
        {.name = "best",
         .output = "probabilities",
         .form = RECORD_TOP,
         .top = 2,
         .labels = vocabulary},
        {.name = "said", .output = "label", .form = RECORD_LABEL, .labels = vocabulary},
        {.name = "number", .output = "label"},
        {.name = "words", .output = "words"},
    };
    struct result_output rows[3];
    struct record_out *out;
    const struct avro_schema *schema;
    struct span record = span_of(record_bytes, sizeof(record_bytes)), made;
    uint8_t *to, *end;
    size_t size;
    set_rows(rows);
    ck_assert_msg(open_out(fields, ARRAY_COUNT(fields), NULL, false, &out) == STATUS_OK,
                  "%s", err.text);
    size = record_out_size_max(out, record, rows);
    to = malloc(size);
    ck_assert_int_eq(record_out_encode(out, record, rows, to, &end, &err), STATUS_OK);
    made = span_of(to, (size_t)(end - to));
    ck_assert_uint_le(made.size, size);
    ck_assert_mem_eq(to, record_bytes, sizeof(record_bytes));
    schema = record_out_schema(out);
    ck_assert_str_eq(avro_schema_root(schema)->name, "a.b.In");
    ck_assert(span_is(text_at(schema, "id", 0, 1, made), "id"));
    ck_assert(number_at(schema, "all", 1, 3, made) == 0.5);
    ck_assert(span_is(text_at(schema, "choice", 0, 1, made), "yes"));
    ck_assert(number_at(schema, "index", 0, 1, made) == 1);
    ck_assert(number_at(schema, "score", 0, 1, made) == 0.5);
    ck_assert(number_at(schema, "third", 0, 1, made) == 0.125);
    ck_assert(span_is(text_at(schema, "best.label", 0, 2, made), "yes"));
    ck_assert(span_is(text_at(schema, "best.label", 1, 2, made), "no"));
    ck_assert(number_at(schema, "best.score", 1, 2, made) == 0.25);
    ck_assert(span_is(text_at(schema, "said", 0, 1, made), "maybe"));
    ck_assert(number_at(schema, "number", 0, 1, made) == 2);
    ck_assert(span_is(text_at(schema, "words", 1, 2, made), "w1"));
    free(to);
    record_out_destroy(out);
    vocabulary_destroy(vocabulary);
}
END_TEST

START_TEST(the_new_fields_may_stand_alone) {
    const struct record_field field = {
        .name = "score", .output = "probabilities", .form = RECORD_SCORE};
    struct result_output rows[3];
    struct record_out *out;
    uint8_t to[64], *end;
    set_rows(rows);
    ck_assert_int_eq(open_out(&field, 1, "Scored", true, &out), STATUS_OK);
    ck_assert(
        span_is(record_out_json(out),
                "{\"type\":\"record\",\"name\":\"Scored\",\"namespace\":\"millrace\","
                "\"fields\":[{\"name\":\"score\",\"type\":\"float\"}]}"));
    ck_assert_int_eq(
        record_out_encode(out, span_of(record_bytes, 3), rows, to, &end, &err),
        STATUS_OK);
    ck_assert_ptr_eq(end, to + sizeof(float));
    record_out_destroy(out);
}
END_TEST

/* "F" is a.b.F, whatever the record's name becomes. */
START_TEST(a_renamed_record_keeps_its_types) {
    const struct record_field field = {
        .name = "score", .output = "probabilities", .form = RECORD_SCORE};
    struct record_out *out;
    ck_assert_msg(open_out(&field, 1, "Out", false, &out) == STATUS_OK, "%s", err.text);
    ck_assert_str_eq(avro_schema_root(record_out_schema(out))->name, "a.b.Out");
    ck_assert_ptr_nonnull(avro_schema_named(record_out_schema(out), "a.b.F"));
    record_out_destroy(out);
}
END_TEST

static void refuses(struct record_field field, enum status status,
                    const char *words_said) {
    struct record_out *out;
    ck_assert_int_eq(open_out(&field, 1, NULL, false, &out), status);
    ck_assert_msg(strstr(err.text, words_said) != NULL, "'%s' does not say '%s'",
                  err.text, words_said);
}

START_TEST(mistakes_are_found_with_their_place) {
    refuses((struct record_field){.place = "w.conf:7",
                                  .name = "id",
                                  .output = "probabilities"},
            STATUS_INVALID,
            "output field 1 (w.conf:7): the input's record has a field 'id' already");
    refuses((struct record_field){.name = "x", .output = "probabilites"}, STATUS_INVALID,
            "the model has no output 'probabilites', but 'probabilities' and others");
    refuses((struct record_field){.name = "x-y", .output = "label"}, STATUS_INVALID,
            "'x-y' is no name for a field");
    refuses((struct record_field){.name = "x", .output = "huge"}, STATUS_UNSUPPORTED,
            "Avro has no type for uint64");
    refuses((struct record_field){.name = "x", .output = "words", .form = RECORD_SCORE},
            STATUS_INVALID, "'words' is of strings, which have no score");
    refuses(
        (struct record_field){.name = "x", .output = "probabilities", .form = RECORD_TOP},
        STATUS_INVALID, "top is 1 to 64, not 0");
}
END_TEST

START_TEST(an_index_without_a_label_is_poison) {
    struct vocabulary *vocabulary = labels();
    const struct record_field field = {
        .name = "said", .output = "label", .form = RECORD_LABEL, .labels = vocabulary};
    struct result_output rows[3];
    struct record_out *out;
    uint8_t to[64], *end;
    set_rows(rows);
    index_of_label = 3;
    ck_assert_int_eq(open_out(&field, 1, NULL, false, &out), STATUS_OK);
    ck_assert_int_eq(
        record_out_encode(out, span_of(record_bytes, 3), rows, to, &end, &err),
        STATUS_POISON);
    ck_assert_str_eq(err.text, "output field 'said': index 3, but labels are 3");
    record_out_destroy(out);
    vocabulary_destroy(vocabulary);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        new_fields_stand_behind_the_record_that_came,
        the_new_fields_may_stand_alone,
        a_renamed_record_keeps_its_types,
        mistakes_are_found_with_their_place,
        an_index_without_a_label_is_poison,
    };
    return suite_run_with("codec/record_out", tests, ARRAY_COUNT(tests), set_up,
                          tear_down);
}
