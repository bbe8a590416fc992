/* test_plan_quick.c - the quick forms of steps: nothing is read by them, stored or
 * refused that the steps themselves would not, to the last word of an error. */
#include "codec/plan_quick.h"

#include "codec/writer.h"
#include "tests/unit/suite.h"

#define ROOM 16384 /* bytes of each row; the message is no longer */

static struct error err;

/* Fields for each quick form: fixed ones in a row, unions, lists in lists, arrays. */
static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"i\",\"type\":\"int\"},{\"name\":\"l\",\"type\":\"long\"},"
    "{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"f\",\"type\":\"float\"},"
    "{\"name\":\"skip8\",\"type\":\"double\"},{\"name\":\"b\",\"type\":\"boolean\"},"
    "{\"name\":\"d2\",\"type\":\"double\"},{\"name\":\"text\",\"type\":\"string\"},"
    "{\"name\":\"f2\",\"type\":\"float\"},{\"name\":\"text2\",\"type\":\"string\"},"
    "{\"name\":\"d3\",\"type\":\"double\"},{\"name\":\"i3\",\"type\":\"int\"},"
    "{\"name\":\"b3\",\"type\":\"boolean\"},{\"name\":\"skipi\",\"type\":\"int\"},"
    "{\"name\":\"fix\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}},"
    "{\"name\":\"skipl\",\"type\":\"long\"},{\"name\":\"skipb\",\"type\":\"boolean\"},"
    "{\"name\":\"skipe\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":"
    "[\"A\",\"B\",\"C\"]}},"
    "{\"name\":\"ui\",\"type\":[\"null\",\"int\"]},{\"name\":\"ul\",\"type\":[\"null\","
    "\"long\",\"string\"]},"
    "{\"name\":\"uf\",\"type\":[\"float\",\"null\"]},{\"name\":\"ud\",\"type\":[\"null\","
    "\"double\"]},"
    "{\"name\":\"ub\",\"type\":[\"string\",\"null\",\"boolean\"]},"
    "{\"name\":\"us\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"u8\",\"type\":[\"double\",\"null\"]},"
    "{\"name\":\"ua\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"int\"}]},"
    "{\"name\":\"two\",\"type\":[\"int\",\"double\"]},"
    "{\"name\":\"lines\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\","
    "\"name\":\"L\",\"fields\":[{\"name\":\"p\",\"type\":\"double\"},{\"name\":\"n\","
    "\"type\":[\"null\",\"int\"]}]}}},"
    "{\"name\":\"note\",\"type\":{\"type\":\"array\",\"items\":\"float\"}},"
    "{\"name\":\"note8\",\"type\":{\"type\":\"array\",\"items\":\"double\"}},"
    "{\"name\":\"copy\",\"type\":{\"type\":\"array\",\"items\":\"float\"}},"
    "{\"name\":\"raw\",\"type\":\"bytes\"}]}";

/* Lists that are noted, and what is skipped between them. */
static const char noted_text[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"text\",\"type\":\"string\"},"
    "{\"name\":\"note\",\"type\":{\"type\":\"array\",\"items\":\"float\"}},"
    "{\"name\":\"fix\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}},"
    "{\"name\":\"raw\",\"type\":\"bytes\"},"
    "{\"name\":\"note8\",\"type\":{\"type\":\"array\",\"items\":\"double\"}},"
    "{\"name\":\"skip8\",\"type\":\"double\"}]}";

enum { ROW, LINES, COUNTS, NOTE, NOTE8, COPY, RAW, TENSORS };

/* Those of the first tensor, one element each; then one tensor each. */
static const char *const singles[] = {"i",  "l",  "d",  "f",  "b",  "d2", "f2", "d3",
                                      "i3", "b3", "ui", "ul", "uf", "ud", "ub", "two"};
static const char *const lists[TENSORS] = {
    [LINES] = "lines.p", [COUNTS] = "lines.n", [NOTE] = "note",
    [NOTE8] = "note8",   [COPY] = "copy",      [RAW] = "raw"};
#define SINGLES ARRAY_COUNT(singles)
#define WANTS (SINGLES + TENSORS - 1)

static struct plan *make_plan(const struct avro_schema *schema) {
    struct plan_want wants[WANTS];
    struct plan *plan;
    for (size_t i = 0; i < WANTS; i++) {
        size_t tensor = i < SINGLES ? ROW : i - SINGLES + 1;
        bool list = tensor != ROW;
        wants[i] = (struct plan_want){.place = "input 'x'",
                                      .path = list ? lists[tensor] : singles[i],
                                      .dtype = DTYPE_F32,
                                      .tensor = (int)tensor,
                                      .offset = list ? 0 : i,
                                      .values_min = list ? 0 : 1,
                                      .values_max = list ? 5 : 1,
                                      .whole = list && tensor != COPY,
                                      .has_fallback = i != 12, /* uf has to be there */
                                      .fallback = value_real(-1)};
    }
    ck_assert_msg(plan_create(avro_schema_root(schema), NULL, wants, (int)WANTS, &plan,
                              &err) == STATUS_OK,
                  "%s", err.text);
    return plan;
}

static struct plan *make_noted(const struct avro_schema *schema) {
    static const char *const paths[] = {"note", "raw", "note8"};
    struct plan_want wants[ARRAY_COUNT(paths)];
    struct plan *plan;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        wants[i] = (struct plan_want){.place = "input 'x'",
                                      .path = paths[i],
                                      .dtype = DTYPE_F32,
                                      .tensor = (int)i,
                                      .values_max = 50,
                                      .whole = true};
    }
    ck_assert_msg(plan_create(avro_schema_root(schema), NULL, wants,
                              (int)ARRAY_COUNT(paths), &plan, &err) == STATUS_OK,
                  "%s", err.text);
    ck_assert(plan->noted);
    return plan;
}

