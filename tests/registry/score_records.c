/* score_records.c - record mode without Kafka: records in, records with a score out.
 *
 *     score_records URL SUBJECT <messages >messages
 *
 * Each message is its length, 4 bytes, little-endian, and Confluent's wire format.  The
 * score is the sum of an input's four elements; a message that is no record comes back
 * empty, and why goes to standard error. */
#include <stdlib.h>

#include "codec/framing.h"
#include "codec/mapping.h"
#include "codec/record_out.h"
#include "registry/registry.h"

#define KNOWN_MAX 16
#define MESSAGE_SIZE_MAX 65536
#define PATIENCE_MS 60000

/* What is made of a writer's schema, once. */
struct known {
    uint32_t id, out_id;
    struct mapping *mapping;
    struct mapping_rows *rows;
    struct record_out *out;
};

static struct known known[KNOWN_MAX];
static int known_count;
static struct registry *registry;
static struct error err;

static _Noreturn void die(const char *what) {
    (void)fprintf(stderr, "score_records: %s: %s\n", what, err.text);
    exit(1);
}

static void make_mapping(struct known *k, const struct registry_schema *schema) {
    static const struct change hour = {.kind = CHANGE_HOUR};
    static const struct change hash = {.kind = CHANGE_HASH, .count = 1000};
    const struct mapping_source sources[] = {
        {.path = "amount"},
        {.path = "customer.age", .has_value = true, .value = value_integer(-1)},
        {.path = "at", .changes = &hour, .change_count = 1},
        {.path = "customer.country", .changes = &hash, .change_count = 1},
    };
    const struct mapping_input input = {.name = "x",
                                        .dtype = DTYPE_F64,
                                        .rank = 1,
                                        .dims = {4},
                                        .sources = sources,
                                        .source_count = 4};
    if (mapping_create(avro_schema_root(schema->schema), NULL, &input, 1, &k->mapping,
                       &err) != STATUS_OK) {
        die("mapping");
    }
    k->rows = mapping_rows_create(k->mapping);
}

static void make_out(struct known *k, const struct registry_schema *schema,
                     const char *subject) {
    const struct record_output output = {.name = "sum", .dtype = DTYPE_F64};
    const struct record_field field = {.name = "score", .output = "sum"};
    const struct avro_resolver resolver = {registry_resolve, (void *)(size_t)schema};
    const struct record_out_opts opts = {.writer = schema->schema,
                                         .resolver = &resolver,
                                         .fields = &field,
                                         .field_count = 1,
                                         .outputs = &output,
                                         .output_count = 1};
    if (record_out_create(&opts, &k->out, &err) != STATUS_OK) {
        die("output");
    }
    if (registry_register(registry, subject, (const char *)record_out_json(k->out).data,
                          schema, &k->out_id, &err) != STATUS_OK) {
        die("registering");
    }
}

static struct known *know(uint32_t id, const char *subject) {
    const struct registry_schema *schema;
    for (int i = 0; i < known_count; i++) {
        if (known[i].id == id) {
            return &known[i];
        }
    }
    if (known_count == KNOWN_MAX) {
        die("too many schemas");
    }
    if (registry_wait(registry, id, PATIENCE_MS, &schema, &err) != STATUS_OK) {
        return NULL;
    }
    known[known_count].id = id;
    make_mapping(&known[known_count], schema);
    make_out(&known[known_count], schema, subject);
    return &known[known_count++];
}

/* Returns the answer's size, or 0. */
static size_t answer(struct span message, const char *subject, uint8_t *to) {
    static struct job job;
    struct framing framing;
    double x[4], sum;
    struct result_output row = {.row = {.dtype = DTYPE_F64, .data = &sum}};
    struct known *k;
    uint8_t *end;
    if (framing_read(message, FRAMING_CONFLUENT, &framing, &err) != STATUS_OK ||
        (k = know(framing.id, subject)) == NULL ||
        mapping_parse(k->mapping, k->rows, framing.record, &job, &err) != STATUS_OK ||
        job_fill(&job.inputs[0], DTYPE_F64, 4, x, &err) != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 0;
    }
    sum = x[0] + x[1] + x[2] + x[3];
    framing.id = k->out_id;
    end = framing_write(to, &framing);
    if (record_out_encode(k->out, framing.record, &row, end, &end, &err) != STATUS_OK) {
        die("encoding");
    }
    return (size_t)(end - to);
}

int main(int argc, char **argv) {
    static uint8_t from[MESSAGE_SIZE_MAX], to[MESSAGE_SIZE_MAX + 64];
    const struct registry_opts opts = {.http = {.urls = argc == 3 ? argv[1] : NULL}};
    uint32_t size;
    if (registry_create(&opts, &registry, &err) != STATUS_OK) {
        die("usage: score_records URL SUBJECT");
    }
    while (fread(&size, sizeof(size), 1, stdin) == 1) {
        if (size > sizeof(from) || fread(from, 1, size, stdin) != size) {
            die("a message is too long or cut");
        }
        size = (uint32_t)answer(span_of(from, size), argv[2], to);
        (void)fwrite(&size, sizeof(size), 1, stdout);
        (void)fwrite(to, 1, size, stdout);
    }
    for (int i = 0; i < known_count; i++) {
        mapping_rows_destroy(known[i].rows);
        mapping_destroy(known[i].mapping);
        record_out_destroy(known[i].out);
    }
    registry_destroy(registry);
    return fflush(stdout) == 0 ? 0 : 1;
}
