/* spool.h - standard input as a file that can be read at any place, and again.
 *
 * A file that was redirected is used as it is.  What comes through a pipe is kept in a
 * file without a name in $TMPDIR (/tmp if not given), which is gone with the process.
 *
 * Depends on: base/status.h.
 * Ownership: the descriptor is the caller's.
 * Threads: one. */
#ifndef MILLRACE_TOOLS_SPOOL_H
#define MILLRACE_TOOLS_SPOOL_H

#include "base/status.h"

/* Reads to the end before it returns. */
MUST_CHECK enum status spool_standard_input(int *fd, struct error *err);

#endif
