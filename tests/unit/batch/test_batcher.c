/* test_batcher.c - when batches leave, and which jobs are in them. */
#include "batch/batcher.h"

#include <math.h>

#include "batch/learn.h"
#include "tests/unit/batch/fixture.h"
#include "tests/unit/suite.h"

enum { SPARE = 3, EMITTED_MAX = 32 };

struct world {
    struct batch_model models[2];
    const struct batch_model *serving[2];
    struct batch *spare[2][EMITTED_MAX];
    int spare_count[2];
    struct batch *all[2][SPARE];
    struct batch *emitted[EMITTED_MAX];
    int emitted_count;
    bool idle;
    struct batcher batcher;
};

static struct batch *take(void *opaque, int model_index) {
    struct world *world = opaque;
    if (world->spare_count[model_index] == 0 && world->emitted_count > 0 &&
        world->emitted[world->emitted_count - 1]->model_index == model_index) {
        return world->emitted[--world->emitted_count]; /* "it has been run" */
    }
    return world->spare_count[model_index] == 0
               ? NULL
               : world->spare[model_index][--world->spare_count[model_index]];
}

static void emit(void *opaque, struct batch *batch) {
    struct world *world = opaque;
    world->emitted[world->emitted_count++] = batch;
}

static void give_back(void *opaque, struct batch *batch) {
    struct world *world = opaque;
    world->spare[batch->model_index][world->spare_count[batch->model_index]++] = batch;
}

static bool idle(void *opaque) {
    const struct world *world = opaque;
    return world->idle;
}

static void world_init(struct world *world) {
    struct batcher_opts opts = {.models = world->serving,
                                .model_count = 2,
                                .idle = idle,
                                .take = take,
                                .emit = emit,
                                .give_back = give_back,
                                .opaque = world};
    struct error err;
    *world = (struct world){0};
    world->models[0] = fixture_model("tests/data/models/lookup.onnx", 4);
    world->models[1] = fixture_model("tests/data/models/pair.onnx", 4);
    world->serving[0] = &world->models[0];
    world->serving[1] = &world->models[1];
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < SPARE; i++) {
            ck_assert_int_eq(batch_create(&world->models[m], m, &world->all[m][i], &err),
                             STATUS_OK);
            world->spare[m][i] = world->all[m][i];
        }
        world->spare_count[m] = SPARE;
    }
    batcher_init(&world->batcher, &opts);
}

static void world_release(struct world *world) {
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < SPARE; i++) {
            batch_destroy(world->all[m][i]);
        }
        fixture_model_close(&world->models[m]);
    }
}

static enum status add(struct world *world, int model, const struct job *job,
                       int64_t now_us, int64_t run_us, struct error *err) {
    static int tags;
    struct batch_row row = {.tag = &tags, .run_us = run_us, .deadline_us = INT64_MAX};
    struct batcher_progress progress = {.parts = NULL};
    return batcher_add(&world->batcher, model, job, &row, &progress, now_us, err);
}

static void add_lookup(struct world *world, int64_t now_us) {
    struct job job;
    struct error err;
    fixture_lookup_job(&job, "j", 1, 2, 3);
    ck_assert_int_eq(add(world, 0, &job, now_us, INT64_MAX, &err), STATUS_OK);
}

START_TEST(batch_leaves_when_it_is_full) {
    struct world world;
    world_init(&world);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(world.emitted_count, 0);
        add_lookup(&world, 0);
    }
    ck_assert_int_eq(world.emitted_count, 1);
    ck_assert_int_eq(world.emitted[0]->count, 4);
    ck_assert_int_eq(world.emitted[0]->inputs[0].dims[0], 4);
    ck_assert_int_eq(batcher_due_us(&world.batcher), INT64_MAX);
    world_release(&world);
}
END_TEST

