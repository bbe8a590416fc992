/* bench_records.c - records a second into tensor rows, beside Avro-C's generic reader.
 *
 *     bench_records [FOLDER]    and writes each schema and message to FOLDER, for
 *                               bench_records.py to read with fastavro
 *
 * Ours is all of the way: the record checked and read, its values in the model's rows.
 * Avro-C only reads into its generic value, from which a caller would still have to fetch
 * each.  Each figure is the quickest of several runs; ratios travel between machines.
 *
 * Records of 784 floats stand beside memcpy of their floats from the same places to the
 * same rows: of one record, which the first-level cache holds, and of so many that they
 * come from the second or the third, as a worker's do. */
#include <avro.h>
#include <stdarg.h>

#include "base/clock.h"
#include "base/copy.h"
#include "codec/mapping.h"
#include "codec/writer.h"

#define RUNS 15
#define RUN_US 20000
#define FIELDS_MAX 64
#define FLOATS 784
#define LINES 8
#define ROWS 64             /* of a batch */
#define MESSAGE_STRIDE 3181 /* bytes: each message stands another way in its line */
#define MESSAGES_MAX 2560

static struct error err;
static float floats[FLOATS];
static uint8_t message[MESSAGE_STRIDE];
static size_t message_size;
static uint8_t messages[MESSAGES_MAX * MESSAGE_STRIDE]; /* copies of it */
static size_t message_count = 1;                        /* that are read, in turn */
static size_t turn;

static _Noreturn void fail(const char *what) {
    (void)fprintf(stderr, "bench_records: %s: %s\n", what, err.text);
    exit(1);
}

/* ---- records and what is wanted of them -----------------------------------------------
 */

struct text {
    char text[8192];
    size_t size;
};

