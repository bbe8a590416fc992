/* forest.c - see forest.h. */
#include "engine/kernels/forest.h"

#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "engine/kernels/kernels.h"

#define LANES 8 /* walks side by side */
/* Rows whose columns are made at once: a tree then stays in the cache for all of them. */
#define WALK_FLOATS 16384
#define WALK_ROWS_MAX 512

/* ---- walk ------------------------------------------------------------------------- */

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static int64_t walk_rows(const struct forest_walk *walk) {
    const int64_t rows = WALK_FLOATS / walk->columns / LANES * LANES;
    return rows < LANES ? LANES : (rows > WALK_ROWS_MAX ? WALK_ROWS_MAX : rows);
}

/* One step from record `r`. */
ALWAYS_INLINE const uint32_t *step(const uint32_t *r, const float *x, unsigned bits,
                                   bool wide) {
    const uint32_t column = wide ? r[1] : r[1] & ((1U << bits) - 1);
    const uint32_t to_yes = wide ? r[2] : r[1] >> bits;
    const size_t ahead = (size_t)to_yes + !(x[column] <= float_of(r[0]));
    return r + ahead * (wide ? 3 : 2);
}

/* LANES walks to their leaves; the first `steps` cannot end before. */
ALWAYS_INLINE void walk_lanes(const uint32_t *r[LANES], const float *const x[LANES],
                              uint32_t steps, unsigned bits, bool wide) {
    const uint32_t *at[LANES];
    uintptr_t moved;
    memcpy(at, r, sizeof(at));
    for (uint32_t i = 0; i < steps; i++) {
#pragma GCC unroll 8
        for (int k = 0; k < LANES; k++) {
            at[k] = step(at[k], x[k], bits, wide);
        }
    }
    do {
        moved = 0;
#pragma GCC unroll 8
        for (int k = 0; k < LANES; k++) {
            const uint32_t *next = step(at[k], x[k], bits, wide);
            moved |= (uintptr_t)next ^ (uintptr_t)at[k];
            at[k] = next;
        }
    } while (moved != 0);
    memcpy(r, at, sizeof(at));
}

static void walk_all(const struct forest_walk *walk, const uint32_t *r[LANES],
                     const float *const x[LANES], uint32_t steps) {
    if (walk->column_bits == 0) {
        walk_lanes(r, x, steps, 0, true);
    } else {
        walk_lanes(r, x, steps, walk->column_bits, false);
    }
}

static const uint32_t *root_of(const struct forest_walk *walk, int64_t tree) {
    const size_t words = walk->column_bits == 0 ? 3 : 2;
    return walk->records + (size_t)walk->roots[tree] * words;
}

static float fold(enum forest_fold how, float a, float b) {
    return how == FOREST_MIN ? fminf(a, b) : how == FOREST_MAX ? fmaxf(a, b) : a + b;
}

/* Takes the leaf `r` of `tree` into y[targets]. */
static void take_leaf(const struct forest *forest, int64_t tree, const uint32_t *r,
                      float *y) {
    switch (forest->kind) {
    case FOREST_ONE:
        y[forest->tree_targets[tree]] += float_of(r[0]);
        return;
    case FOREST_EACH:
        for (int64_t t = 0; t < forest->targets; t++) {
            y[t] += forest->each[(int64_t)r[0] * forest->targets + t];
        }
        return;
    case FOREST_LIST:
        for (uint32_t i = forest->firsts[r[0]]; i < forest->firsts[r[0] + 1]; i++) {
            float *sum = &y[forest->list[i].target];
            *sum = fold(forest->fold, *sum, forest->list[i].value);
        }
        return;
    }
}

/* One row, LANES trees at a time; the last repeats where they are fewer. */
static void walk_row(const struct forest *forest, const float *x, float *y) {
    const float *xs[LANES];
    for (int k = 0; k < LANES; k++) {
        xs[k] = x;
    }
    for (int64_t tree = 0; tree < forest->trees; tree += LANES) {
        const int64_t left = forest->trees - tree;
        const uint32_t *r[LANES];
        uint32_t steps = UINT32_MAX;
        for (int64_t k = 0; k < LANES; k++) {
            const int64_t one = tree + (k < left ? k : left - 1);
            r[k] = root_of(&forest->walk, one);
            steps = forest->walk.steps[one] < steps ? forest->walk.steps[one] : steps;
        }
        walk_all(&forest->walk, r, xs, steps);
        for (int64_t k = 0; k < LANES && k < left; k++) {
            take_leaf(forest, tree + k, r[k], y + 0);
        }
    }
}

/* All trees, each for LANES rows at a time; the last repeats where they are fewer. */
static void walk_block(const struct forest *forest, int64_t rows, const float *x,
                       float *y) {
    const int64_t columns = forest->walk.columns, targets = forest->targets;
    for (int64_t tree = 0; tree < forest->trees; tree++) {
        const uint32_t *root = root_of(&forest->walk, tree);
        for (int64_t row = 0; row < rows; row += LANES) {
            const int64_t left = rows - row;
            const float *xs[LANES];
            const uint32_t *r[LANES];
            for (int64_t k = 0; k < LANES; k++) {
                xs[k] = x + (row + (k < left ? k : left - 1)) * columns;
                r[k] = root;
            }
            walk_all(&forest->walk, r, xs, forest->walk.steps[tree]);
            for (int64_t k = 0; k < LANES && k < left; k++) {
                take_leaf(forest, tree, r[k], y + (row + k) * targets);
            }
        }
    }
}

