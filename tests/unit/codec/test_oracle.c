/* test_oracle.c - Avro-C beside our codec, on the schemas built into the program.
 *
 * What we write, Avro-C must read as the values that went in; what Avro-C writes from
 * those, we must read again.  Avro-C is fed with good messages only: it does not stand
 * hostile ones, which is why the worker does not use it. */
#include <avro.h>

#include "codec/result.h"
#include "codec/schema.h"
#include "tests/unit/codec/fixture.h"

#define ROUNDS 200
#define ELEMENTS_MAX 24
#define TENSORS_MAX 5

static struct error err;

static uint64_t random_next(void) {
    static uint64_t state = UINT64_C(88172645463325252);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static avro_schema_t schema_parsed(enum schema_id id) {
    const struct schema *schema = schema_get(id);
    avro_schema_t parsed = NULL;
    ck_assert_msg(avro_schema_from_json_length((const char *)schema->json.data,
                                               schema->json.size, &parsed) == 0,
                  "%s", avro_strerror());
    return parsed;
}

/* ---- random tensors -------------------------------------------------------------- */

static const enum dtype dtypes[] = {
    DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_I8,  DTYPE_I16,  DTYPE_I32,
    DTYPE_I64, DTYPE_U8,  DTYPE_U16, DTYPE_U32,  DTYPE_U64, DTYPE_BOOL, DTYPE_STRING,
};

struct sample {
    char name_text[24];
    struct span name;
    struct tensor x;
    uint64_t elements[ELEMENTS_MAX * 2]; /* room for spans */
};

static void sample_init(struct sample *sample, int index) {
    static const char *const words[] = {"", "word", "na\xc3\xafve", "longer than a few"};
    size_t count = 1;
    uint8_t *bytes = (uint8_t *)sample->elements;
    *sample = (struct sample){.x = {.dtype = dtypes[random_next() % 14],
                                    .rank = (int)(random_next() % 3),
                                    .data = sample->elements}};
    (void)snprintf(sample->name_text, sizeof(sample->name_text), "tensor%d", index);
    sample->name = span_text(sample->name_text);
    for (int i = 0; i < sample->x.rank; i++) {
        sample->x.dims[i] = (int64_t)(random_next() % 5);
        count *= (size_t)sample->x.dims[i];
    }
    for (size_t i = 0; i < ARRAY_COUNT(sample->elements); i++) {
        sample->elements[i] = random_next() >> random_next() % 64;
    }
    for (size_t i = 0; i < count; i++) {
        if (sample->x.dtype == DTYPE_BOOL) {
            bytes[i] &= 1;
        } else if (sample->x.dtype == DTYPE_STRING) {
            struct span word = span_text(words[random_next() % 4]);
            memcpy(bytes + i * sizeof(word), &word, sizeof(word));
        }
    }
}

/* ---- what Avro-C makes of it ------------------------------------------------------- */

static avro_value_t field_of(const avro_value_t *record, const char *name) {
    avro_value_t field;
    ck_assert_int_eq(avro_value_get_by_name(record, name, &field, NULL), 0);
    return field;
}

static void same_string(const avro_value_t *have, struct span want) {
    const char *text = NULL;
    size_t size = 0;
    ck_assert_int_eq(avro_value_get_string(have, &text, &size), 0);
    ck_assert_uint_eq(size, want.size + 1); /* Avro-C counts the final 0 */
    ck_assert(want.size == 0 || memcmp(text, want.data, want.size) == 0);
}

static void same_long(const avro_value_t *record, const char *name, int64_t want) {
    avro_value_t field = field_of(record, name);
    int64_t have = 0;
    ck_assert_int_eq(avro_value_get_long(&field, &have), 0);
    ck_assert_int_eq(have, want);
}

/* The item as an element of 8 bytes, zeros behind. */
static uint64_t item_bits(const avro_value_t *item) {
    uint64_t bits = 0;
    float single;
    double real;
    int32_t narrow;
    int64_t wide;
    int flag;
    switch ((int)avro_value_get_type(item)) {
    case AVRO_FLOAT:
        ck_assert_int_eq(avro_value_get_float(item, &single), 0);
        memcpy(&bits, &single, sizeof(single));
        break;
    case AVRO_DOUBLE:
        ck_assert_int_eq(avro_value_get_double(item, &real), 0);
        memcpy(&bits, &real, sizeof(real));
        break;
    case AVRO_INT32:
        ck_assert_int_eq(avro_value_get_int(item, &narrow), 0);
        bits = (uint64_t)narrow;
        break;
    case AVRO_INT64:
        ck_assert_int_eq(avro_value_get_long(item, &wide), 0);
        bits = (uint64_t)wide;
        break;
    case AVRO_BOOLEAN:
        ck_assert_int_eq(avro_value_get_boolean(item, &flag), 0);
        bits = (uint64_t)flag;
        break;
    default:
        ck_abort_msg("an item of another type");
    }
    return bits;
}

static void same_data(const avro_value_t *data, const struct tensor *x) {
    const uint8_t *want = x->data;
    size_t size = dtype_size(x->dtype), count = 0, bytes_size = 0;
    const void *bytes = NULL;
    avro_value_t branch, item;
    ck_assert_int_eq(avro_value_get_current_branch(data, &branch), 0);
    if (avro_value_get_type(&branch) == AVRO_BYTES) {
        ck_assert_int_eq(avro_value_get_bytes(&branch, &bytes, &bytes_size), 0);
        ck_assert_uint_eq(bytes_size, tensor_size(x));
        ck_assert(bytes_size == 0 || memcmp(bytes, want, bytes_size) == 0);
        return;
    }
    ck_assert_int_eq(avro_value_get_size(&branch, &count), 0);
    ck_assert_uint_eq(count, tensor_count(x));
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(avro_value_get_by_index(&branch, i, &item, NULL), 0);
        if (x->dtype == DTYPE_STRING) {
            same_string(&item, ((const struct span *)x->data)[i]);
        } else {
            uint64_t bits = item_bits(&item);
            ck_assert_int_eq(memcmp(&bits, want + i * size, size), 0);
        }
    }
}

