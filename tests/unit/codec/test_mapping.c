/* test_mapping.c - what a model's inputs are made of, and what is said of mistakes. */
#include "codec/mapping.h"

#include <math.h>

#include "codec/framing.h"
#include "codec/murmur.h"
#include "tests/unit/codec/fixture.h"
#include "tests/unit/suite.h"

static struct error err;
static struct message m;
static struct job job;

static const char order_schema[] =
    "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"shop\",\"fields\":["
    "{\"name\":\"amount\",\"type\":\"double\"},"
    "{\"name\":\"items\",\"type\":\"int\"},"
    "{\"name\":\"country\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"customer\",\"type\":{\"type\":\"record\",\"name\":\"Customer\","
    "\"fields\":["
    "{\"name\":\"address\",\"type\":{\"type\":\"record\",\"name\":\"Address\",\"fields\":"
    "["
    "{\"name\":\"zip\",\"type\":\"string\"}]}},"
    "{\"name\":\"since\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}}]}},"
    "{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"attrs\",\"type\":{\"type\":\"map\",\"values\":\"float\"}},"
    "{\"name\":\"embedding\",\"type\":{\"type\":\"array\",\"items\":\"float\"}}]}";

static struct avro_schema *schema;

static void set_up(void) {
    ck_assert_int_eq(avro_schema_parse(span_text(order_schema), NULL, &schema, &err),
                     STATUS_OK);
}

static void tear_down(void) {
    avro_schema_destroy(schema);
}

static void put_double(double value) {
    put_bytes(&m, &value, sizeof(value));
}

static void put_float(float value) {
    put_bytes(&m, &value, sizeof(value));
}

/* 2023-11-14 22:13:20 UTC, a Tuesday; `embedding` has `count` numbers. */
static void put_order(const char *country, int count) {
    m.size = 0;
    put_double(99.5);
    put_long(&m, 3);
    put_long(&m, country != NULL);
    if (country != NULL) {
        put_text(&m, country);
    }
    put_text(&m, "8000");
    put_long(&m, 19000);
    put_long(&m, 1700000000000);
    put_long(&m, 2);
    put_text(&m, "weight");
    put_float(2.5f);
    put_text(&m, "other");
    put_float(7.0f);
    put_long(&m, 0);
    if (count > 0) {
        put_long(&m, count);
    }
    for (int i = 0; i < count; i++) {
        put_float((float)i);
    }
    put_long(&m, 0);
}

static struct mapping *mapping;
static struct mapping_rows *rows;

static enum status open_mapping(const struct mapping_input *inputs, int count) {
    enum status status =
        mapping_create(avro_schema_root(schema), NULL, inputs, count, &mapping, &err);
    rows = status == STATUS_OK ? mapping_rows_create(mapping) : NULL;
    return status;
}

static void close_mapping(void) {
    mapping_rows_destroy(rows);
    mapping_destroy(mapping);
}

static enum status parse(void) {
    uint8_t *exact = malloc(m.size);
    enum status status;
    memcpy(exact, m.bytes, m.size);
    status = mapping_parse(mapping, rows, span_of(exact, m.size), &job, &err);
    memcpy(m.bytes, exact, m.size); /* the job's spans are not looked at, but copied: */
    free(exact);
    return status;
}

/* As parse, but the job borrows from `m`. */
static void parsed(void) {
    ck_assert_msg(mapping_parse(mapping, rows, span_of(m.bytes, m.size), &job, &err) ==
                      STATUS_OK,
                  "%s", err.text);
}

static void says(const char *words) {
    ck_assert_msg(strstr(err.text, words) != NULL, "'%s' does not say '%s'", err.text,
                  words);
}

static struct vocabulary *countries(bool refuse_unknown) {
    const struct span words[] = {span_text("CH"), span_text("DE"), span_text("FR")};
    struct vocabulary *vocabulary;
    ck_assert_int_eq(vocabulary_create(words, 3, -1, refuse_unknown, &vocabulary, &err),
                     STATUS_OK);
    return vocabulary;
}

