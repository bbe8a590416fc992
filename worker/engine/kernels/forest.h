/* forest.h - decision trees by the hundred: the leaf that each gives a row, and their
 * sum.
 *
 * A node compares one feature with a number: `x <= value` goes to yes, all else to no,
 * NaN included.  There are two layouts, which give the same bits, for a row's sum is one
 * chain in the order of the trees:
 *
 *     walk    records that lead to each other; eight rows, or eight trees of one row, are
 *             walked side by side, so that one's loads hide behind the others'
 *     masks   for trees of few leaves and rows by the dozen: nothing is walked.  Features
 *             become codes of one byte, and each node that says no strikes the leaves on
 *             its yes side from a set of bits; the first leaf left is the row's.
 *
 *         leaves    0 1 2 3 | 4 5 6 7        planes of 8 leaves: a byte for each row
 *         node      x2 > 0.5 strikes 0 1     one compare and two logical operations serve
 *                                            32 or 64 rows
 *
 * Source of masks: QuickScorer (Lucchese et al., SIGIR 2015); of planes of bytes:
 * RapidScorer (Ye et al., KDD 2018).
 *
 * Depends on: nothing.
 * Ownership: arrays are borrowed, and made at load (engine/ops/ml_forest.c).
 * Threads: a forest is read-only; scratch belongs to one call. */
#ifndef MILLRACE_ENGINE_KERNELS_FOREST_H
#define MILLRACE_ENGINE_KERNELS_FOREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOREST_BLOCK 64      /* rows that masks are computed for at once */
#define FOREST_CODES_MAX 255 /* thresholds of one column of codes */
#define FOREST_PLANE 8       /* leaves of a plane */
#define FOREST_PLANES_MAX 32 /* so that a leaf's number is a byte */

enum forest_kind {
    FOREST_ONE,  /* a leaf has one weight, a tree one target */
    FOREST_EACH, /* a leaf has a weight for each target */
    FOREST_LIST, /* any weights for any targets */
};

enum forest_fold { FOREST_SUM, FOREST_MIN, FOREST_MAX };

struct forest_weight {
    uint32_t target;
    float value;
};

/* A record is two words, or three where they do not fit:
 *
 *     bits of value, to_yes << column_bits | column
 *     bits of value, column, to_yes
 *
 * The record of yes is to_yes records behind, that of no follows it.  A leaf has column 0
 * and to_yes 0, so that a step from it leads nowhere; its value is its weight or, but for
 * FOREST_ONE, its number. */
struct forest_walk {
    const uint32_t *records;
    const uint32_t *roots;    /* [trees] */
    const uint32_t *steps;    /* [trees] from the root to the nearest leaf */
    unsigned column_bits;     /* 0: three words */
    const uint32_t *features; /* [columns]: feature << 1 | negated; 0 is -infinity */
    int64_t columns;
};

/* x becomes the number of thresholds below it, NaN 0 or FOREST_CODES_MAX. */
struct forest_column {
    const float *thresholds; /* ascending; filled up to 2^halvings - 1 with infinity */
    int halvings;
    uint32_t slot; /* of the feature among forest_masks.features */
    bool nan_high;
};

/* Where the code in `column` is above `code`, `strike` leaves of a plane are out. */
struct forest_test {
    uint32_t column; /* offset of its codes: a multiple of FOREST_BLOCK */
    uint32_t code;   /* less 128, four times */
    uint32_t strike; /* a bit for each leaf, four times */
};

struct forest_masks {
    const uint32_t *features; /* [feature_count], those that are asked for */
    int64_t feature_count;
    const struct forest_column *columns;
    int64_t column_count;
    const uint32_t *plane_counts; /* [trees] */
    const uint32_t *test_counts;  /* [planes of all trees]; the tests lie in that order */
    const struct forest_test *tests;
    const float *values; /* for each tree and target of a leaf: [FOREST_PLANE * planes] */
    int64_t rows_min;    /* from how many rows on masks are faster; 0: there are none */
};

struct forest {
    enum forest_kind kind;
    enum forest_fold fold; /* other than FOREST_SUM: of FOREST_LIST only */
    int64_t trees, targets;
    const uint32_t *tree_targets;     /* FOREST_ONE: [trees] */
    const float *each;                /* FOREST_EACH: [leaves, targets] */
    const struct forest_weight *list; /* FOREST_LIST: leaf i has those from firsts[i] */
    const uint32_t *firsts;           /* [leaves + 1] */
    struct forest_walk walk;
    struct forest_masks masks;
};

/* Bytes of scratch for any number of rows. */
size_t forest_scratch_size(const struct forest *forest);

/* y[rows, targets] = what the leaves of all trees add up to (or the least, the most, of
 * them: infinite where there is none) for x[rows, ldx].  Scratch is 64-byte aligned. */
void forest_run(const struct forest *forest, int64_t rows, const float *x, int64_t ldx,
                float *y, void *scratch);

#endif
