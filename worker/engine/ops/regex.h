/* regex.h - regular expressions of RE2's syntax, matched against whole texts in time that
 * grows with the text's length alone.
 *
 * A pattern becomes a program for a machine that is in many states at once (Thompson's
 * construction), so nothing is tried twice and no pattern takes forever.
 *
 * Not handled, and refused by name: \p classes, \C, and case folding beyond ASCII.
 *
 * Depends on: base/arena.h.
 * Ownership: a program belongs to the arena it was made in.
 * Threads: a program is read-only; scratch belongs to one call. */
#ifndef MILLRACE_ENGINE_OPS_REGEX_H
#define MILLRACE_ENGINE_OPS_REGEX_H

#include "base/arena.h"
#include "base/span.h"
#include "base/status.h"

#define REGEX_STEPS_MAX 20000 /* of a program */

struct regex;

/* STATUS_UNSUPPORTED where the pattern is none, or not handled; the text says where. */
MUST_CHECK enum status regex_compile(struct arena *arena, struct span pattern,
                                     const struct regex **out, struct error *err);

/* Bytes of scratch, aligned to 8. */
size_t regex_scratch_size(const struct regex *regex);

/* Does all of `text`, UTF-8, match?  A byte that begins no character is one by itself. */
bool regex_matches(const struct regex *regex, struct span text, void *scratch);

/* Bytes of scratch for regex_find, aligned to 8, and those of a program of `steps`. */
size_t regex_find_size(const struct regex *regex);
#define REGEX_FIND_SIZE(steps) (((steps) + 1) * (6 * sizeof(int) + 2 * sizeof(size_t)))

/* The leftmost match that begins at `from` or later, and of those the longest. */
MUST_CHECK bool regex_find(const struct regex *regex, struct span text, size_t from,
                           size_t *begin, size_t *end, void *scratch);

#endif