START_TEST(fields_are_stacked_into_a_row) {
    struct vocabulary *vocabulary = countries(false);
    const struct change log1p_change = {.kind = CHANGE_LOG1P};
    const struct change scale = {.kind = CHANGE_SCALE, .a = 0.5, .b = -1};
    const struct change clip = {.kind = CHANGE_CLIP, .a = 0, .b = 2};
    const struct change one_hot[] = {
        {.kind = CHANGE_VOCABULARY, .vocabulary = vocabulary},
        {.kind = CHANGE_ONE_HOT, .count = 3}};
    const struct change hour = {.kind = CHANGE_HOUR};
    const struct change weekday = {.kind = CHANGE_WEEKDAY};
    const struct change hash = {.kind = CHANGE_HASH, .count = 1000};
    const struct mapping_source sources[] = {
        {.path = "amount", .changes = &log1p_change, .change_count = 1},
        {.path = "items", .changes = &scale, .change_count = 1},
        {.path = "items", .changes = &clip, .change_count = 1},
        {.path = "country",
         .changes = one_hot,
         .change_count = 2,
         .has_value = true,
         .value = value_text(span_text("FR"))},
        {.has_value = true, .value = value_real(42.5)},
        {.path = "at", .changes = &hour, .change_count = 1},
        {.path = "at", .changes = &weekday, .change_count = 1},
        {.path = "customer.since", .changes = &weekday, .change_count = 1},
        {.path = "customer.address.zip", .changes = &hash, .change_count = 1},
        {.path = "attrs.weight"},
        {.path = "attrs.none", .has_value = true, .value = value_real(-1)},
        {.path = "embedding"},
    };
    const struct mapping_input input = {.name = "x",
                                        .dtype = DTYPE_F32,
                                        .rank = 1,
                                        .dims = {16},
                                        .sources = sources,
                                        .source_count = ARRAY_COUNT(sources)};
    float x[16];
    ck_assert_msg(open_mapping(&input, 1) == STATUS_OK, "%s", err.text);
    put_order("DE", 3);
    parsed();
    ck_assert_int_eq(job.input_count, 1);
    ck_assert(span_is(job.inputs[0].name, "x"));
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_F32, 16, x, &err), STATUS_OK);
    ck_assert(x[0] == (float)log1p(99.5));
    ck_assert(x[1] == 0.5f && x[2] == 2.0f);
    ck_assert(x[3] == 0 && x[4] == 1 && x[5] == 0);
    ck_assert(x[6] == 42.5f);
    ck_assert(x[7] == 22 && x[8] == 1);
    ck_assert(x[9] == (float)((19000 + 3) % 7));
    ck_assert(x[10] == (float)(murmur32(span_text("8000"), 0) % 1000));
    ck_assert(x[11] == 2.5f && x[12] == -1);
    ck_assert(x[13] == 0 && x[14] == 1 && x[15] == 2);
    put_order(NULL, 3); /* null is FR; an unknown country is no country */
    parsed();
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_F32, 16, x, &err), STATUS_OK);
    ck_assert(x[3] == 0 && x[4] == 0 && x[5] == 1);
    put_order("??", 3);
    parsed();
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_F32, 16, x, &err), STATUS_OK);
    ck_assert(x[3] == 0 && x[4] == 0 && x[5] == 0);
    put_order("DE", 4);
    ck_assert_int_eq(parse(), STATUS_POISON);
    says("more than 3 values");
    put_order("DE", 2);
    ck_assert_int_eq(parse(), STATUS_POISON);
    says("input 'x', source 12: 2 values, but 3 are needed");
    close_mapping();
    vocabulary_destroy(vocabulary);
}
END_TEST

