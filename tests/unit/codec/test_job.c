/* test_job.c - which messages are jobs, and what is said of those that are not. */
#include "codec/job.h"

#include "codec/schema.h"
#include "tests/unit/codec/fixture.h"

static struct message m;
static struct job job;
static struct error err;

START_TEST(a_job_is_read_as_it_was_written) {
    float to[3];
    put_small_job(&m);
    ck_assert_int_eq(job_parse(span_of(m.bytes, m.size), &job, &err), STATUS_OK);
    ck_assert(span_is(job.id, "id"));
    ck_assert(span_is(job.model, "model"));
    ck_assert_ptr_null(job.version.data);
    ck_assert(!job.has_deadline);
    ck_assert_uint_eq(job.headers.size, 1);
    ck_assert_int_eq(job.input_count, 1);
    ck_assert(span_is(job.inputs[0].name, "x"));
    ck_assert_int_eq(job.inputs[0].rank, 1);
    ck_assert_int_eq(job.inputs[0].dims[0], 3);
    ck_assert(job.inputs[0].contiguous);
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_F32, 3, to, &err), STATUS_OK);
    ck_assert(to[1] == -2.5f);
}
END_TEST

START_TEST(every_truncation_is_poison) {
    put_small_job(&m);
    for (size_t size = 0; size < m.size; size++) {
        ck_assert_int_eq(try_bytes(m.bytes, size, &err), STATUS_POISON);
    }
}
END_TEST

START_TEST(bytes_behind_the_job_are_poison) {
    put_small_job(&m);
    put_bytes(&m, "zz", 2);
    expect_poison(&m, "2 bytes behind the job");
}
END_TEST

START_TEST(nothing_is_not_a_job) {
    m.size = 0;
    expect_poison(&m, "an empty message");
    put_job(&m, "id", "");
    put_long(&m, 0);
    expect_poison(&m, "a job without inputs");
}
END_TEST

START_TEST(single_object_encoding_is_told_by_its_mark) {
    const uint64_t fingerprint = SCHEMA_JOB_FINGERPRINT;
    struct message framed = {{0xc3, 0x01}, 2};
    put_bytes(&framed, &fingerprint, sizeof(fingerprint));
    put_small_job(&m);
    put_bytes(&framed, m.bytes, m.size);
    ck_assert_int_eq(try_bytes(framed.bytes, framed.size, &err), STATUS_OK);
    for (size_t size = 0; size < framed.size; size++) {
        ck_assert_int_eq(try_bytes(framed.bytes, size, &err), STATUS_POISON);
    }
    framed.bytes[2] ^= 1;
    expect_poison(&framed, "but InferenceJob is a009724c21068144");
}
END_TEST

START_TEST(confluent_framing_is_named) {
    memcpy(m.bytes, "\0\0\0\0\7", 5);
    m.size = 5;
    put_long(&m, 2);
    expect_poison(&m, "Confluent wire format needs a schema registry");
}
END_TEST

START_TEST(json_is_named) {
    m.size = 2;
    memcpy(m.bytes, "{}", m.size);
    expect_poison(&m, "this looks like JSON");
}
END_TEST

START_TEST(strings_keep_to_their_limits) {
    char text[JOB_NAME_SIZE_MAX + 2];
    memset(text, 'a', sizeof(text));
    text[JOB_ID_SIZE_MAX] = 0;
    put_job(&m, text, "");
    put_long(&m, 1);
    expect_poison(&m, "inputs"); /* the id was fine */
    text[JOB_ID_SIZE_MAX] = 'a';
    text[JOB_ID_SIZE_MAX + 1] = 0;
    put_job(&m, text, "");
    expect_poison(&m, "id at byte 0: 257 bytes, more than the limit of 256");
    text[JOB_MODEL_SIZE_MAX + 1] = 0;
    put_job(&m, "id", text);
    expect_poison(&m, "model at byte 3: 129 bytes, more than the limit of 128");
    put_job(&m, "\xff", "");
    expect_poison(&m, "id at byte 1: is not UTF-8");
    put_job(&m, "id", "\xed\xa0\x80");
    expect_poison(&m, "model at byte 4: is not UTF-8");
}
END_TEST

/* A job whose header map is `count` entries with values of `size` bytes. */
static void put_headers(int count, size_t size) {
    char key[16];
    char *value = calloc(1, size + 1);
    memset(value, 'v', size);
    m.size = 0;
    put_text(&m, "id");
    put_text(&m, "");
    put_bytes(&m, "\0\0", 2);
    put_long(&m, count);
    for (int i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        put_text(&m, key);
        put_text(&m, value);
    }
    put_long(&m, 0);
    put_long(&m, 0);
    free(value);
}

