/* fail_job.h - failures on purpose, for tests of whole workers.
 *
 * MILLRACE_FAIL_JOB="NAME:KEY[:COUNT]" makes the worker fail at the place of that name
 * for records of that key ("*": of any): at their first COUNT attempts, or at all.  The
 * places:
 *
 *     no_memory   decoding fails as it does where memory is short
 *     crash       the process is aborted as the batch with the record is computed
 *     slow        computing the batch with the record takes FAIL_JOB_SLOW_S longer
 *
 * Depends on: base/span.h.
 * Ownership: the variable's text is kept as it is.
 * Threads: fail_job_load before they start, the rest on any. */
#ifndef MILLRACE_BASE_FAIL_JOB_H
#define MILLRACE_BASE_FAIL_JOB_H

#include <stdbool.h>

#include "base/span.h"

enum fail_job { FAIL_NO_MEMORY, FAIL_CRASH, FAIL_SLOW, FAIL_JOB_COUNT };

#define FAIL_JOB_SLOW_S 12

/* Reads the variable; its text if it is set and understood, "" if it is not understood,
 * and NULL if it is not set. */
const char *fail_job_load(void);

/* Is there any?  Spares others the questions. */
bool fail_job_is_set(void);

/* Is `attempt`, counted from 1, of the record with that key to fail here? */
bool fail_job_hits(enum fail_job point, struct span key, int attempt);

#endif
