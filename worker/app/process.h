/* process.h - the process's own figures, under Prometheus's usual names.
 *
 * Depends on: nothing of ours; Linux's /proc.  A figure that cannot be read is left out.
 * Ownership: nothing is kept.
 * Threads: any. */
#ifndef MILLRACE_APP_PROCESS_H
#define MILLRACE_APP_PROCESS_H

#include <stdint.h>
#include <stdio.h>

/* Writes the process_ metrics; `start_ms` is when it started, by clock_wall_ms. */
void process_write(FILE *to, int64_t start_ms);

#endif
