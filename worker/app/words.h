/* words.h - the vocabularies and labels that a configuration names.
 *
 * Depends on: config/record.h, codec/vocabulary.h.
 * Ownership: a struct words owns the vocabularies it has read.
 * Threads: one reads; then any. */
#ifndef MILLRACE_APP_WORDS_H
#define MILLRACE_APP_WORDS_H

#include "codec/vocabulary.h"
#include "config/record.h"

#define WORDS_FILE_SIZE_MAX ((size_t)64 << 20) /* bytes */

struct words_item;

struct words {
    struct words_item *first; /* owned */
};

/* Makes a vocabulary of a list of words, or of a file's lines. */
MUST_CHECK enum status words_read(struct words *words, const struct config_words *from,
                                  int64_t unknown, bool refuse_unknown,
                                  const struct vocabulary **out, struct error *err);

/* Accepts a zeroed struct. */
void words_release(struct words *words);

#endif