START_TEST(a_list_alone_is_noted_and_may_have_any_length) {
    const struct mapping_source source = {.path = "embedding"};
    struct mapping_input input = {.name = "x",
                                  .dtype = DTYPE_F32,
                                  .rank = 2,
                                  .dims = {-1, 2},
                                  .sources = &source,
                                  .source_count = 1};
    int64_t dims[TENSOR_RANK_MAX];
    int count;
    float x[6];
    ck_assert_int_eq(open_mapping(&input, 1), STATUS_OK);
    put_order("CH", 6);
    parsed();
    ck_assert_int_eq(job.inputs[0].kind, JOB_DATA_FLOATS);
    ck_assert_int_eq(job_shape_check(&job.inputs[0], input.dims, 2, dims, &count, &err),
                     STATUS_OK);
    ck_assert_int_eq(dims[0], 3);
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_F32, 6, x, &err), STATUS_OK);
    ck_assert(x[5] == 5);
    put_order("CH", 5);
    ck_assert_int_eq(parse(), STATUS_POISON);
    says("input 'x': 5 elements do not fill rows of 2");
    close_mapping();
}
END_TEST

START_TEST(texts_go_to_string_tensors) {
    const struct mapping_source sources[] = {
        {.path = "country", .has_value = true, .value = value_text(span_text("none"))},
        {.path = "customer.address.zip"}};
    const struct mapping_input input = {.name = "x",
                                        .dtype = DTYPE_STRING,
                                        .rank = 1,
                                        .dims = {2},
                                        .sources = sources,
                                        .source_count = 2};
    struct span x[2];
    ck_assert_int_eq(open_mapping(&input, 1), STATUS_OK);
    put_order(NULL, 0);
    parsed();
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_STRING, 2, x, &err), STATUS_OK);
    ck_assert(span_is(x[0], "none"));
    ck_assert(span_is(x[1], "8000"));
    close_mapping();
}
END_TEST

static enum status open_own(const char *deadline, const char *priority) {
    const struct mapping_source sources[] = {
        {.path = "items"},
        {.path = deadline, .has_value = true, .value = value_integer(MAPPING_NONE)},
        {.path = priority, .has_value = true, .value = value_integer(0)}};
    struct mapping_input inputs[] = {
        {.name = "x", .dtype = DTYPE_F32},
        {.name = "deadline", .dtype = DTYPE_I64, .use = MAPPING_DEADLINE},
        {.name = "priority", .dtype = DTYPE_I64, .use = MAPPING_PRIORITY}};
    for (int i = 0; i < 3; i++) {
        inputs[i].sources = &sources[i];
        inputs[i].source_count = 1;
    }
    return open_mapping(inputs, 3);
}

START_TEST(deadline_and_priority_are_the_jobs_and_not_the_models) {
    ck_assert_msg(open_own("at", "items") == STATUS_OK, "%s", err.text);
    put_order("CH", 0);
    parsed();
    ck_assert_int_eq(job.input_count, 1);
    ck_assert(job.has_deadline);
    ck_assert_int_eq(job.deadline_ms, 1700000000000);
    ck_assert_int_eq(job.priority, 3);
    close_mapping();
}
END_TEST

