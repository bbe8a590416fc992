/* test_goldens.c - jobs that fastavro wrote (tests/data/codec): every dtype, every union
 * branch, several block layouts; and what becomes of them when they are damaged. */
#include <jansson.h>

#include "codec/fingerprint.h"
#include "codec/schema.h"
#include "tests/unit/codec/fixture.h"

#define GOLDENS "tests/data/codec/goldens.json"
#define GOLDENS_MIN 200 /* cases; fewer would mean that the file was not understood */

static json_t *goldens;

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

static void same_text(struct span have, const json_t *want) {
    ck_assert_uint_eq(have.size, json_string_length(want));
    ck_assert(have.size == 0 ||
              memcmp(have.data, json_string_value(want), have.size) == 0);
}

static void same_strings(const struct span *have, size_t count, const json_t *want) {
    ck_assert_uint_eq(count, json_array_size(want));
    for (size_t i = 0; i < count; i++) {
        same_text(have[i], json_array_get(want, i));
    }
}

static void same_tensor(const struct job_tensor *x, const json_t *want) {
    const json_t *shape = json_object_get(want, "shape");
    const json_t *strings = json_object_get(want, "strings");
    enum dtype dtype = dtype_parse(span_text(text_of(want, "dtype")));
    size_t count = 0, size = 0;
    struct error err;
    void *to;
    same_text(x->name, json_object_get(want, "name"));
    ck_assert_int_eq(x->dtype, dtype);
    ck_assert_int_eq(x->rank, (int)json_array_size(shape));
    for (int i = 0; i < x->rank; i++) {
        ck_assert_int_eq(x->dims[i],
                         json_integer_value(json_array_get(shape, (size_t)i)));
    }
    ck_assert(tensor_dims_count(x->dims, x->rank, &count));
    to = malloc(count * dtype_size(dtype) + 1);
    ck_assert_msg(job_fill(x, dtype, count, to, &err) == STATUS_OK, "%s", err.text);
    if (strings != NULL) {
        same_strings(to, count, strings);
    } else {
        uint8_t *bytes = unhex(text_of(want, "hex"), &size);
        ck_assert_uint_eq(size, count * dtype_size(dtype));
        ck_assert_msg(memcmp(to, bytes, size) == 0, "%s from %s differs",
                      text_of(want, "dtype"), text_of(want, "kind"));
        free(bytes);
    }
    free(to);
}

static void same_job(const struct job *job, const json_t *want) {
    const json_t *inputs = json_object_get(want, "inputs");
    const json_t *version = json_object_get(want, "version");
    const json_t *deadline = json_object_get(want, "deadline_ms");
    same_text(job->id, json_object_get(want, "id"));
    same_text(job->model, json_object_get(want, "model"));
    ck_assert_int_eq(job->version.data == NULL, json_is_null(version));
    if (job->version.data != NULL) {
        same_text(job->version, version);
    }
    ck_assert_int_eq(job->has_deadline, !json_is_null(deadline));
    ck_assert(!job->has_deadline || job->deadline_ms == json_integer_value(deadline));
    ck_assert_int_eq(job->input_count, (int)json_array_size(inputs));
    for (int i = 0; i < job->input_count; i++) {
        same_tensor(&job->inputs[i], json_array_get(inputs, (size_t)i));
    }
}

START_TEST(jobs_of_another_writer_hold_what_it_wrote) {
    size_t index, multiple = 0;
    json_t *golden;
    json_array_foreach(json_object_get(goldens, "jobs"), index, golden) {
        struct job job;
        struct error err;
        size_t size;
        uint8_t *bytes = unhex(text_of(golden, "message"), &size);
        ck_assert_msg(job_parse(span_of(bytes, size), &job, &err) == STATUS_OK,
                      "case %zu: %s", index, err.text);
        same_job(&job, golden);
        multiple += !job.inputs[0].contiguous;
        free(bytes);
    }
    ck_assert_uint_ge(index, GOLDENS_MIN);
    ck_assert_uint_gt(multiple, GOLDENS_MIN / 4); /* several blocks were among them */
}
END_TEST

START_TEST(every_truncation_of_every_golden_is_poison) {
    size_t index;
    json_t *golden;
    json_array_foreach(json_object_get(goldens, "jobs"), index, golden) {
        struct error err;
        size_t size;
        uint8_t *bytes = unhex(text_of(golden, "message"), &size);
        for (size_t cut = 0; cut < size; cut++) {
            ck_assert_int_eq(try_bytes(bytes, cut, &err), STATUS_POISON);
        }
        free(bytes);
    }
}
END_TEST

START_TEST(no_corrupted_byte_does_harm) {
    static const uint8_t flips[] = {0x01, 0x02, 0x40, 0x80, 0xff, 0x7f};
    size_t index;
    json_t *golden;
    json_array_foreach(json_object_get(goldens, "jobs"), index, golden) {
        struct error err;
        size_t size;
        uint8_t *bytes = unhex(text_of(golden, "message"), &size);
        for (size_t at = 0; at < size; at++) {
            for (size_t i = 0; i < ARRAY_COUNT(flips); i++) {
                bytes[at] ^= flips[i];
                (void)try_bytes(bytes, size, &err); /* checks whatever the outcome is */
                bytes[at] ^= flips[i];
            }
        }
        free(bytes);
    }
}
END_TEST

START_TEST(fingerprints_and_canonical_forms_are_those_of_fastavro) {
    for (int id = 0; id < SCHEMA_COUNT; id++) {
        const struct schema *schema = schema_get((enum schema_id)id);
        const json_t *want =
            json_object_get(json_object_get(goldens, "schemas"), schema->name);
        uint64_t fingerprint = 0;
        size_t size;
        uint8_t *bytes = unhex(text_of(want, "fingerprint"), &size);
        ck_assert_uint_eq(size, sizeof(fingerprint));
        memcpy(&fingerprint, bytes, size); /* fastavro shows them little-endian */
        ck_assert_uint_eq(schema->fingerprint, fingerprint);
        ck_assert_str_eq(schema->canonical, text_of(want, "canonical"));
        ck_assert_uint_eq(fingerprint_crc64(span_text(schema->canonical)), fingerprint);
        free(bytes);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        jobs_of_another_writer_hold_what_it_wrote,
        every_truncation_of_every_golden_is_poison,
        no_corrupted_byte_does_harm,
        fingerprints_and_canonical_forms_are_those_of_fastavro,
    };
    json_error_t error;
    int failed;
    goldens = json_load_file(GOLDENS, 0, &error);
    if (goldens == NULL) {
        (void)fprintf(stderr, "%s: %s\n", GOLDENS, error.text);
        return 1;
    }
    failed = run_tests("goldens", tests, ARRAY_COUNT(tests));
    json_decref(goldens);
    return failed;
}
