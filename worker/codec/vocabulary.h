/* vocabulary.h - texts and their numbers: 0 for the first, 1 for the next, ...
 *
 * Depends on: base/status.h, base/span.h.
 * Ownership: a vocabulary owns copies of its words.
 * Threads: read-only once made, for any. */
#ifndef MILLRACE_CODEC_VOCABULARY_H
#define MILLRACE_CODEC_VOCABULARY_H

#include "base/span.h"
#include "base/status.h"

#define VOCABULARY_WORDS_MAX ((size_t)1 << 22)

struct vocabulary; /* opaque */

/* `unknown` is the number of words that are not in it; with `refuse_unknown` such a word
 * is an error instead.  STATUS_INVALID for a word that comes twice, STATUS_NO_MEMORY. */
MUST_CHECK enum status vocabulary_create(const struct span *words, size_t count,
                                         int64_t unknown, bool refuse_unknown,
                                         struct vocabulary **out, struct error *err);

/* The same of the lines of a text, a word each. */
MUST_CHECK enum status vocabulary_create_lines(struct span text, int64_t unknown,
                                               bool refuse_unknown,
                                               struct vocabulary **out,
                                               struct error *err);

/* Accepts NULL. */
void vocabulary_destroy(struct vocabulary *vocabulary);

size_t vocabulary_count(const struct vocabulary *vocabulary);

/* The word of a number below vocabulary_count. */
struct span vocabulary_word(const struct vocabulary *vocabulary, size_t index);

/* False for an unknown word where these are refused. */
MUST_CHECK bool vocabulary_find(const struct vocabulary *vocabulary, struct span word,
                                int64_t *number);

#endif
