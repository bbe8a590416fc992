/* fuzz_model.c - libFuzzer: any bytes as an ONNX model.
 *
 * Whatever the bytes, the model is refused with a text or loads; one that loads gets
 * sessions, inputs of every declared type and odd sizes, and runs, within limits of
 * memory and iterations.  Rewriting must not change whether it runs.  Weights may lie in
 * files: those of folder.h, of which some must never be read.  `make fuzz-model` builds
 * and runs it on tests/fuzz/corpus-model. */
#include <assert.h>
#include <onnx.pb-c.h>
#include <stdlib.h>

#include "engine/model_impl.h"
#include "engine/passes/passes.h"
#include "engine/session.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/mutate_proto.h"
#include "tests/fuzz/words.h"
#include "tests/unit/engine/any_input.h"

#define MODEL_MEMORY_MAX ((size_t)16 << 20)
#define SESSION_MEMORY_MAX ((size_t)4 << 20)
#define ITERATIONS_MAX 300

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b,
                                 size_t b_size, uint8_t *out, size_t out_size_max,
                                 unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

/* Reads every byte of what was computed, for the sanitizer to see. */
static unsigned read_all(const struct tensor *y) {
    size_t size = tensor_size(y);
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += ((const uint8_t *)y->data)[i];
    }
    for (size_t i = 0; y->dtype == DTYPE_STRING && i < tensor_count(y); i++) {
        const struct span *text = (const struct span *)y->data + i;
        for (size_t k = 0; k < text->size; k++) {
            sum += text->data[k];
        }
    }
    for (size_t i = 0; y->dtype >= DTYPE_SEQUENCE && i < tensor_count(y); i++) {
        sum += read_all((const struct tensor *)y->data + i);
    }
    return sum;
}

static void run(const struct model *model, struct session *session, int64_t open_dim,
                unsigned seed) {
    struct tensor inputs[MODEL_INPUTS_MAX] = {{0}};
    static volatile unsigned sink __attribute__((unused));
    struct error err;
    int count = model_input_count(model);
    bool made = true;
    for (int i = 0; made && i < count; i++) {
        made = any_input(model_input(model, i), open_dim, &inputs[i], &seed);
    }
    if (made && session_prepare(session, inputs, &err) == STATUS_OK &&
        session_run(session, inputs, &err) == STATUS_OK) {
        for (int i = 0; i < model_output_count(model); i++) {
            sink += read_all(session_output(session, i));
        }
    }
    for (int i = 0; i < count; i++) {
        free(inputs[i].data);
    }
}

/* What must not be read has not been: it stands in no constant that is still held. */
static void check_secret(const struct graph *graph) {
    for (int v = 0; v < graph->value_count; v++) {
        const struct tensor *x = graph->values[v].constant;
        if (x != NULL && x->data != NULL && x->dtype < DTYPE_PLAIN_COUNT &&
            x->dtype != DTYPE_STRING) {
            assert(!folder_holds_secret(span_of(x->data, tensor_size(x))));
        }
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    folder_make();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct model_options options = {.memory_max = MODEL_MEMORY_MAX};
    struct model *model;
    struct session *session;
    struct error err = {.text = ""};
    unsigned seed = (unsigned)size * 2654435761U;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 31 + bytes[i];
    }
    if (model_open_bytes_with(span_of(bytes, size), folder_model(),
                              seed % 8 == 0 ? 0 : PASSES_ALL, &options, &model,
                              &err) != STATUS_OK) {
        assert(err.text[0] != 0);
        assert(err.status != STATUS_POISON);
        return 0;
    }
    check_secret(&model->graph);
    if (session_create(model, SESSION_MEMORY_MAX, &session, &err) == STATUS_OK) {
        session_limit_iterations(session, ITERATIONS_MAX);
        for (int64_t open_dim = 3; open_dim >= 0; open_dim--) {
            run(model, session, open_dim, seed);
        }
        session_destroy(session);
    }
    model_close(model);
    return 0;
}

static const struct mutate_kind model_kind = {&onnx__model_proto__descriptor, model_words,
                                              ARRAY_COUNT(model_words)};

/* The corpus as seen so far, to take fields from. */
static struct {
    uint8_t data[1 << 16];
    size_t size;
} pool[64];

static void remember(const uint8_t *data, size_t size, unsigned seed) {
    size_t at = seed / 7 % ARRAY_COUNT(pool);
    if (size <= sizeof(pool[at].data)) {
        memcpy(pool[at].data, data, size);
        pool[at].size = size;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed) {
    size_t made = 0, at = seed / 3 % ARRAY_COUNT(pool);
    struct span other = span_of(pool[at].data, seed % 2 == 0 ? pool[at].size : 0);
    if (seed % 32 == 31) {
        return LLVMFuzzerMutate(data, size, size_max);
    }
    if (seed % 16 == 1) {
        remember(data, size, seed);
    }
    made = mutate_proto(data, size, size_max, other, &model_kind, seed / 64);
    if (made != 0 && seed % 4 == 0) {
        size = made;
        made =
            mutate_proto(data, size, size_max, span_of(NULL, 0), &model_kind, seed / 128);
        made = made == 0 ? size : made;
    }
    return made != 0 ? made : LLVMFuzzerMutate(data, size, size_max);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b,
                                 size_t b_size, uint8_t *out, size_t out_size_max,
                                 unsigned seed) {
    size_t made;
    if (a_size > out_size_max) {
        return 0;
    }
    memcpy(out, a, a_size);
    made = mutate_proto(out, a_size, out_size_max, span_of(b, b_size), &model_kind, seed);
    return made != 0 ? made : a_size;
}
