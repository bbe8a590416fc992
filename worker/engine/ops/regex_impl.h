/* regex_impl.h - the program of a regular expression: made by regex_parse.c, run by
 * regex.c.
 *
 * Depends on: engine/ops/regex.h.
 * Ownership: see there.
 * Threads: see there. */
#ifndef MILLRACE_ENGINE_OPS_REGEX_IMPL_H
#define MILLRACE_ENGINE_OPS_REGEX_IMPL_H

#include "engine/ops/regex.h"

enum step_kind {
    STEP_SET, /* one character in (or, negated, not in) the ranges, then the next step */
    STEP_SPLIT, /* go on at both a and b */
    STEP_JUMP,  /* go on at a */
    STEP_BEGIN, /* the rest pass only where their condition holds, then the next step */
    STEP_END,
    STEP_LINE_BEGIN,
    STEP_LINE_END,
    STEP_WORD_EDGE,
    STEP_NO_WORD_EDGE,
    STEP_MATCH,
};

struct step {
    enum step_kind kind;
    int a, b; /* distances from this step; of a set: its first range, how many */
    bool negated;
};

struct range {
    uint32_t low, high; /* both in it */
};

struct regex {
    struct step *steps;
    struct range *ranges;
    int step_count, range_count;
};

#define REGEX_CHAR_MAX 0x10ffffU

/* The character at `at` and its length in bytes; a byte that begins none has the value
 * REGEX_CHAR_MAX + 1 + byte, which no pattern names. */
uint32_t regex_decode(struct span text, size_t at, size_t *length);

#endif
