/* fuzz_model.c - libFuzzer: any bytes as an ONNX model.
 *
 * Whatever the bytes, the model is refused with a text or loads; one that loads gets
 * sessions, inputs of every declared type and odd sizes, and runs, within limits of
 * memory and iterations.  What lay in memory before a run must not show in its answers.
 * Weights may lie in files: those of folder.h, of which some must never be read.  `make
 * fuzz-model` builds and runs it on tests/fuzz/corpus-model. */
#include <assert.h>
#include <onnx.pb-c.h>
#include <stdlib.h>

#include "engine/model_impl.h"
#include "engine/passes/passes.h"
#include "engine/session_impl.h"
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

/* FNV-1a. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
    }
    return hash;
}

/* Of every byte of what was computed, for the sanitizer to see. */
static uint64_t hash_tensor(uint64_t hash, const struct tensor *y) {
    size_t count = tensor_count(y);
    if (y->dtype >= DTYPE_SEQUENCE) {
        for (size_t i = 0; i < count; i++) {
            hash = hash_tensor(hash, (const struct tensor *)y->data + i);
        }
    } else if (y->dtype == DTYPE_STRING) {
        for (size_t i = 0; i < count; i++) {
            const struct span *text = (const struct span *)y->data + i;
            hash = hash_bytes(hash, text->data, text->size);
        }
    } else {
        hash = hash_bytes(hash, y->data, tensor_size(y));
    }
    return hash;
}

/* Whether it could be computed. */
static bool run_over(struct session *session, const struct tensor *inputs, int outputs,
                     int before, uint64_t *hash) {
    struct error err;
    if (session->workspace_size > 0) {
        memset(session->workspace, before, session->workspace_size);
    }
    if (session_run(session, inputs, &err) != STATUS_OK) {
        return false;
    }
    *hash = 0xcbf29ce484222325;
    for (int i = 0; i < outputs; i++) {
        *hash = hash_tensor(*hash, session_output(session, i));
    }
    return true;
}

static void run(const struct model *model, struct session *session, int64_t open_dim,
                unsigned seed) {
    struct tensor inputs[MODEL_INPUTS_MAX] = {{0}};
    struct error err;
    int count = model_input_count(model), outputs = model_output_count(model);
    bool made = true;
    for (int i = 0; made && i < count; i++) {
        made = any_input(model_input(model, i), open_dim, &inputs[i], &seed);
    }
    if (made && session_prepare(session, inputs, &err) == STATUS_OK) {
        uint64_t first, second;
        if (run_over(session, inputs, outputs, 0, &first)) {
            assert(run_over(session, inputs, outputs, 0x7e, &second));
            assert(first == second);
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