static void same_tensors(const avro_value_t *list, const struct sample *samples,
                         int count) {
    size_t size = 0;
    ck_assert_int_eq(avro_value_get_size(list, &size), 0);
    ck_assert_uint_eq(size, (size_t)count);
    for (int i = 0; i < count; i++) {
        avro_value_t record, name, dtype, shape, dim, data;
        int symbol = -1;
        int64_t have;
        ck_assert_int_eq(avro_value_get_by_index(list, (size_t)i, &record, NULL), 0);
        name = field_of(&record, "name");
        dtype = field_of(&record, "dtype");
        shape = field_of(&record, "shape");
        data = field_of(&record, "data");
        same_string(&name, samples[i].name);
        ck_assert_int_eq(avro_value_get_enum(&dtype, &symbol), 0);
        ck_assert_str_eq(avro_schema_enum_get(avro_value_get_schema(&dtype), symbol),
                         dtype_name(samples[i].x.dtype));
        ck_assert_int_eq(avro_value_get_size(&shape, &size), 0);
        ck_assert_int_eq((int)size, samples[i].x.rank);
        for (size_t k = 0; k < size; k++) {
            ck_assert_int_eq(avro_value_get_by_index(&shape, k, &dim, NULL), 0);
            ck_assert_int_eq(avro_value_get_long(&dim, &have), 0);
            ck_assert_int_eq(have, samples[i].x.dims[k]);
        }
        same_data(&data, &samples[i].x);
    }
}

/* What we read from Avro-C's bytes. */
static void same_job_tensors(const struct job_tensor *have, const struct sample *samples,
                             int count) {
    for (int i = 0; i < count; i++) {
        const struct tensor *x = &samples[i].x;
        size_t elements = tensor_count(x);
        uint64_t to[ELEMENTS_MAX * 2];
        ck_assert(span_equal(have[i].name, samples[i].name));
        ck_assert_int_eq(have[i].rank, x->rank);
        ck_assert_int_eq(memcmp(have[i].dims, x->dims, sizeof(int64_t) * (size_t)x->rank),
                         0);
        ck_assert_msg(job_fill(&have[i], x->dtype, elements, to, &err) == STATUS_OK, "%s",
                      err.text);
        for (size_t k = 0; x->dtype == DTYPE_STRING && k < elements; k++) {
            ck_assert(span_equal(((const struct span *)to)[k],
                                 ((const struct span *)x->data)[k]));
        }
        ck_assert(x->dtype == DTYPE_STRING || memcmp(to, x->data, tensor_size(x)) == 0);
    }
}

/* Reads `size` bytes with Avro-C, all of them. */
static void oracle_read(avro_value_t *value, const uint8_t *bytes, size_t size) {
    avro_reader_t reader = avro_reader_memory((const char *)bytes, (int64_t)size);
    ck_assert_msg(avro_value_read(reader, value) == 0, "%s", avro_strerror());
    ck_assert_int_ne(avro_skip(reader, 1), 0);
    avro_reader_free(reader);
}

static size_t oracle_write(avro_value_t *value, uint8_t *bytes, size_t room) {
    avro_writer_t writer = avro_writer_memory((char *)bytes, (int64_t)room);
    size_t size;
    ck_assert_int_eq(avro_value_write(writer, value), 0);
    size = (size_t)avro_writer_tell(writer);
    avro_writer_free(writer);
    return size;
}

/* ---- the tests ------------------------------------------------------------------- */