START_TEST(a_null_is_no_deadline_and_no_priority) {
    static const char text[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
                               "{\"name\":\"items\",\"type\":\"int\"},"
                               "{\"name\":\"by\",\"type\":[\"null\",\"long\"]},"
                               "{\"name\":\"first\",\"type\":[\"null\",\"int\"]}]}";
    struct avro_schema *order = schema;
    ck_assert_int_eq(avro_schema_parse(span_text(text), NULL, &schema, &err), STATUS_OK);
    ck_assert_msg(open_own("by", "first") == STATUS_OK, "%s", err.text);
    m.size = 0;
    put_bytes(&m, "\2\2\4\2\6", 5);
    parsed();
    ck_assert(job.has_deadline);
    ck_assert_int_eq(job.deadline_ms, 2);
    ck_assert_int_eq(job.priority, 3);
    m.size = 0;
    put_bytes(&m, "\2\0\0", 3);
    parsed();
    ck_assert(!job.has_deadline);
    ck_assert_int_eq(job.priority, 0);
    close_mapping();
    avro_schema_destroy(schema);
    schema = order;
}
END_TEST

START_TEST(what_is_no_deadline_or_priority_is_refused) {
    static const struct {
        const char *deadline, *priority, *words;
    } wrong[] = {
        {"att", "items",
         "input 'deadline', source 1: field 'att': the record "
         "'shop.Order' has no field 'att' (did you mean 'at'?)"},
        {"amount", "items",
         "field 'amount': must be a timestamp-millis, or a long of "
         "milliseconds since 1970, not double"},
        {"customer.since", "items", "not int of another logical type"},
        {"country", "items", "not string"},
        {"at", "embedding",
         "field 'embedding': must be an int or a long, not a list of "
         "float"},
        {"at", "at", "not long of another logical type"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        ck_assert_int_eq(open_own(wrong[i].deadline, wrong[i].priority), STATUS_INVALID);
        says(wrong[i].words);
    }
}
END_TEST

/* One source of an input of `elements` float32. */
static enum status try_source(struct mapping_source source, int64_t elements) {
    const struct mapping_input input = {.name = "x",
                                        .dtype = DTYPE_F32,
                                        .rank = 1,
                                        .dims = {elements},
                                        .sources = &source,
                                        .source_count = 1};
    enum status status = open_mapping(&input, 1);
    if (status == STATUS_OK) {
        close_mapping();
    }
    return status;
}

START_TEST(mistakes_are_found_with_their_place) {
    const struct change hour = {.kind = CHANGE_HOUR};
    const struct change scale = {.kind = CHANGE_SCALE};
    struct mapping_source source = {.place = "worker.conf:31",
                                    .path = "customer.adress.zip"};
    ck_assert_int_eq(try_source(source, 1), STATUS_INVALID);
    says("input 'x', source 1 (worker.conf:31): field 'customer.adress.zip': the record "
         "'shop.Customer' has no field 'adress' (did you mean 'address'?); it has: "
         "address, "
         "since");
    source.path = "country";
    ck_assert_int_eq(try_source(source, 1), STATUS_INVALID);
    says("field 'country': a text for a tensor of float32: give a vocabulary or hash it");
    source.path = "amount";
    ck_assert_int_eq(try_source(source, 3), STATUS_INVALID);
    says("input 'x': its sources give 1 elements, but the model takes 3, [3] a row");
    source.changes = &hour;
    source.change_count = 1;
    ck_assert_int_eq(try_source(source, 1), STATUS_INVALID);
    says("hour needs a date, time or timestamp");
    source.path = "customer.since";
    ck_assert_int_eq(try_source(source, 1), STATUS_INVALID);
    says("a date has no hour");
    source.path = "customer.address.zip";
    source.changes = &scale;
    ck_assert_int_eq(try_source(source, 1), STATUS_INVALID);
    says("scale needs a number");
    source = (struct mapping_source){
        .path = "amount", .has_value = true, .value = value_text(span_text("none"))};
    ck_assert_int_eq(try_source(source, 1), STATUS_INVALID);
    says("the default");
    ck_assert_int_eq(try_source((struct mapping_source){0}, 1), STATUS_INVALID);
    says("neither a field nor a value");
}
END_TEST

START_TEST(an_unknown_word_is_refused_where_asked) {
    struct vocabulary *vocabulary = countries(true);
    const struct change change = {.kind = CHANGE_VOCABULARY, .vocabulary = vocabulary};
    const struct mapping_source source = {
        .path = "country", .changes = &change, .change_count = 1};
    const struct mapping_input input = {
        .name = "x", .dtype = DTYPE_I64, .sources = &source, .source_count = 1};
    int64_t x;
    ck_assert_int_eq(open_mapping(&input, 1), STATUS_OK);
    put_order("FR", 0);
    parsed();
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_I64, 1, &x, &err), STATUS_OK);
    ck_assert_int_eq(x, 2);
    put_order("IT", 0);
    ck_assert_int_eq(parse(), STATUS_POISON);
    says("country at byte 13: is not in the vocabulary");
    close_mapping();
    vocabulary_destroy(vocabulary);
}
END_TEST

