/* text.h - small helpers for text that a person wrote.
 *
 * Depends on: base/compiler.h.  Ownership: nothing is kept.  Threads: pure. */
#ifndef MILLRACE_BASE_TEXT_H
#define MILLRACE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define TEXT_NEAREST_SIZE_MAX 64 /* bytes; longer words are near to nothing */

/* How many insertions, deletions, replacements and swaps of neighbours lead from `a`
 * to `b` (optimal string alignment); SIZE_MAX if one is too long. */
size_t text_distance(const char *a, const char *b);

/* The candidate nearest to `word`, or NULL where none is near enough to be what was
 * meant: at most a third of the longer word may differ. */
const char *text_nearest(const char *word, const char *const *candidates, size_t count);

/* Reads a whole decimal number with an optional sign; false for anything else, for
 * blanks and for a number that does not fit. */
MUST_CHECK bool text_parse_int(const char *text, int64_t *out);
MUST_CHECK bool text_parse_int_bytes(const void *bytes, size_t size, int64_t *out);

/* Is it well-formed UTF-8 (RFC 3629): no overlong forms, surrogates or cut characters? */
bool text_is_utf8(const char *text);

/* Bytes of the character at `text`, which does not end there; 0 if it is malformed. */
size_t text_char_size(const char *text);

/* Makes fit for a terminal and a log what may be of a hostile file: each byte that is
 * malformed, or a control but for tabs and line feeds, becomes a question mark. */
void text_clean(char *text);

#endif
