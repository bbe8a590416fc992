/* file.h - whole files in memory.
 *
 * Depends on: base/.
 * Ownership: struct file_bytes owns its bytes until file_bytes_release.
 * Threads: any. */
#ifndef MILLRACE_TOOLS_FILE_H
#define MILLRACE_TOOLS_FILE_H

#include "base/span.h"
#include "base/status.h"

struct file_bytes {
    struct span span;
};

/* STATUS_INVALID names the file: not there, not a regular file, over size_max bytes. */
MUST_CHECK enum status file_read(const char *path, size_t size_max,
                                 struct file_bytes *bytes, struct error *err);
void file_bytes_release(struct file_bytes *bytes);

/* Makes the folder and those above it that are not there yet. */
MUST_CHECK enum status file_make_folder(const char *path, struct error *err);

/* What a failed call on a file that is written means, by its errno: STATUS_FATAL where it
 * failed on the way (the disk is full), STATUS_INVALID where the path is wrong. */
enum status file_write_status(int number);

#endif
