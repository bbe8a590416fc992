/* fail_point.h - failures on purpose, for tests of whole workers.
 *
 * MILLRACE_FAIL_POINT="NAME:KEY[:COUNT]" makes the worker fail at the place of that name
 * for records of that key ("*": of any): at their first COUNT attempts, or at all.  The
 * places:
 *
 *     no_memory   decoding fails as it does where memory is short
 *     crash       the process is aborted as the batch with the record is computed
 *
 * Depends on: base/span.h.
 * Ownership: the variable's text is kept as it is.
 * Threads: fail_point_load before they start, the rest on any. */
#ifndef MILLRACE_BASE_FAIL_POINT_H
#define MILLRACE_BASE_FAIL_POINT_H

#include <stdbool.h>

#include "base/span.h"

enum fail_point { FAIL_NO_MEMORY, FAIL_CRASH, FAIL_POINT_COUNT };

/* Reads the variable; its text if it is set and understood, "" if it is not understood,
 * and NULL if it is not set. */
const char *fail_point_load(void);

/* Is there any?  Spares others the questions. */
bool fail_point_is_set(void);

/* Is `attempt`, counted from 1, of the record with that key to fail here? */
bool fail_point_hits(enum fail_point point, struct span key, int attempt);

#endif