START_TEST(batch_is_as_large_as_is_aimed_at) {
    struct world world;
    world_init(&world);
    world.models[0].aim =
        (struct batch_aim){.rows = 3, .early_rows = 2, .reason = BATCH_SLICE};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(world.emitted_count, 0);
        add_lookup(&world, 0);
    }
    ck_assert_int_eq(world.emitted_count, 1); /* all threads were busy */
    ck_assert_int_eq(world.emitted[0]->count, 3);
    ck_assert_int_eq(world.emitted[0]->aim.rows, 3);
    ck_assert_int_eq(world.emitted[0]->reason, BATCH_SLICE);
    add_lookup(&world, 0);
    world.idle = true;
    add_lookup(&world, 0);
    ck_assert_int_eq(world.emitted_count, 2); /* one is idle: two rows are enough */
    ck_assert_int_eq(world.emitted[1]->count, 2);
    ck_assert_int_eq(world.emitted[1]->aim.rows, 2);
    ck_assert_int_eq(world.emitted[1]->reason, BATCH_FULL);
    world_release(&world);
}
END_TEST

START_TEST(batch_leaves_when_its_oldest_job_is_due) {
    struct world world;
    world_init(&world);
    add_lookup(&world, 100);
    add_lookup(&world, 900);
    ck_assert_int_eq(batcher_due_us(&world.batcher), 1100);
    batcher_flush(&world.batcher, 1099, false);
    ck_assert_int_eq(world.emitted_count, 0);
    batcher_flush(&world.batcher, 1100, false);
    ck_assert_int_eq(world.emitted_count, 1);
    ck_assert_int_eq(world.emitted[0]->inputs[0].dims[0], 2);
    world_release(&world);
}
END_TEST

START_TEST(batch_leaves_at_once_when_nothing_more_is_waiting) {
    struct world world;
    world_init(&world);
    add_lookup(&world, 100);
    batcher_flush(&world.batcher, 100, true);
    ck_assert_int_eq(world.emitted_count, 1);
    batcher_flush(&world.batcher, 100, true);
    ck_assert_int_eq(world.emitted_count, 1);
    world_release(&world);
}
END_TEST

START_TEST(a_row_that_is_dropped_leaves_the_others_as_they_were) {
    for (int dropped = 0; dropped < 3; dropped++) {
        struct batch_model model = fixture_model("tests/data/models/lookup.onnx", 4);
        struct batch *batch;
        struct row_shape shape = {.dims = {3}};
        struct error err;
        int tags[3] = {0, 1, 2};
        ck_assert_int_eq(batch_create(&model, 0, &batch, &err), STATUS_OK);
        ck_assert_int_eq(batch_shape(batch, &shape, -1, &err), STATUS_OK);
        for (int i = 0; i < 3; i++) {
            *(int64_t *)batch_at(batch, 0, i) = 10 + i;
            batch->rows[i].tag = &tags[i];
        }
        batch->count = 3;
        batch_drop(batch, dropped);
        ck_assert_int_eq(batch->count, 2);
        ck_assert_int_eq(batch->inputs[0].dims[0], 2);
        for (int i = 0; i < 2; i++) {
            int tag = *(int *)batch->rows[i].tag;
            ck_assert_int_ne(tag, dropped);
            ck_assert_int_eq(*(int64_t *)batch_at(batch, 0, i), 10 + tag);
        }
        batch_destroy(batch);
        fixture_model_close(&model);
    }
}
END_TEST

START_TEST(batch_is_not_held_past_a_deadline) {
    struct world world;
    struct job job;
    struct error err;
    world_init(&world);
    add_lookup(&world, 100);
    fixture_lookup_job(&job, "hurry", 1, 2, 3);
    ck_assert_int_eq(add(&world, 0, &job, 200, 300, &err), STATUS_OK);
    ck_assert_int_eq(batcher_due_us(&world.batcher), 300);
    world_release(&world);
    world_init(&world); /* as large as it may become it takes 400 us */
    cost_add(&world.models[0].cost, 1, 100000);
    ck_assert_int_eq(add(&world, 0, &job, 200, 900, &err), STATUS_OK);
    ck_assert_int_eq(batcher_due_us(&world.batcher), 500);
    world_release(&world);
}
END_TEST

/* Whoever runs batches lets those pass others that have an urgent row or a near deadline;
 * that they are full as well is no reason to wait. */
