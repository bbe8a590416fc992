/* folder.h - a folder for a model whose weights lie in files: what it may read, and what
 * it must not.
 *
 *     FOLDER/outside          holds the secret
 *     FOLDER/models/data      may be read, as may below/data and link
 *     FOLDER/models/empty     has no bytes
 *     FOLDER/models/link_out, link_far, link_up, fifo, zero   lead out, or are no files
 *
 * Ownership: the folder goes when the process ends.  Threads: one. */
#ifndef MILLRACE_TESTS_FUZZ_FOLDER_H
#define MILLRACE_TESTS_FUZZ_FOLDER_H

#include <stdbool.h>

#include "base/span.h"

void folder_make(void);

/* Where the model would be. */
const char *folder_model(void);

/* Do the bytes hold what stands outside?  It differs in each process. */
bool folder_holds_secret(struct span bytes);

#endif