START_TEST(hashes_are_those_of_scikit_learn) {
    ck_assert_uint_eq(murmur32(span_text(""), 0), 0);
    ck_assert_uint_eq(murmur32(span_text("a"), 0), 1009084850);
    ck_assert_uint_eq(murmur32(span_text("abc"), 0), 3017643002);
    ck_assert_uint_eq(murmur32(span_text("hello"), 7), 3592436587);
    ck_assert_uint_eq(murmur32(span_text("hello, world"), 0), 345750399);
}
END_TEST

START_TEST(every_truncation_of_a_mapped_record_is_poison) {
    const struct mapping_source source = {.path = "attrs.weight"};
    const struct mapping_input input = {
        .name = "x", .dtype = DTYPE_F32, .sources = &source, .source_count = 1};
    size_t whole;
    ck_assert_int_eq(open_mapping(&input, 1), STATUS_OK);
    put_order("CH", 4);
    whole = m.size;
    ck_assert_int_eq(parse(), STATUS_OK);
    for (m.size = 0; m.size < whole; m.size++) {
        ck_assert_int_eq(parse(), STATUS_POISON);
    }
    close_mapping();
}
END_TEST

START_TEST(framings_are_told_by_their_first_bytes) {
    static const uint8_t confluent[] = {0, 0, 0, 1, 2, 9, 9};
    static const uint8_t single[] = {0xc3, 1, 8, 7, 6, 5, 4, 3, 2, 1, 9};
    struct framing framing;
    uint8_t to[FRAMING_SIZE_MAX];
    ck_assert_int_eq(framing_read(span_of(confluent, 7), FRAMING_ANY, &framing, &err),
                     STATUS_OK);
    ck_assert_int_eq(framing.kind, FRAMING_CONFLUENT);
    ck_assert_uint_eq(framing.id, 258);
    ck_assert_uint_eq(framing.record.size, 2);
    ck_assert_ptr_eq(framing_write(to, &framing), to + 5);
    ck_assert_mem_eq(to, confluent, 5);
    ck_assert_int_eq(framing_read(span_of(single, 11), FRAMING_ANY, &framing, &err),
                     STATUS_OK);
    ck_assert_int_eq(framing.kind, FRAMING_SINGLE_OBJECT);
    ck_assert_uint_eq(framing.fingerprint, UINT64_C(0x0102030405060708));
    ck_assert_uint_eq(framing.record.size, 1);
    ck_assert_ptr_eq(framing_write(to, &framing), to + 10);
    ck_assert_mem_eq(to, single, 10);
    ck_assert_int_eq(framing_read(span_of(confluent, 7), FRAMING_BARE, &framing, &err),
                     STATUS_OK);
    ck_assert_uint_eq(framing.record.size, 7);
    ck_assert_int_eq(framing_read(span_of(single, 9),
                                  FRAMING_CONFLUENT | FRAMING_SINGLE_OBJECT, &framing,
                                  &err),
                     STATUS_POISON);
    says(
        "a message of 9 bytes has no framing of the route's: confluent or single_object");
    ck_assert_int_eq(framing_read(span_of(NULL, 0), FRAMING_BARE, &framing, &err),
                     STATUS_OK);
    ck_assert_int_eq(framing_read(span_of(NULL, 0), FRAMING_CONFLUENT, &framing, &err),
                     STATUS_POISON);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        fields_are_stacked_into_a_row,
        a_list_alone_is_noted_and_may_have_any_length,
        texts_go_to_string_tensors,
        deadline_and_priority_are_the_jobs_and_not_the_models,
        a_null_is_no_deadline_and_no_priority,
        what_is_no_deadline_or_priority_is_refused,
        mistakes_are_found_with_their_place,
        an_unknown_word_is_refused_where_asked,
        hashes_are_those_of_scikit_learn,
        every_truncation_of_a_mapped_record_is_poison,
        framings_are_told_by_their_first_bytes,
    };
    return suite_run_with("codec/mapping", tests, ARRAY_COUNT(tests), set_up, tear_down);
}