START_TEST(canonical_forms_say_what_the_schemas_say) {
    for (int id = 0; id < SCHEMA_COUNT; id++) {
        const char *canonical = schema_get((enum schema_id)id)->canonical;
        avro_schema_t full = schema_parsed((enum schema_id)id), short_form = NULL;
        ck_assert_int_eq(
            avro_schema_from_json_length(canonical, strlen(canonical), &short_form), 0);
        ck_assert(avro_schema_equal(full, short_form));
        avro_schema_decref(full);
        avro_schema_decref(short_form);
    }
}
END_TEST

START_TEST(jobs_pass_between_the_two_unchanged) {
    avro_schema_t schema = schema_parsed(SCHEMA_JOB);
    avro_value_iface_t *type = avro_generic_class_from_schema(schema);
    avro_value_t value;
    ck_assert_int_eq(avro_generic_value_new(type, &value), 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct sample samples[TENSORS_MAX];
        struct span names[TENSORS_MAX];
        struct tensor inputs[TENSORS_MAX];
        int count = 1 + (int)(random_next() % TENSORS_MAX);
        uint8_t ours[8192], theirs[8192];
        size_t size = 0;
        avro_value_t list, field;
        struct job job;
        for (int i = 0; i < count; i++) {
            sample_init(&samples[i], i);
            names[i] = samples[i].name;
            inputs[i] = samples[i].x;
        }
        ck_assert_int_eq(job_encode(span_text("an id"), span_text("model"), names, inputs,
                                    count, ours, sizeof(ours), &size, &err),
                         STATUS_OK);
        oracle_read(&value, ours, size);
        field = field_of(&value, "id");
        same_string(&field, span_text("an id"));
        list = field_of(&value, "inputs");
        same_tensors(&list, samples, count);
        size = oracle_write(&value, theirs, sizeof(theirs));
        ck_assert_int_eq(job_parse(span_of(theirs, size), &job, &err), STATUS_OK);
        ck_assert(span_is(job.id, "an id") && span_is(job.model, "model"));
        ck_assert_int_eq(job.input_count, count);
        same_job_tensors(job.inputs, samples, count);
    }
    avro_value_decref(&value);
    avro_value_iface_decref(type);
    avro_schema_decref(schema);
}
END_TEST

static void result_init(struct result *result, uint8_t *headers) {
    uint8_t *at = writer_size(headers, 1);
    at = writer_bytes(at, span_text("key"));
    at = writer_bytes(at, span_text("value"));
    *at++ = 0;
    *result = (struct result){
        .id = span_text("the id"),
        .model = span_text("m"),
        .version = random_next() % 2 == 0 ? span_of(NULL, 0) : span_text("7"),
        .headers = span_of(headers, random_next() % 2 == 0 ? (size_t)(at - headers) : 0),
        .job_timestamp_ms = (int64_t)random_next(),
        .batch_size = (int32_t)random_next(),
        .wait_us = (int64_t)random_next(),
        .compute_us = INT64_MIN,
        .model_sha256 =
            random_next() % 2 == 0
                ? span_of(NULL, 0)
                : span_of("0123456789abcdef0123456789ABCDEF", RESULT_SHA256_SIZE),
    };
}

static void same_result(const avro_value_t *value, const struct result *want) {
    avro_value_t field = field_of(value, "id");
    size_t headers = 0;
    int branch = -1;
    same_string(&field, want->id);
    field = field_of(value, "model");
    same_string(&field, want->model);
    field = field_of(value, "version");
    ck_assert_int_eq(avro_value_get_discriminant(&field, &branch), 0);
    ck_assert_int_eq(branch, want->version.data != NULL);
    field = field_of(value, "headers");
    ck_assert_int_eq(avro_value_get_size(&field, &headers), 0);
    ck_assert_uint_eq(headers, want->headers.size > 0);
    same_long(value, "job_timestamp_ms", want->job_timestamp_ms);
    same_long(value, "wait_us", want->wait_us);
    same_long(value, "compute_us", want->compute_us);
    field = field_of(value, "model_sha256");
    ck_assert_int_eq(avro_value_get_discriminant(&field, &branch), 0);
    ck_assert_int_eq(branch, want->model_sha256.data != NULL);
    if (want->model_sha256.data != NULL) {
        const void *bytes;
        avro_value_t fixed;
        ck_assert_int_eq(avro_value_get_current_branch(&field, &fixed), 0);
        ck_assert_int_eq(avro_value_get_fixed(&fixed, &bytes, &headers), 0);
        ck_assert_uint_eq(headers, RESULT_SHA256_SIZE);
        ck_assert_mem_eq(bytes, want->model_sha256.data, headers);
    }
}