START_TEST(headers_keep_to_their_limits) {
    put_headers(JOB_HEADERS_MAX, 10);
    expect_poison(&m, "a job without inputs");
    put_headers(JOB_HEADERS_MAX + 1, 10);
    expect_poison(&m, "headers at byte 6: 1 more items than the 64 allowed");
    put_headers(8, JOB_HEADERS_SIZE_MAX / 8);
    expect_poison(&m, "more than the limit of 16384");
}
END_TEST

static int64_t priority_of(const char *const *headers, int count) {
    m.size = 0;
    put_text(&m, "id");
    put_text(&m, "");
    put_bytes(&m, "\0\0", 2);
    for (int i = 0; i < count; i++) { /* a block each */
        put_long(&m, 1);
        put_text(&m, headers[2 * i]);
        put_text(&m, headers[2 * i + 1]);
    }
    put_long(&m, 0);
    put_long(&m, 1);
    put_tensor(&m, "x", SYMBOL_F32, 0, JOB_DATA_BYTES);
    put_long(&m, 0);
    put_long(&m, 0);
    ck_assert_msg(job_parse(span_of(m.bytes, m.size), &job, &err) == STATUS_OK, "%s",
                  err.text);
    return job.priority;
}

START_TEST(a_header_of_the_job_is_its_priority) {
    static const char *const headers[] = {
        "millrace.priorit", "5", "millrace.priority", "-7", "millrace.priority_", "6"};
    static const char *const none[] = {"millrace.priority", "high", "millrace.priority",
                                       "1\xc3\xa9"};
    static const char *const two[] = {"millrace.priority", "1", "millrace.priority", "2"};
    ck_assert_int_eq(priority_of(headers, 3), -7);
    ck_assert_int_eq(priority_of(headers, 1), 0);
    ck_assert_int_eq(priority_of(none, 1), 0);
    ck_assert_int_eq(priority_of(none + 2, 1), 0);
    ck_assert_int_eq(priority_of(two, 2), 2);
    ck_assert_int_eq(priority_of(NULL, 0), 0);
}
END_TEST

START_TEST(inputs_keep_to_their_limits) {
    char name[16];
    for (int count = JOB_INPUTS_MAX; count <= JOB_INPUTS_MAX + 1; count++) {
        put_job(&m, "id", "");
        for (int i = 0; i < count; i++) { /* a block each: the sum is what counts */
            put_long(&m, 1);
            (void)snprintf(name, sizeof(name), "n%d", i);
            put_tensor(&m, name, SYMBOL_F32, -1, JOB_DATA_BYTES);
            put_text(&m, "");
        }
        put_long(&m, 0);
        ck_assert_int_eq(try_bytes(m.bytes, m.size, &err),
                         count == JOB_INPUTS_MAX ? STATUS_OK : STATUS_POISON);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "items than the 0 allowed"));
}
END_TEST

START_TEST(two_inputs_of_one_name_are_poison) {
    put_job(&m, "id", "");
    put_long(&m, 2);
    for (int i = 0; i < 2; i++) {
        put_tensor(&m, "same", SYMBOL_F32, -1, JOB_DATA_BYTES);
        put_text(&m, "");
    }
    put_long(&m, 0);
    expect_poison(&m, "inputs[1].name at byte");
    expect_poison(&m, "the same as that of inputs[0]");
}
END_TEST

START_TEST(shapes_keep_to_their_limits) {
    for (int rank = TENSOR_RANK_MAX; rank <= TENSOR_RANK_MAX + 1; rank++) {
        put_job(&m, "id", "");
        put_long(&m, 1);
        put_text(&m, "x");
        put_long(&m, SYMBOL_F32);
        put_long(&m, rank);
        for (int i = 0; i < rank; i++) {
            put_long(&m, 0);
        }
        put_bytes(&m, "\0\0\0\0", 4); /* end, bytes, none of them; end of the inputs */
        ck_assert_int_eq(try_bytes(m.bytes, m.size, &err),
                         rank == TENSOR_RANK_MAX ? STATUS_OK : STATUS_POISON);
    }
    put_job(&m, "id", "");
    put_long(&m, 1);
    put_tensor(&m, "x", SYMBOL_F32, INT64_MAX, JOB_DATA_BYTES);
    m.size -= 2;
    m.bytes[m.size - WRITER_LONG_SIZE_MAX - 1] = 3 << 1; /* three dimensions */
    put_long(&m, INT64_MAX);
    put_long(&m, 4);
    put_bytes(&m, "\0\0\0\0", 4);
    expect_poison(&m, "inputs[0].shape");
    expect_poison(&m, "more elements than can be counted");
    put_job(&m, "id", "");
    put_long(&m, 1);
    put_text(&m, "x");
    put_bytes(&m, "\0\2\1", 3); /* float32, one dimension, -1 */
    expect_poison(&m, "a negative dimension");
}
END_TEST