START_TEST(a_full_batch_that_is_in_a_hurry_says_so) {
    struct world world;
    struct batch_row urgent = {
        .urgent = true, .run_us = INT64_MAX, .deadline_us = INT64_MAX};
    struct batcher_progress progress = {.parts = NULL};
    struct job job;
    struct error err;
    world_init(&world);
    world.models[0].aim = (struct batch_aim){.rows = 1, .early_rows = 1};
    fixture_lookup_job(&job, "hurry", 1, 2, 3);
    ck_assert_int_eq(batcher_add(&world.batcher, 0, &job, &urgent, &progress, 0, &err),
                     STATUS_OK);
    ck_assert_int_eq(world.emitted[0]->reason, BATCH_PRIORITY);
    ck_assert_int_eq(add(&world, 0, &job, 500, 500, &err), STATUS_OK);
    ck_assert_int_eq(world.emitted[1]->reason, BATCH_DEADLINE);
    ck_assert_int_eq(add(&world, 0, &job, 500, 501, &err), STATUS_OK);
    ck_assert_int_eq(world.emitted[2]->reason, BATCH_FULL);
    world_release(&world);
    world_init(&world);
    world.idle = true;
    world.models[0].aim = (struct batch_aim){.rows = 4, .early_rows = 1};
    ck_assert_int_eq(add(&world, 0, &job, 500, 500, &err), STATUS_OK);
    ck_assert_int_eq(world.emitted[0]->reason, BATCH_DEADLINE);
    world_release(&world);
}
END_TEST

/* A batch of the model of free shapes, as large as it is begun to be. */
static const struct batch *learned_batch(struct world *world, int length) {
    int before = world->emitted_count;
    while (world->emitted_count == before) {
        struct job job;
        struct error err;
        fixture_pair_job(&job, "j", length, 1.0F);
        ck_assert_int_eq(add(world, 1, &job, 0, INT64_MAX, &err), STATUS_OK);
    }
    return world->emitted[before];
}

START_TEST(batches_of_free_shapes_are_as_large_as_was_learned_of_them) {
    const struct learn_opts opts = {.rows_max = 4};
    struct world world;
    struct learned learned;
    struct error err;
    const struct batch *batch;
    world_init(&world);
    ck_assert_int_eq(learn_create(&opts, &world.models[1].learn, &err), STATUS_OK);
    for (int i = 0; i < 6; i++) {
        batch = learned_batch(&world, 8);
        ck_assert_int_eq(batch->count, i < 2 ? 1 : i < 4 ? 2 : 4);
        ck_assert_int_eq(batch->count, batch->aim.rows);
        (void)!learn_note(world.models[1].learn, batch->kind, batch->count, 1000000,
                          &learned);
        give_back(&world, world.emitted[--world.emitted_count]);
    }
    batch = learned_batch(&world, 9); /* of the same kind */
    ck_assert_int_eq(batch->count, 4);
    ck_assert_int_eq(batch_cost_ns(batch, 3), 1000000);
    batch = learned_batch(&world, 40);
    ck_assert_int_eq(batch->count, 1);
    ck_assert_int_eq(batch_cost_ns(batch, 1), 0);
    learn_destroy(world.models[1].learn);
    world_release(&world);
}
END_TEST

START_TEST(every_batch_says_why_it_was_run) {
    struct world world;
    struct batch_row urgent = {
        .urgent = true, .run_us = INT64_MAX, .deadline_us = INT64_MAX};
    struct batcher_progress progress = {.parts = NULL};
    struct job job;
    struct error err;
    world_init(&world);
    for (int i = 0; i < 4; i++) {
        add_lookup(&world, 0);
    }
    ck_assert_int_eq(world.emitted[0]->reason, BATCH_FULL);
    add_lookup(&world, 0);
    batcher_flush(&world.batcher, 1000, true);
    ck_assert_int_eq(world.emitted[1]->reason, BATCH_LINGER); /* idle or not */
    add_lookup(&world, 1000);
    batcher_flush(&world.batcher, 1001, true);
    ck_assert_int_eq(world.emitted[2]->reason, BATCH_IDLE);
    world_release(&world);
    world_init(&world);
    add_lookup(&world, 0);
    fixture_lookup_job(&job, "hurry", 1, 2, 3);
    ck_assert_int_eq(add(&world, 0, &job, 0, 300, &err), STATUS_OK);
    batcher_flush(&world.batcher, 300, false);
    ck_assert_int_eq(world.emitted[0]->reason, BATCH_DEADLINE);
    ck_assert_int_eq(batcher_add(&world.batcher, 0, &job, &urgent, &progress, 400, &err),
                     STATUS_OK);
    batcher_flush(&world.batcher, 400, false);
    ck_assert_int_eq(world.emitted[1]->reason, BATCH_PRIORITY);
    for (int length = 1; length <= SPARE + 1; length++) {
        fixture_pair_job(&job, "j", length, 1.0F);
        ck_assert_int_eq(add(&world, 1, &job, 500, INT64_MAX, &err), STATUS_OK);
    }
    ck_assert_int_eq(world.emitted_count, 2); /* the third one is used again */
    ck_assert_int_eq(world.batcher.lane_count, SPARE);
    ck_assert_int_eq(world.batcher.lanes[SPARE - 1]->reason, BATCH_ROOM);
    world_release(&world);
}
END_TEST

