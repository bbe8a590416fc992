/* bench_codec.c - what a job costs to read and a result to write, in nanoseconds.
 *
 * The job is the digits model's: 784 float32, as an array and as bytes.  Avro-C's generic
 * reader on the same bytes stands beside, filling the same row.  Each figure is the
 * median of several runs; ratios travel between machines, nanoseconds do not. */
#include <avro.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "codec/job.h"
#include "codec/result.h"
#include "codec/schema.h"
#include "codec/writer.h"

#define PIXELS 784
#define RUNS 25

static uint8_t message[8192];
static size_t message_size;
static float row[PIXELS];
static float scores[10] = {0.1f, 0.9f};
static struct job job;
static struct error err;
static avro_value_t generic;

static void fail(const char *what) {
    (void)fprintf(stderr, "bench_codec: %s: %s\n", what, err.text);
    exit(1);
}

static void put_array(void) {
    struct tensor x = {.dtype = DTYPE_F32, .rank = 3, .dims = {28, 28, 1}, .data = row};
    struct span name = span_text("input");
    if (job_encode(span_text("digits-000123"), span_text("digits"), &name, &x, 1, message,
                   sizeof(message), &message_size, &err) != STATUS_OK) {
        fail("encode");
    }
}

/* The same with its data as bytes: branch, count and end of the array give way. */
static void put_bytes(void) {
    uint8_t head[128];
    size_t head_size;
    uint8_t *at;
    put_array();
    head_size = message_size - sizeof(row) - 2 /* two ends */ - 2 /* count */ - 1;
    memcpy(head, message, head_size);
    at = writer_raw(message, head, head_size);
    at = writer_size(at, JOB_DATA_BYTES);
    at = writer_bytes(at, span_of(row, sizeof(row)));
    *at++ = 0;
    message_size = (size_t)(at - message);
}

static void parse(void) {
    if (job_parse(span_of(message, message_size), &job, &err) != STATUS_OK) {
        fail("parse");
    }
}

static void parse_fill(void) {
    parse();
    if (job_fill(&job.inputs[0], DTYPE_F32, PIXELS, row, &err) != STATUS_OK) {
        fail("fill");
    }
}

static void encode_result(void) {
    static uint8_t to[512];
    const struct result result = {.id = job.id,
                                  .model = job.model,
                                  .headers = job.headers,
                                  .job_timestamp_ms = 1700000000000,
                                  .batch_size = 64,
                                  .wait_us = 1500,
                                  .compute_us = 620};
    const struct result_output output = {
        .name = {(const uint8_t *)"probabilities", 13},
        .row = {.dtype = DTYPE_F32, .rank = 1, .dims = {10}, .data = scores}};
    if (result_size_max(&result, &output, 1) > sizeof(to) ||
        result_encode(&result, &output, 1, to) == 0) {
        fail("result");
    }
}

static void avro_generic(void) {
    avro_reader_t reader =
        avro_reader_memory((const char *)message, (int64_t)message_size);
    avro_value_t list, tensor, data, branch, item;
    if (avro_value_read(reader, &generic) != 0 ||
        avro_value_get_by_name(&generic, "inputs", &list, NULL) != 0 ||
        avro_value_get_by_index(&list, 0, &tensor, NULL) != 0 ||
        avro_value_get_by_name(&tensor, "data", &data, NULL) != 0 ||
        avro_value_get_current_branch(&data, &branch) != 0) {
        fail("Avro-C");
    }
    if (avro_value_get_type(&branch) == AVRO_BYTES) {
        const void *bytes;
        size_t size;
        if (avro_value_get_bytes(&branch, &bytes, &size) != 0 || size != sizeof(row)) {
            fail("Avro-C");
        }
        memcpy(row, bytes, size);
    } else {
        for (size_t i = 0; i < PIXELS; i++) {
            if (avro_value_get_by_index(&branch, i, &item, NULL) != 0 ||
                avro_value_get_float(&item, &row[i]) != 0) {
                fail("Avro-C");
            }
        }
    }
    avro_reader_free(reader);
}

/* The nanoseconds of one call, in the quickest run. */
static void measure(const char *name, void (*call)(void), int count) {
    double least = 0;
    for (int run = 0; run < RUNS; run++) {
        int64_t begin_us = clock_now_us();
        double ns;
        for (int i = 0; i < count; i++) {
            call();
        }
        ns = (double)(clock_now_us() - begin_us) * 1000 / count;
        least = run == 0 || ns < least ? ns : least;
    }
    (void)printf("%-34s %10.1f ns %12.0f /s\n", name, least, 1e9 / least);
}

int main(void) {
    const struct schema *schema = schema_get(SCHEMA_JOB);
    avro_schema_t parsed;
    avro_value_iface_t *type;
    for (int i = 0; i < PIXELS; i++) {
        row[i] = (float)i / PIXELS;
    }
    if (avro_schema_from_json_length((const char *)schema->json.data, schema->json.size,
                                     &parsed) != 0) {
        fail("schema");
    }
    type = avro_generic_class_from_schema(parsed);
    if (avro_generic_value_new(type, &generic) != 0) {
        fail("Avro-C");
    }
    put_array();
    measure("784 floats, array: parse", parse, 200000);
    measure("784 floats, array: parse, fill", parse_fill, 200000);
    measure("784 floats, array: Avro-C", avro_generic, 1000);
    measure("result of 10 floats: encode", encode_result, 500000);
    put_bytes();
    measure("784 floats, bytes: parse, fill", parse_fill, 200000);
    measure("784 floats, bytes: Avro-C", avro_generic, 50000);
    avro_value_decref(&generic);
    avro_value_iface_decref(type);
    avro_schema_decref(parsed);
    return 0;
}