static void add(struct text *to, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add(struct text *to, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    to->size +=
        (size_t)vsnprintf(to->text + to->size, sizeof(to->text) - to->size, fmt, args);
    va_end(args);
}

static uint8_t *put_double(uint8_t *at, double value) {
    return writer_raw(at, &value, sizeof(value));
}

static uint8_t *put_float(uint8_t *at, float value) {
    return writer_raw(at, &value, sizeof(value));
}

/* One of each in turn: double, float, long, int, double, boolean; the last is a text. */
static uint8_t *flat(struct text *schema, uint8_t *at) {
    static const char *const types[] = {"double", "float",  "long",
                                        "int",    "double", "boolean"};
    add(schema, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
    for (int i = 0; i < 29; i++) {
        add(schema, "{\"name\":\"f%d\",\"type\":\"%s\"},", i, types[i % 6]);
        switch (i % 6) {
        case 0:
        case 4:
            at = put_double(at, i * 1.5);
            break;
        case 1:
            at = put_float(at, (float)i);
            break;
        case 2:
            at = writer_long(at, i * 100003);
            break;
        case 3:
            at = writer_long(at, i);
            break;
        default:
            *at++ = 1;
        }
    }
    add(schema, "{\"name\":\"id\",\"type\":\"string\"}]}");
    return writer_bytes(at, span_text("order-0001234"));
}

static uint8_t *array(struct text *schema, uint8_t *at) {
    add(schema,
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":{"
        "\"type\":\"array\",\"items\":\"float\"}}]}");
    at = writer_raw(writer_size(at, FLOATS), floats, sizeof(floats));
    *at++ = 0;
    return at;
}

static uint8_t *bytes(struct text *schema, uint8_t *at) {
    add(schema, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\","
                "\"type\":\"bytes\"}]}");
    return writer_bytes(at, span_of(floats, sizeof(floats)));
}

static uint8_t *nested(struct text *schema, uint8_t *at) {
    add(schema,
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"id\",\"type\":"
        "\"string\"},"
        "{\"name\":\"customer\",\"type\":{\"type\":\"record\",\"name\":\"C\",\"fields\":["
        "{\"name\":\"age\",\"type\":\"int\"},{\"name\":\"address\",\"type\":{\"type\":"
        "\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"zip\",\"type\":\"string\"},"
        "{\"name\":\"lat\",\"type\":\"double\"},{\"name\":\"lon\",\"type\":\"double\"}]}}"
        "]}},"
        "{\"name\":\"lines\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\","
        "\"name\":\"L\",\"fields\":[{\"name\":\"price\",\"type\":\"double\"},{\"name\":"
        "\"count\",\"type\":\"int\"},{\"name\":\"sku\",\"type\":\"string\"}]}}},"
        "{\"name\":\"attrs\",\"type\":{\"type\":\"map\",\"values\":\"float\"}}]}");
    at = writer_bytes(at, span_text("order-0001234"));
    at = writer_bytes(writer_long(at, 41), span_text("8000"));
    at = writer_size(put_double(put_double(at, 47.4), 8.5), LINES);
    for (int i = 0; i < LINES; i++) {
        at = writer_bytes(writer_long(put_double(at, i * 9.9), i),
                          span_text("sku-123456"));
    }
    *at++ = 0;
    at = writer_size(at, 3);
    at = put_float(writer_bytes(at, span_text("weight")), 2.5f);
    at = put_float(writer_bytes(at, span_text("height")), 7.0f);
    at = put_float(writer_bytes(at, span_text("width")), 7.5f);
    *at++ = 0;
    return at;
}

static uint8_t *unions(struct text *schema, uint8_t *at) {
    add(schema, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
    for (int i = 0; i < 24; i++) {
        add(schema, "%s{\"name\":\"u%d\",\"type\":%s}", i > 0 ? "," : "", i,
            i % 2 == 0 ? "[\"null\",\"double\"]" : "[\"null\",\"long\",\"string\"]");
        at = writer_size(at, i % 3 == 0 ? 0 : 1);
        if (i % 3 != 0) {
            at = i % 2 == 0 ? put_double(at, i) : writer_long(at, i * 1001);
        }
    }
    add(schema, "]}");
    return at;
}

struct bench {
    const char *name;
    uint8_t *(*make)(struct text *schema, uint8_t *at);
    int elements;                  /* of the row */
    const char *paths[FIELDS_MAX]; /* or, where the first is NULL, fields by `pattern` */
    const char *pattern;
};

static const struct bench benches[] = {
    {"flat, 30 fields", flat, 29, {NULL}, "f%d"},
    {"784 floats, array", array, FLOATS, {"x"}, NULL},
    {"784 floats, bytes", bytes, FLOATS, {"x"}, NULL},
    {"nested",
     nested,
     20,
     {"customer.age", "customer.address.lat", "customer.address.lon", "lines.price",
      "lines.count", "attrs.weight"},
     NULL},
    {"24 unions", unions, 24, {NULL}, "u%d"},
};

/* ---- ours
 * ------------------------------------------------------------------------------ */

static struct mapping *mapping;
static struct mapping_rows *rows;
static struct job job;
static CACHE_ALIGNED float batch[ROWS * FLOATS];
static int elements;

static void open_mapping(const struct bench *bench, const struct avro_schema *schema) {
    static char names[FIELDS_MAX][16];
    struct mapping_source sources[FIELDS_MAX] = {{NULL}};
    struct mapping_input input = {.name = "x",
                                  .dtype = DTYPE_F32,
                                  .rank = 1,
                                  .dims = {bench->elements},
                                  .sources = sources};
    for (int i = 0; i < FIELDS_MAX; i++) {
        struct mapping_source *source = &sources[input.source_count];
        if (bench->pattern != NULL && i < bench->elements) {
            (void)snprintf(names[i], sizeof(names[i]), "%c%d", bench->pattern[0], i);
            source->path = names[i];
        } else if (bench->pattern == NULL && bench->paths[i] != NULL) {
            source->path = bench->paths[i];
            source->count = strncmp(source->path, "lines", 5) == 0 ? LINES : 0;
        } else {
            break;
        }
        source->has_value = bench->pattern != NULL && bench->pattern[0] == 'u';
        source->value = value_real(-1);
        input.source_count++;
    }
    if (mapping_create(avro_schema_root(schema), NULL, &input, 1, &mapping, &err) !=
        STATUS_OK) {
        fail(bench->name);
    }
    rows = mapping_rows_create(mapping);
    elements = bench->elements;
}

static const uint8_t *next_message(void) {
    turn = turn + 1 < message_count ? turn + 1 : 0;
    return messages + turn * MESSAGE_STRIDE;
}

static float *row(void) {
    return batch + turn % ROWS * FLOATS;
}

static void read_ours(void) {
    struct span record = span_of(next_message(), message_size);
    if (mapping_parse(mapping, rows, record, &job, &err) != STATUS_OK ||
        job_fill(&job.inputs[0], DTYPE_F32, (size_t)elements, row(), &err) != STATUS_OK) {
        fail("mapping");
    }
}

/* ---- Avro-C, and no reader at all
 * -------------------------------------------------------- */

static avro_value_t generic;

static void read_avro_c(void) {
    avro_reader_t reader =
        avro_reader_memory((const char *)message, (int64_t)message_size);
    if (avro_value_reset(&generic) != 0 || avro_value_read(reader, &generic) != 0) {
        fail("Avro-C");
    }
    avro_reader_free(reader);
}

/* Behind the length of the array, or of the bytes.  A size that the compiler knew would
 * be no call of the C library's. */
static volatile size_t copy_size = sizeof(floats);

static void copy_memcpy(void) {
    const uint8_t *from = next_message() + 2;
    memcpy(row(), from, copy_size);
}

static void copy_own(void) {
    const uint8_t *from = next_message() + 2;
    copy_bytes(row(), from, copy_size);
}

/* Calls a second. */
static double measure(void (*call)(void)) {
    double best = 0;
    int count = 1;
    for (int run = 0; run < RUNS;) {
        int64_t begin_us = clock_now_us(), took_us;
        double rate;
        for (int i = 0; i < count; i++) {
            call();
        }
        took_us = clock_now_us() - begin_us;
        if (took_us < RUN_US) { /* too few to tell */
            count *= 2;
            continue;
        }
        rate = (double)count * 1e6 / (double)took_us;
        best = rate > best ? rate : best;
        run++;
    }
    return best;
}

static void beside_memcpy(void) {
    static const size_t counts[] = {1, 160, MESSAGES_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        double ours, theirs, own;
        message_count = counts[i];
        ours = 1e9 / measure(read_ours);
        theirs = 1e9 / measure(copy_memcpy);
        own = 1e9 / measure(copy_own);
        (void)printf("  of %4zu kB: %6.1f ns a record   memcpy %6.1f ns, %.2f times   "
                     "copy_bytes %6.1f ns, %.2f times\n",
                     counts[i] * MESSAGE_STRIDE / 1000, ours, theirs, ours / theirs, own,
                     ours / own);
    }
    message_count = 1;
}

static void keep(const char *folder, size_t index, const struct text *schema) {
    char path[4096];
    FILE *file;
    for (int part = 0; part < 2; part++) {
        (void)snprintf(path, sizeof(path), "%s/%zu.%s", folder, index,
                       part == 0 ? "avsc" : "bin");
        file = fopen(path, "wb");
        if (file == NULL || fwrite(part == 0 ? (const void *)schema->text : message, 1,
                                   part == 0 ? schema->size : message_size, file) == 0) {
            fail(path);
        }
        (void)fclose(file);
    }
}

static void run(size_t index, const char *folder) {
    const struct bench *bench = &benches[index];
    struct text schema = {.size = 0};
    struct avro_schema *parsed;
    avro_schema_t theirs;
    avro_value_iface_t *type;
    double ours, avro_c;
    message_size = (size_t)(bench->make(&schema, message) - message);
    for (size_t i = 0; i < MESSAGES_MAX; i++) {
        memcpy(messages + i * MESSAGE_STRIDE, message, message_size);
    }
    if (folder != NULL) {
        keep(folder, index, &schema);
    }
    if (avro_schema_parse(span_of(schema.text, schema.size), NULL, &parsed, &err) !=
            STATUS_OK ||
        avro_schema_from_json_length(schema.text, schema.size, &theirs) != 0) {
        fail(bench->name);
    }
    open_mapping(bench, parsed);
    type = avro_generic_class_from_schema(theirs);
    if (avro_generic_value_new(type, &generic) != 0) {
        fail("Avro-C");
    }
    ours = measure(read_ours);
    avro_c = measure(read_avro_c);
    (void)printf("%-20s %6zu bytes %12.0f /s   Avro-C %10.0f /s   %5.1f times\n",
                 bench->name, message_size, ours, avro_c, ours / avro_c);
    if (message_size > sizeof(floats)) {
        beside_memcpy();
    }
    avro_value_decref(&generic);
    avro_value_iface_decref(type);
    avro_schema_decref(theirs);
    mapping_rows_destroy(rows);
    mapping_destroy(mapping);
    avro_schema_destroy(parsed);
}

int main(int argc, char **argv) {
    for (int i = 0; i < FLOATS; i++) {
        floats[i] = (float)i / FLOATS;
    }
    for (size_t i = 0; i < ARRAY_COUNT(benches); i++) {
        run(i, argc > 1 ? argv[1] : NULL);
    }
    return 0;
}