START_TEST(jobs_of_other_models_and_shapes_do_not_mix) {
    struct world world;
    struct job job;
    struct error err;
    world_init(&world);
    add_lookup(&world, 0);
    fixture_pair_job(&job, "short", 3, 1.0F);
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_OK);
    fixture_pair_job(&job, "long", 5, 2.0F);
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_OK);
    fixture_pair_job(&job, "short too", 3, 3.0F);
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_OK);
    batcher_flush(&world.batcher, 0, true);
    ck_assert_int_eq(world.emitted_count, 3);
    ck_assert_int_eq(world.emitted[1]->count, 2);
    ck_assert_int_eq(world.emitted[1]->inputs[0].dims[1], 3);
    ck_assert_float_eq(((float *)batch_at(world.emitted[1], 1, 1))[2], 3.0F);
    ck_assert_int_eq(world.emitted[2]->count, 1);
    ck_assert_int_eq(world.emitted[2]->inputs[0].dims[1], 5);
    world_release(&world);
}
END_TEST

START_TEST(more_shapes_than_batches_send_off_the_oldest) {
    struct world world;
    struct error err;
    world_init(&world);
    for (int length = 1; length <= 12; length++) {
        struct job job;
        fixture_pair_job(&job, "j", length, 1.0F);
        ck_assert_int_eq(add(&world, 1, &job, length, INT64_MAX, &err), STATUS_OK);
    }
    ck_assert_int_le(world.batcher.lane_count, SPARE);
    world_release(&world);
}
END_TEST

START_TEST(an_open_batch_is_left_to_fill_while_enough_others_are_under_way) {
    struct world world;
    struct error err;
    struct job job;
    world_init(&world);
    world.spare_count[1] = 2; /* the others are being run */
    world.batcher.opts.open_max = 2;
    for (int length = 1; length <= 2; length++) {
        fixture_pair_job(&job, "j", length, 1.0F);
        ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_OK);
    }
    fixture_pair_job(&job, "j", 3, 1.0F);
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_AGAIN);
    ck_assert_int_eq(world.emitted_count, 0);
    give_back(&world, world.all[1][SPARE - 1]);
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_OK);
    ck_assert_int_eq(world.batcher.lane_count, 3);
    fixture_pair_job(&job, "j", 4, 1.0F);
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_OK);
    ck_assert_int_eq(world.batcher.lane_count, 3); /* the first one had to go */
    world_release(&world);
}
END_TEST

START_TEST(a_job_that_does_not_fit_leaves_its_neighbours_alone) {
    struct world world;
    struct job job;
    struct error err;
    float values[] = {1, 2};
    const char *names[] = {"ids"};
    struct tensor wrong_type = {
        .dtype = DTYPE_F32, .rank = 1, .dims = {2}, .data = values};
    int64_t ids[] = {1, 2};
    struct tensor wrong_shape = {.dtype = DTYPE_I64, .rank = 1, .dims = {2}, .data = ids};
    world_init(&world);
    add_lookup(&world, 0);
    fixture_job(&job, "type", &wrong_type, names, 1);
    ck_assert_int_eq(add(&world, 0, &job, 0, INT64_MAX, &err), STATUS_POISON);
    fixture_job(&job, "shape", &wrong_shape, names, 1);
    ck_assert_int_eq(add(&world, 0, &job, 0, INT64_MAX, &err), STATUS_POISON);
    ck_assert_ptr_nonnull(strstr(err.text, "ids"));
    fixture_pair_job(&job, "count", 3, 1.0F);
    ck_assert_int_eq(add(&world, 0, &job, 0, INT64_MAX, &err), STATUS_POISON);
    names[0] = "nobody";
    fixture_job(&job, "name", &wrong_shape, names, 1);
    ck_assert_int_eq(add(&world, 0, &job, 0, INT64_MAX, &err), STATUS_POISON);
    fixture_pair_job(&job, "twice", 3, 1.0F);
    job.inputs[1].name = job.inputs[0].name; /* job_parse would refuse it too */
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_POISON);
    ck_assert_ptr_nonnull(strstr(err.text, "or has twice"));
    batcher_flush(&world.batcher, 0, true);
    ck_assert_int_eq(world.emitted_count, 1);
    ck_assert_int_eq(world.emitted[0]->count, 1);
    ck_assert_int_eq(((int64_t *)batch_at(world.emitted[0], 0, 0))[2], 3);
    world_release(&world);
}
END_TEST

