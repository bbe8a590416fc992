/* digest.h - the SHA-256 of a file, by which a model's answers name it.
 *
 * Depends on: base/status.h, libcrypto.
 * Ownership: the caller's memory.
 * Threads: any. */
#ifndef MILLRACE_APP_DIGEST_H
#define MILLRACE_APP_DIGEST_H

#include <stdint.h>

#include "base/status.h"

#define DIGEST_SIZE 32
#define DIGEST_TEXT_SIZE (2 * DIGEST_SIZE + 1) /* hexadecimal, and the final 0 */

/* STATUS_INVALID names the file that cannot be read. */
MUST_CHECK enum status digest_file(const char *path, uint8_t digest[DIGEST_SIZE],
                                   struct error *err);

void digest_text(const uint8_t digest[DIGEST_SIZE], char text[DIGEST_TEXT_SIZE]);

#endif
