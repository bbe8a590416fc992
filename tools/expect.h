/* expect.h - which answers are waited for, and what is said of them.
 *
 * An expectation is "PREFIX=COUNT[:LABELS.npy]": answers to the jobs PREFIX000000 up to
 * PREFIX and COUNT - 1, held against row (number modulo rows) of the labels.
 *
 * How an answer is judged follows from the shapes.  A label row of L values (1 for labels
 * of shape [rows]) splits the first output into L groups: a group of one value is a
 * probability, right if it is above 0.5 exactly where the label is 1; a larger group is
 * right if its largest value stands where the label says.  A label of -1 is not judged.
 *
 * Depends on: codec/result.h, tools/npy.h.
 * Ownership: an expectation owns its arrays until expect_release; `prefix` is borrowed.
 * Threads: one. */
#ifndef MILLRACE_TOOLS_EXPECT_H
#define MILLRACE_TOOLS_EXPECT_H

#include "codec/result.h"
#include "tools/npy.h"

#define EXPECT_COUNT_MAX INT64_C(1000000000)

struct expect {
    struct span prefix;
    int64_t count, first; /* numbers first .. first + count - 1 */
    struct npy_array labels;
    bool has_labels;

    bool *seen;          /* owned; an answer came; [count] */
    int32_t *latency_ms; /* owned; of the first `timed` answers */
    int64_t answered, duplicates, timed;
    int64_t batch_sum;                  /* of batch sizes, over the answered */
    int64_t first_ms, last_ms;          /* earliest job, latest result; 0 for none */
    int64_t judged, right;              /* labels */
    char model[JOB_MODEL_SIZE_MAX + 1]; /* who answered; "(several)" */
};

/* Reads an expectation, and its labels.  STATUS_INVALID. */
MUST_CHECK enum status expect_parse(const char *text, struct expect *expect,
                                    struct error *err);

/* The same from its parts; `labels` may be NULL. */
MUST_CHECK enum status expect_make(struct span prefix, int64_t first, int64_t count,
                                   const char *labels, struct expect *expect,
                                   struct error *err);

/* Accepts a zeroed expectation and leaves it zeroed. */
void expect_release(struct expect *expect);

/* The job's number if `id` is one of those waited for, -1 otherwise. */
int64_t expect_number(const struct expect *expect, struct span id);

/* Takes one answer to job `number`.  `y` is the first output, NULL for none; an answer
 * that came before only counts as a duplicate. */
void expect_answer(struct expect *expect, int64_t number, const struct result *result,
                   int64_t result_ms, const struct tensor *y);

/* The latency that a share of the answers did not pass, in milliseconds; -1 for none.
 * Sorts latency_ms. */
int32_t expect_latency_ms(struct expect *expect, double share);

/* Answers a second, from the first job's timestamp to the last result's; 0 for none. */
double expect_rate(const struct expect *expect);

#endif