/* The plan without its quick forms. */
static struct plan *make_slow(struct plan *plan) {
    plan->noted = false;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        plan->quick[i].op = plan->quick[i].op == QUICK_END ? QUICK_END : QUICK_NONE;
    }
    return plan;
}

static uint8_t *put(uint8_t *at, double value, size_t size) {
    float narrow = (float)value;
    return writer_raw(at, size == 8 ? (const void *)&value : &narrow, size);
}

static uint8_t *put_array(uint8_t *at, int count, size_t size) {
    at = writer_size(at, (size_t)count);
    for (int i = 0; i < count; i++) {
        at = put(at, i + 0.5, size);
    }
    *at++ = 0;
    return at;
}

/* NULLS: the unions are null, the lists empty. */
enum which { FULL, NULLS, NOTED, WHICH };

static size_t make_noted_message(uint8_t *message) {
    uint8_t *at = put_array(writer_bytes(message, span_text("skipped")), 40, 4);
    at = writer_raw(at, "abc", 3);
    at = writer_bytes(at, span_of("\0\0\0\0\0\0\x80\x3f", 8));
    return (size_t)(put(put_array(at, 3, 8), 1, 8) - message);
}

static size_t make_message(uint8_t *message, bool nulls) {
    uint8_t *at = writer_long(writer_long(message, -70000), 1234567890123);
    at = put(put(put(at, 1.5, 8), 2.5, 4), 3.5, 8);
    *at++ = 1;
    at = writer_bytes(put(at, -4.5, 8), span_text("skipped"));
    at = writer_bytes(put(at, 6.25, 4), span_text(""));
    at = writer_long(put(at, 7.75, 8), 77);
    *at++ = 0;
    at = writer_long(at, 300);
    at = writer_raw(at, "abc", 3);
    at = writer_long(at, -1);
    *at++ = 1;
    *at++ = 4;
    at = nulls ? writer_long(at, 0) : writer_long(writer_long(at, 1), 12345);
    at = nulls ? writer_long(at, 0) : writer_long(writer_long(at, 1), -9);
    at = put(writer_long(at, 0), 8.5, 4);
    at = nulls ? writer_long(at, 0) : put(writer_long(at, 1), 9.5, 8);
    at = writer_long(at, nulls ? 1 : 2);
    if (!nulls) {
        *at++ = 1;
    }
    at = nulls ? writer_long(at, 0) : writer_bytes(writer_long(at, 1), span_text("us"));
    at = nulls ? writer_long(at, 1) : put(writer_long(at, 0), 1, 8);
    at = nulls ? writer_long(at, 0) : writer_size(writer_long(at, 1), 2);
    if (!nulls) {
        at = writer_long(writer_long(writer_long(at, 7), 1000), 0);
    }
    at = nulls ? writer_long(writer_long(at, 0), 5) : put(writer_long(at, 1), 5.5, 8);
    at = nulls ? at : writer_size(at, 1);
    for (int i = 0; i < 3 && !nulls; i++) {
        if (i == 1) { /* a block of two that tells its size */
            at = writer_long(writer_long(at, -2), 20);
        }
        at = writer_long(writer_long(put(at, i, 8), 1), i);
    }
    *at++ = 0;
    at = nulls ? writer_long(at, 0) : put_array(at, 4, 4);
    at = nulls ? writer_long(at, 0) : put_array(at, 3, 8);
    at = nulls ? writer_long(at, 0) : put_array(at, 5, 4);
    at = writer_bytes(at, nulls ? span_of("", 0) : span_of("\0\0\0\0\0\0\x80\x3f", 8));
    return (size_t)(at - message);
}