START_TEST(nan_is_refused_only_where_the_model_says_so) {
    struct world world;
    struct job job;
    struct error err;
    world_init(&world);
    fixture_pair_job(&job, "nan", 3, NAN);
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_OK);
    world.models[1].nan_rejected = true;
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_POISON);
    fixture_pair_job(&job, "inf", 3, INFINITY);
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_POISON);
    fixture_pair_job(&job, "fine", 3, 1.0F);
    ck_assert_int_eq(add(&world, 1, &job, 0, INT64_MAX, &err), STATUS_OK);
    world.models[0].nan_rejected = true; /* integers have none, whatever their bits */
    fixture_lookup_job(&job, "integers", 0x7fff, 0x7fc00000, -1);
    ck_assert_int_eq(add(&world, 0, &job, 0, INT64_MAX, &err), STATUS_OK);
    world_release(&world);
}
END_TEST

/* Batches of the old version leave before another one may take its place. */
START_TEST(a_model_is_exchanged_between_two_batches) {
    struct world world;
    struct batch_model next;
    struct job pair, lookup, unfit;
    struct error err;
    world_init(&world);
    next = world.models[1];
    fixture_pair_job(&pair, "a", 3, 1.0F);
    fixture_pair_job(&unfit, "nan", 5, NAN);
    fixture_lookup_job(&lookup, "b", 2, 2, 2);
    world.models[1].nan_rejected = true;
    ck_assert_int_eq(add(&world, 1, &pair, 0, INT64_MAX, &err), STATUS_OK);
    ck_assert_int_eq(add(&world, 0, &lookup, 0, INT64_MAX, &err), STATUS_OK);
    ck_assert_int_eq(add(&world, 1, &unfit, 0, INT64_MAX, &err), STATUS_POISON);
    batcher_empty(&world.batcher, 1);
    ck_assert_int_eq(world.emitted_count, 1);
    ck_assert_ptr_eq(world.emitted[0]->model, &world.models[1]);
    ck_assert_int_eq(world.emitted[0]->count, 1);
    ck_assert_int_eq(world.batcher.lane_count, 1); /* that of the other model */
    ck_assert_int_eq(world.spare_count[1], SPARE - 1);
    world.serving[1] = &next;
    for (int i = 0; i < world.spare_count[1]; i++) {
        world.spare[1][i]->model = &next;
    }
    ck_assert_int_eq(add(&world, 1, &unfit, 0, INT64_MAX, &err), STATUS_OK);
    world_release(&world);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        batch_leaves_when_it_is_full,
        batch_is_as_large_as_is_aimed_at,
        batch_leaves_when_its_oldest_job_is_due,
        batch_leaves_at_once_when_nothing_more_is_waiting,
        a_row_that_is_dropped_leaves_the_others_as_they_were,
        batch_is_not_held_past_a_deadline,
        a_full_batch_that_is_in_a_hurry_says_so,
        batches_of_free_shapes_are_as_large_as_was_learned_of_them,
        every_batch_says_why_it_was_run,
        jobs_of_other_models_and_shapes_do_not_mix,
        more_shapes_than_batches_send_off_the_oldest,
        an_open_batch_is_left_to_fill_while_enough_others_are_under_way,
        a_job_that_does_not_fit_leaves_its_neighbours_alone,
        nan_is_refused_only_where_the_model_says_so,
        a_model_is_exchanged_between_two_batches,
    };
    return suite_run("batcher", tests, ARRAY_COUNT(tests));
}