/* A job up to the data of its only tensor. */
static void put_until_data(enum job_data kind) {
    put_job(&m, "id", "");
    put_long(&m, 1);
    put_tensor(&m, "x", SYMBOL_F32, -1, kind);
}

START_TEST(bombs_are_refused_by_the_bytes_left) {
    for (int kind = 0; kind < JOB_DATA_COUNT; kind++) {
        const int64_t counts[] = {INT64_C(1) << 34,    INT64_MAX, INT64_MAX / 4 + 2,
                                  -(INT64_C(1) << 34), INT64_MIN, INT64_MIN + 1};
        for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
            put_until_data((enum job_data)kind);
            put_long(&m, counts[i]);
            put_long(&m, INT64_MAX); /* a size, where the count is negative */
            expect_poison(&m, "inputs[0].data at byte");
        }
    }
    put_job(&m, "id", "");
    put_long(&m, INT64_C(1) << 40);
    expect_poison(&m, "items than the 64 allowed");
    put_job(&m, "id", "");
    put_long(&m, 1);
    put_text(&m, "x");
    put_long(&m, 100);
    put_bytes(&m, "\0\0\0\0", 4);
    expect_poison(&m, "inputs[0].dtype at byte 10: enum symbol 100 of 14");
    put_until_data((enum job_data)JOB_DATA_COUNT);
    expect_poison(&m, "union branch 7 of 7");
}
END_TEST

START_TEST(items_are_checked_one_by_one) {
    put_until_data(JOB_DATA_BOOLEANS);
    put_bytes(&m, "\4\1\7\0\0", 5);
    expect_poison(&m, "a boolean is neither 0 nor 1");
    put_until_data(JOB_DATA_INTS);
    put_long(&m, 1);
    put_long(&m, (int64_t)INT32_MAX + 1);
    put_bytes(&m, "\0\0", 2);
    expect_poison(&m, "does not fit an int");
    put_until_data(JOB_DATA_STRINGS);
    put_long(&m, 1);
    put_text(&m, "\xc0");
    put_bytes(&m, "\0\0", 2);
    expect_poison(&m, "is not UTF-8");
    put_until_data(JOB_DATA_LONGS);
    put_long(&m, -2);
    put_long(&m, 3);
    put_bytes(&m, "\2\2\0\0", 4);
    expect_poison(&m, "a block's items end before its announced size");
    put_until_data(JOB_DATA_LONGS);
    put_long(&m, -2);
    put_long(&m, 2);
    put_bytes(&m, "\2\x80\1\0\0", 5);
    expect_poison(&m, "a block's items end behind its announced size");
}
END_TEST

START_TEST(errors_never_show_what_a_job_holds) {
    put_job(&m, "secret-id", "secret-model");
    put_long(&m, 1);
    put_tensor(&m, "x", SYMBOL_F32, -1, JOB_DATA_STRINGS);
    put_long(&m, 2);
    put_text(&m, "secret-value");
    put_text(&m, "\xff");
    put_long(&m, 0);
    ck_assert_int_eq(try_bytes(m.bytes, m.size, &err), STATUS_POISON);
    ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

START_TEST(a_job_is_encoded_within_its_limits) {
    float values[4] = {1, 2, 3, 4};
    struct tensor x = {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = values};
    struct span id = span_text("id"), model = span_text("m"), name = span_text("x");
    size_t room = job_size_max(id, model, &name, &x, 1), size = 0;
    uint8_t *to = malloc(room);
    ck_assert_int_eq(job_encode(id, model, &name, &x, 1, to, room, &size, &err),
                     STATUS_OK);
    ck_assert_uint_le(size, room);
    ck_assert_int_eq(try_bytes(to, size, &err), STATUS_OK);
    ck_assert_int_eq(job_encode(id, model, &name, &x, 1, to, room - 1, &size, &err),
                     STATUS_INVALID);
    ck_assert_int_eq(
        job_encode(span_of("", 0), model, &name, &x, 1, to, room, &size, &err),
        STATUS_INVALID);
    ck_assert_int_eq(job_encode(id, model, &name, &x, 0, to, room, &size, &err),
                     STATUS_INVALID);
    free(to);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_job_is_read_as_it_was_written,
        every_truncation_is_poison,
        bytes_behind_the_job_are_poison,
        nothing_is_not_a_job,
        single_object_encoding_is_told_by_its_mark,
        confluent_framing_is_named,
        json_is_named,
        strings_keep_to_their_limits,
        headers_keep_to_their_limits,
        a_header_of_the_job_is_its_priority,
        inputs_keep_to_their_limits,
        two_inputs_of_one_name_are_poison,
        shapes_keep_to_their_limits,
        bombs_are_refused_by_the_bytes_left,
        items_are_checked_one_by_one,
        errors_never_show_what_a_job_holds,
        a_job_is_encoded_within_its_limits,
    };
    return run_tests("job", tests, ARRAY_COUNT(tests));
}