static void make_columns(const struct forest_walk *walk, const float *x, float *columns) {
    columns[0] = -INFINITY;
    for (int64_t i = 1; i < walk->columns; i++) {
        const float value = x[walk->features[i] >> 1];
        columns[i] = (walk->features[i] & 1) != 0 ? -value : value;
    }
}

static void walk_run(const struct forest *forest, int64_t rows, const float *x,
                     int64_t ldx, float *y, float *scratch) {
    const int64_t most = walk_rows(&forest->walk), columns = forest->walk.columns;
    for (int64_t row = 0; row < rows; row += most) {
        const int64_t count = rows - row < most ? rows - row : most;
        for (int64_t r = 0; r < count; r++) {
            make_columns(&forest->walk, x + (row + r) * ldx, scratch + r * columns);
        }
        if (count >= LANES / 2) {
            walk_block(forest, count, scratch, y + row * forest->targets);
            continue;
        }
        for (int64_t r = 0; r < count; r++) {
            walk_row(forest, scratch + r * columns, y + (row + r) * forest->targets);
        }
    }
}

/* ---- masks ------------------------------------------------------------------------ */

/* Scratch of a block. */
struct desk {
    float *x;      /* [features, FOREST_BLOCK] */
    float *sums;   /* [targets, FOREST_BLOCK] */
    int8_t *codes; /* [columns, FOREST_BLOCK] */
};

static size_t desk_size(const struct forest *forest) {
    const struct forest_masks *masks = &forest->masks;
    const int64_t floats = masks->feature_count + forest->targets;
    return ((size_t)floats * sizeof(float) + (size_t)masks->column_count) * FOREST_BLOCK;
}

static struct desk lay_desk(const struct forest *forest, void *scratch) {
    struct desk desk = {.x = scratch};
    desk.sums = desk.x + forest->masks.feature_count * FOREST_BLOCK;
    desk.codes = (int8_t *)(desk.sums + forest->targets * FOREST_BLOCK);
    return desk;
}

/* The features that are asked for, of all rows side by side.  Rows that are not there
 * repeat what the scratch holds: their sums go nowhere. */
static void gather_features(const struct forest_masks *masks, int64_t rows,
                            const float *x, int64_t ldx, float *to) {
    for (int64_t i = 0; i < masks->feature_count; i++, to += FOREST_BLOCK) {
        const float *from = x + masks->features[i];
        for (int64_t r = 0; r < rows; r++) {
            to[r] = from[r * ldx];
        }
    }
}

static void masks_run(const struct forest *forest, int64_t rows, const float *x,
                      int64_t ldx, float *y, void *scratch) {
    const struct kernels *kernels = kernels_current();
    const int64_t targets = forest->targets;
    const struct desk desk = lay_desk(forest, scratch);
    memset(scratch, 0, desk_size(forest));
    for (int64_t row = 0; row < rows; row += FOREST_BLOCK) {
        const int64_t left = rows - row,
                      count = left < FOREST_BLOCK ? left : FOREST_BLOCK;
        gather_features(&forest->masks, count, x + row * ldx, ldx, desk.x);
        kernels->forest_codes(&forest->masks, count, desk.x, desk.codes);
        memset(desk.sums, 0, (size_t)targets * FOREST_BLOCK * sizeof(float));
        kernels->forest_sums(forest, count, desk.codes, desk.sums);
        for (int64_t r = 0; r < count; r++) {
            for (int64_t t = 0; t < targets; t++) {
                y[(row + r) * targets + t] = desk.sums[t * FOREST_BLOCK + r];
            }
        }
    }
}

/* ---- both ------------------------------------------------------------------------- */

size_t forest_scratch_size(const struct forest *forest) {
    const size_t walk =
        (size_t)(walk_rows(&forest->walk) * forest->walk.columns) * sizeof(float);
    const size_t masks = forest->masks.rows_min == 0 ? 0 : desk_size(forest);
    return walk > masks ? walk : masks;
}

void forest_run(const struct forest *forest, int64_t rows, const float *x, int64_t ldx,
                float *y, void *scratch) {
    const float first = forest->fold == FOREST_MIN   ? INFINITY
                        : forest->fold == FOREST_MAX ? -INFINITY
                                                     : 0;
    if (forest->masks.rows_min > 0 && rows >= forest->masks.rows_min) {
        masks_run(forest, rows, x, ldx, y, scratch);
        return;
    }
    for (int64_t i = 0; i < rows * forest->targets; i++) {
        y[i] = first;
    }
    walk_run(forest, rows, x, ldx, y, scratch);
}