START_TEST(results_pass_between_the_two_unchanged) {
    avro_schema_t schema = schema_parsed(SCHEMA_RESULT);
    avro_value_iface_t *type = avro_generic_class_from_schema(schema);
    avro_value_t value;
    ck_assert_int_eq(avro_generic_value_new(type, &value), 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct sample samples[TENSORS_MAX];
        struct result_output outputs[TENSORS_MAX];
        struct job_tensor tensors[JOB_INPUTS_MAX];
        struct result result, back;
        int count = (int)(random_next() % (TENSORS_MAX + 1)), back_count = -1;
        uint8_t headers[64], theirs[8192], *ours;
        size_t room, size;
        avro_value_t list;
        for (int i = 0; i < count; i++) {
            sample_init(&samples[i], i);
            outputs[i] = (struct result_output){samples[i].name, samples[i].x};
        }
        result_init(&result, headers);
        room = result_size_max(&result, outputs, count);
        ours = malloc(room); /* of this size exactly: the bound is an upper one */
        size = result_encode(&result, outputs, count, ours);
        ck_assert_uint_le(size, room);
        oracle_read(&value, ours, size);
        free(ours);
        same_result(&value, &result);
        list = field_of(&value, "outputs");
        same_tensors(&list, samples, count);
        size = oracle_write(&value, theirs, sizeof(theirs));
        ck_assert_msg(result_parse(span_of(theirs, size), &back, tensors, &back_count,
                                   &err) == STATUS_OK,
                      "%s", err.text);
        ck_assert_int_eq(back_count, count);
        ck_assert_int_eq(back.batch_size, result.batch_size);
        ck_assert_int_eq(back.compute_us, INT64_MIN);
        same_job_tensors(tensors, samples, count);
    }
    avro_value_decref(&value);
    avro_value_iface_decref(type);
    avro_schema_decref(schema);
}
END_TEST

START_TEST(a_result_fits_its_bound_whatever_its_values) {
    for (size_t d = 0; d < ARRAY_COUNT(dtypes); d++) {
        static const uint8_t digest[RESULT_SHA256_SIZE];
        uint8_t ones[64];
        struct span words[4] = {span_text("a"), span_text("b"), span_text(""),
                                span_text("dd")};
        struct result_output output = {
            .name = span_text("y"),
            .row = {.dtype = dtypes[d],
                    .rank = 1,
                    .dims = {4},
                    .data = dtypes[d] == DTYPE_STRING ? (void *)words : (void *)ones}};
        struct result result = {.id = span_text("i"),
                                .job_timestamp_ms = INT64_MIN,
                                .batch_size = INT32_MIN,
                                .wait_us = INT64_MIN,
                                .compute_us = INT64_MIN,
                                .model_sha256 = span_of(digest, sizeof(digest))};
        uint8_t *to = malloc(result_size_max(&result, &output, 1));
        for (int pattern = 0; pattern < 4; pattern++) { /* extremes of either sign */
            memset(ones, pattern == 0 ? 0xff : pattern == 1 ? 0x7f : 0x80, sizeof(ones));
            for (size_t i = 0; pattern == 3 && i < sizeof(ones); i++) {
                size_t size = dtype_size(dtypes[d]);
                ones[i] = i % size == size - 1 ? 0x80 : 0; /* the least integer */
            }
            ck_assert_uint_le(result_encode(&result, &output, 1, to),
                              result_size_max(&result, &output, 1));
        }
        free(to);
    }
}
END_TEST

START_TEST(every_truncation_of_a_result_is_poison) {
    struct sample sample;
    struct result result, back;
    struct result_output output;
    struct job_tensor tensors[JOB_INPUTS_MAX];
    uint8_t headers[64], bytes[2048];
    int count;
    for (int round = 0; round < 50; round++) {
        size_t size, older; /* what ends where results ended before they had a digest */
        sample_init(&sample, round);
        output = (struct result_output){sample.name, sample.x};
        result_init(&result, headers);
        size = result_encode(&result, &output, 1, bytes);
        older = size - 1 - result.model_sha256.size;
        for (size_t cut = 0; cut <= size; cut++) {
            uint8_t *copy = exact_copy(bytes, cut);
            ck_assert_int_eq(
                result_parse(span_of(copy, cut), &back, tensors, &count, &err),
                cut < size && cut != older ? STATUS_POISON : STATUS_OK);
            if (cut == older) {
                ck_assert_ptr_null(back.model_sha256.data);
            }
            free(copy);
        }
        bytes[size] = 0;
        ck_assert_int_eq(
            result_parse(span_of(bytes, size + 1), &back, tensors, &count, &err),
            STATUS_POISON);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        canonical_forms_say_what_the_schemas_say,
        jobs_pass_between_the_two_unchanged,
        results_pass_between_the_two_unchanged,
        a_result_fits_its_bound_whatever_its_values,
        every_truncation_of_a_result_is_poison,
    };
    return run_tests("oracle", tests, ARRAY_COUNT(tests));
}
