/* failpoint.h - named places where a test may hurt the process.
 *
 *     MILLRACE_FAIL_POINT=NAME      the first time that the place NAME is reached
 *     MILLRACE_FAIL_POINT=NAME:N    the Nth time
 *     MILLRACE_FAIL_POINT=NAME/N    every Nth time
 *
 * It is for tests of crashes, and costs a comparison where the variable is not set; so
 * the places stay in the release, and what is tested is what runs.
 *
 * Depends on: base/compiler.h.  Threads: any; the count is atomic. */
#ifndef MILLRACE_BASE_FAILPOINT_H
#define MILLRACE_BASE_FAILPOINT_H

#include <stdbool.h>

/* Whether it is the time that the variable names: the caller then fails as it may. */
bool failpoint_hit(const char *name);

/* The same, and the process dies by SIGKILL, as in a power cut. */
void failpoint_die(const char *name);

#endif
