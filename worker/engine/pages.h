/* pages.h - what the kernel is told about large memory.
 *
 * Weights of hundreds of megabytes cost a fault for each page of 4 kB when they are
 * packed, and a miss of the TLB for each when they are read: large blocks ask for pages
 * of 2 MB, but for the very largest (graph.c).  Advice only: where it is refused all
 * works the same.
 *
 * Depends on: nothing.
 * Ownership: the caller's memory, freed by free().  Threads: any. */
#ifndef MILLRACE_ENGINE_PAGES_H
#define MILLRACE_ENGINE_PAGES_H

#include <stddef.h>

#include "base/compiler.h"

/* 64-byte aligned memory of `size` bytes, a multiple of 64; NULL where there is none. */
MUST_CHECK void *pages_alloc(size_t size);

/* The bytes, which are those of a file's mapping, will not be read again. */
void pages_forget(void *data, size_t size);

#endif
