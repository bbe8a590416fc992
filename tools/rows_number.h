/* rows_number.h - numbers of text files, read and written as fast as they come.
 *
 * Reading is correctly rounded.  Writing gives the fewest digits, of those that are tried
 * (6 to 9, 15 to 17), that read back as the same number.
 *
 * Depends on: base/.  Ownership: nothing is kept.  Threads: pure. */
#ifndef MILLRACE_TOOLS_ROWS_NUMBER_H
#define MILLRACE_TOOLS_ROWS_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define ROWS_NUMBER_SIZE_MAX 32 /* bytes of a number, written */

/* The number at `at`, of which 8 bytes behind its end may be read; returns the place
 * behind it, or NULL where it is none, or one for rows_real_slow. */
MUST_CHECK const char *rows_real(const char *at, double *out);

/* The number that is all of the text: any length, and inf and nan. */
MUST_CHECK bool rows_real_slow(const char *text, size_t size, double *out);

/* A whole number that is all of the text. */
MUST_CHECK bool rows_long(const char *text, size_t size, int64_t *out);

/* Return the place behind; no final 0.  NaN is "nan", the infinities "inf", "-inf". */
char *rows_put_long(char *to, int64_t value);
char *rows_put_float(char *to, float value);
char *rows_put_double(char *to, double value);

#endif
