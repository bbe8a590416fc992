/* world.h - one model, a batcher in front of it, and batches as they are emitted, for
 * tests that run them.
 *
 * Depends on: tests/unit/batch/fixture.h.
 * Ownership: world_close frees what the batcher took. */
#ifndef MILLRACE_TESTS_BATCH_WORLD_H
#define MILLRACE_TESTS_BATCH_WORLD_H

#include "batch/batcher.h"
#include "batch/infer.h"
#include "tests/unit/batch/fixture.h"

enum { BATCHES_MAX = 128 };

static struct batch_model model;
static struct batch *batches[BATCHES_MAX], *emitted[BATCHES_MAX];
static int batches_taken, batches_allowed = BATCHES_MAX, emitted_count;
static struct batcher batcher;
static struct parts_pool parts;
static struct answers_pool answers;

static struct batch *world_take(void *opaque, int model_index) {
    struct error err;
    (void)opaque;
    ck_assert_int_lt(batches_taken, BATCHES_MAX);
    if (batches_taken == batches_allowed) {
        return NULL;
    }
    ck_assert_int_eq(batch_create(&model, model_index, &batches[batches_taken], &err),
                     STATUS_OK);
    return batches[batches_taken++];
}

static void world_emit(void *opaque, struct batch *batch) {
    (void)opaque;
    emitted[emitted_count++] = batch;
}

static void world_give_back(void *opaque, struct batch *batch) {
    (void)opaque;
    (void)batch; /* freed with all of them */
}

static void world_open(const char *path, int rows_max) {
    static const struct batch_model *const serving[] = {&model};
    struct batcher_opts opts = {.models = serving,
                                .model_count = 1,
                                .parts = &parts,
                                .take = world_take,
                                .emit = world_emit,
                                .give_back = world_give_back};
    model = fixture_model(path, rows_max);
    ck_assert(parts_pool_init(&parts));
    ck_assert(answers_pool_init(&answers));
    batcher_init(&batcher, &opts);
}

static void world_close(void) {
    for (int i = 0; i < batches_taken; i++) {
        batch_destroy(batches[i]);
    }
    batcher_release(&batcher);
    parts_pool_release(&parts);
    answers_pool_release(&answers);
    fixture_model_close(&model);
}

#endif
