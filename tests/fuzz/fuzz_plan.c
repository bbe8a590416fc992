/* fuzz_plan.c - libFuzzer: any schemas, and any bytes as a record of them.
 *
 * The input is a writer's schema, a 0, a reader's schema or nothing, a 0, and the record.
 * Whatever it is, parsing and planning end without harm, and a record that passes has
 * been walked to its last byte.  `make fuzz-codec` builds and runs it; its first inputs
 * are the cases of tests/data/codec/plans.json. */
#include <assert.h>

#include "codec/avro_path.h"
#include "codec/framing.h"
#include "codec/plan.h"

#define PATHS_MAX 24
#define VALUES_MAX 64
#define ROW_SIZE (VALUES_MAX * sizeof(struct span))

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct wants {
    const struct avro_node *root;
    int count;
    struct plan_want items[PATHS_MAX];
    char paths[PATHS_MAX][AVRO_PATH_SIZE_MAX];
};

/* A tensor for each path, of the type that comes first. */
static void add_path(void *opaque, const char *path) {
    static const enum dtype numbers[] = {DTYPE_F32, DTYPE_F64, DTYPE_I8, DTYPE_U16,
                                         DTYPE_I64};
    struct wants *wants = opaque;
    struct avro_path_end end;
    struct error err;
    struct plan_want *want = &wants->items[wants->count];
    if (avro_path_find(wants->root, path, &end, &err) != STATUS_OK) {
        return; /* a name that brackets would be needed for, or a path too long */
    }
    (void)snprintf(wants->paths[wants->count], AVRO_PATH_SIZE_MAX, "%s", path);
    *want = (struct plan_want){.place = "p",
                               .path = wants->paths[wants->count],
                               .tensor = wants->count,
                               .dtype = numbers[wants->count % 5],
                               .values_min = end.lists > 0 ? 0 : 1,
                               .values_max = end.lists > 0 ? VALUES_MAX : 1,
                               .whole = wants->count % 2 == 0};
    if (end.type->kind == AVRO_KIND_STRING || end.type->kind == AVRO_KIND_ENUM) {
        want->dtype = DTYPE_STRING;
    }
    wants->count++;
}

static void run(const struct plan *plan, int count, struct span message) {
    static uint8_t memory[PATHS_MAX][ROW_SIZE];
    struct job_tensor tensors[PATHS_MAX];
    uint32_t values[PATHS_MAX] = {0};
    uint8_t *rows[PATHS_MAX];
    struct plan_out out = {rows, tensors, values};
    struct error err;
    size_t size;
    for (int i = 0; i < PATHS_MAX; i++) {
        rows[i] = memory[i];
    }
    if (plan_run(plan, message, &out, &err) != STATUS_OK) {
        assert(err.status == STATUS_POISON);
        return;
    }
    for (int i = 0; i < count; i++) {
        assert(values[i] <= VALUES_MAX);
    }
    assert(plan_run_next(plan, message, &out, &size, &err) == STATUS_OK);
    assert(size == message.size);
}

/* The part up to the next 0; moves *bytes behind it. */
static struct span part(const uint8_t **bytes, const uint8_t *end) {
    const uint8_t *begin = *bytes;
    const uint8_t *stop = begin == end ? NULL : memchr(begin, 0, (size_t)(end - begin));
    *bytes = stop == NULL ? end : stop + 1;
    return span_of(begin, (size_t)((stop == NULL ? end : stop) - begin));
}

static void try(const struct avro_node *writer, const struct avro_node *reader,
                struct span message) {
    static struct wants wants;
    struct plan *plan;
    struct error err;
    wants.root = reader == NULL ? writer : reader;
    wants.count = 0;
    avro_path_each(wants.root, PATHS_MAX, add_path, &wants);
    if (reader != NULL) {
        (void)!plan_check_resolution(writer, reader, &err);
    }
    for (int few = 0; few < 2; few++) { /* all that is wanted, and nothing */
        if (plan_create(writer, few ? NULL : reader, wants.items, few ? 0 : wants.count,
                        &plan, &err) == STATUS_OK) {
            run(plan, few ? 0 : wants.count, message);
            plan_destroy(plan);
        }
    }
}

/* What is written of a framing is what was read. */
static void try_framing(struct span message) {
    uint8_t to[FRAMING_SIZE_MAX];
    struct framing framing;
    struct error err;
    for (unsigned allowed = 1; allowed <= FRAMING_ANY; allowed++) {
        if (framing_read(message, allowed, &framing, &err) == STATUS_OK) {
            size_t size = (size_t)(framing_write(to, &framing) - to);
            assert((framing.kind & allowed) != 0);
            assert(size + framing.record.size == message.size);
            assert(size == 0 || memcmp(to, message.data, size) == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const uint8_t *end = bytes + size;
    struct span writer_text = part(&bytes, end);
    struct span reader_text = part(&bytes, end);
    struct avro_schema *writer, *reader = NULL;
    struct error err;
    try_framing(span_of(bytes, (size_t)(end - bytes)));
    if (avro_schema_parse(writer_text, NULL, &writer, &err) != STATUS_OK) {
        return 0;
    }
    if (reader_text.size == 0 ||
        avro_schema_parse(reader_text, NULL, &reader, &err) == STATUS_OK) {
        try(avro_schema_root(writer), reader == NULL ? NULL : avro_schema_root(reader),
            span_of(bytes, (size_t)(end - bytes)));
    }
    avro_schema_destroy(writer);
    avro_schema_destroy(reader);
    return 0;
}