struct result {
    enum status status, whole; /* of one record, others behind it, and of one alone */
    size_t size;
    struct error err, whole_err;
    uint8_t *rows[TENSORS];
    struct job_tensor tensors[TENSORS];
    uint32_t values[WANTS];
};

static void decode(const struct plan *plan, struct span message, struct result *result) {
    struct plan_out out = {result->rows, result->tensors, result->values};
    for (int i = 0; i < TENSORS; i++) {
        memset(result->rows[i], 0, ROOM);
    }
    memset(result->values, 0, sizeof(result->values));
    result->whole_err.text[0] = 0;
    result->whole = plan_run(plan, message, &out, &result->whole_err);
    memset(result->values, 0, sizeof(result->values));
    memset(result->tensors, 0, sizeof(result->tensors));
    result->err.text[0] = 0;
    result->size = 0;
    result->status = plan_run_next(plan, message, &out, &result->size, &result->err);
}

static void compare(const struct plan *quick, const struct plan *slow,
                    struct span message) {
    static uint8_t rows[2][TENSORS][ROOM];
    static struct result a, b;
    for (int i = 0; i < TENSORS; i++) {
        a.rows[i] = rows[0][i];
        b.rows[i] = rows[1][i];
    }
    decode(quick, message, &a);
    decode(slow, message, &b);
    ck_assert_int_eq(a.status, b.status);
    ck_assert_uint_eq(a.size, b.size);
    ck_assert_str_eq(a.err.text, b.err.text);
    ck_assert_int_eq(a.whole, b.whole);
    ck_assert_str_eq(a.whole_err.text, b.whole_err.text);
    for (int i = 0; i < TENSORS && a.status == STATUS_OK; i++) {
        ck_assert_int_eq(a.tensors[i].kind, b.tensors[i].kind);
        ck_assert_uint_eq(a.tensors[i].count, b.tensors[i].count);
        ck_assert(a.tensors[i].data.data == b.tensors[i].data.data);
        ck_assert_uint_eq(a.tensors[i].data.size, b.tensors[i].data.size);
        ck_assert_int_eq(a.tensors[i].contiguous, b.tensors[i].contiguous);
        ck_assert(memcmp(a.rows[i], b.rows[i], ROOM) == 0);
    }
    ck_assert(memcmp(a.values, b.values, sizeof(a.values)) == 0);
}

struct fixture {
    struct avro_schema *schema;
    struct plan *quick, *slow;
    uint8_t message[ROOM];
    size_t size;
};

static void open_fixture(struct fixture *f, enum which which) {
    const char *text = which == NOTED ? noted_text : schema_text;
    struct plan *(*make)(const struct avro_schema *) =
        which == NOTED ? make_noted : make_plan;
    ck_assert_msg(avro_schema_parse(span_text(text), NULL, &f->schema, &err) == STATUS_OK,
                  "%s", err.text);
    f->quick = make(f->schema);
    f->slow = make_slow(make(f->schema));
    f->size = which == NOTED ? make_noted_message(f->message)
                             : make_message(f->message, which == NULLS);
}

static void close_fixture(struct fixture *f) {
    plan_destroy(f->quick);
    plan_destroy(f->slow);
    avro_schema_destroy(f->schema);
}

START_TEST(the_schema_has_every_quick_form) {
    static struct fixture f;
    bool seen[QUICK_FLOATS + 1] = {false};
    open_fixture(&f, FULL);
    for (uint32_t i = 0; i < f.quick->step_count; i++) {
        seen[f.quick->quick[i].op] = true;
    }
    for (int op = 0; op <= QUICK_FLOATS; op++) {
        ck_assert_msg(seen[op], "no step has the quick form %d", op);
    }
    close_fixture(&f);
}
END_TEST

/* So that the others compare more than errors. */
START_TEST(the_records_are_sound) {
    static struct fixture f;
    static uint8_t rows[TENSORS][ROOM];
    for (int nulls = 0; nulls < 2; nulls++) {
        struct result result;
        const float *row = (const float *)(const void *)rows[ROW];
        open_fixture(&f, nulls ? NULLS : FULL);
        for (int i = 0; i < TENSORS; i++) {
            result.rows[i] = rows[i];
        }
        decode(f.quick, span_of(f.message, f.size), &result);
        ck_assert_msg(result.status == STATUS_OK, "%s", result.err.text);
        ck_assert_uint_eq(result.size, f.size);
        ck_assert(row[0] == -70000.0f && row[2] == 1.5f && row[4] == 1.0f);
        ck_assert(row[10] == (nulls ? -1.0f : 12345.0f));
        ck_assert_uint_eq(result.tensors[NOTE].count, nulls ? 0 : 4);
        ck_assert_uint_eq(result.values[SINGLES + COPY - 1], nulls ? 0 : 5);
        close_fixture(&f);
    }
}
END_TEST

START_TEST(records_of_noted_lists_are_sound) {
    static struct fixture f;
    struct job_tensor tensors[3];
    struct plan_out out = {NULL, tensors, NULL}; /* nothing is stored */
    open_fixture(&f, NOTED);
    ck_assert_msg(plan_run(f.quick, span_of(f.message, f.size), &out, &err) == STATUS_OK,
                  "%s", err.text);
    ck_assert_int_eq(tensors[0].kind, JOB_DATA_FLOATS);
    ck_assert_uint_eq(tensors[0].count, 40);
    ck_assert_int_eq(tensors[1].kind, JOB_DATA_BYTES);
    ck_assert_uint_eq(tensors[1].count, 8);
    ck_assert_int_eq(tensors[2].kind, JOB_DATA_DOUBLES);
    ck_assert_uint_eq(tensors[2].count, 3);
    ck_assert_uint_eq(tensors[2].data.size, 24);
    close_fixture(&f);
}
END_TEST

START_TEST(every_truncation_ends_as_without_quick_forms) {
    static struct fixture f;
    for (enum which which = FULL; which < WHICH; which++) {
        open_fixture(&f, which);
        for (size_t size = 0; size <= f.size; size++) {
            uint8_t *exact = malloc(size + (size == 0));
            ck_assert_ptr_nonnull(exact); /* of exact size: a sanitizer sees more */
            memcpy(exact, f.message, size);
            compare(f.quick, f.slow, span_of(exact, size));
            free(exact);
        }
        close_fixture(&f);
    }
}
END_TEST

START_TEST(every_broken_byte_ends_as_without_quick_forms) {
    static struct fixture f;
    for (enum which which = FULL; which < WHICH; which++) {
        open_fixture(&f, which);
        for (size_t i = 0; i < f.size; i++) {
            uint8_t whole = f.message[i];
            for (int byte = 0; byte < 256; byte += i % 2 == 0 ? 1 : 3) {
                f.message[i] = (uint8_t)byte;
                compare(f.quick, f.slow, span_of(f.message, f.size));
            }
            f.message[i] = whole;
        }
        close_fixture(&f);
    }
}
END_TEST

/* Bytes put in or left out change what every byte behind them is taken for. */
START_TEST(every_shift_ends_as_without_quick_forms) {
    static struct fixture f;
    static const uint8_t bytes[] = {0x00, 0x01, 0x02, 0x03, 0x7f, 0x80, 0xff};
    for (enum which which = FULL; which < WHICH; which++) {
        open_fixture(&f, which);
        for (size_t i = 0; i < f.size; i++) {
            uint8_t shifted[ROOM];
            memcpy(shifted, f.message, i);
            memcpy(shifted + i, f.message + i + 1, f.size - i - 1);
            compare(f.quick, f.slow, span_of(shifted, f.size - 1));
            memcpy(shifted + i + 1, f.message + i, f.size - i);
            for (size_t k = 0; k < ARRAY_COUNT(bytes); k++) {
                shifted[i] = bytes[k];
                compare(f.quick, f.slow, span_of(shifted, f.size + 1));
            }
        }
        close_fixture(&f);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        the_schema_has_every_quick_form,
        the_records_are_sound,
        records_of_noted_lists_are_sound,
        every_truncation_ends_as_without_quick_forms,
        every_broken_byte_ends_as_without_quick_forms,
        every_shift_ends_as_without_quick_forms,
    };
    return suite_run("plan_quick", tests, ARRAY_COUNT(tests));
}
