/* part_file.h - a file that appears complete or not at all, and work on it that goes on
 * where it was stopped.
 *
 * What is written stands in PATH.millrace-part until part_file_finish gives it its name.
 * How far the work has come stands beside it in PATH.millrace-progress, an object of
 * JSON, replaced as a whole; so at any moment a process may be killed, and the next one
 * keeps the bytes that the progress knows of, and drops those behind.
 *
 * Depends on: base/; jansson, of which no type is needed here.
 * Ownership: a part_file owns its texts and its file until part_file_close.
 * Threads: one. */
#ifndef MILLRACE_TOOLS_PART_FILE_H
#define MILLRACE_TOOLS_PART_FILE_H

#include "base/span.h"
#include "base/status.h"

struct json_t;

struct part_file {
    char *path, *part, *progress; /* owned; of standard output the first alone */
    int fd;                       /* of `part`; negative while it is closed */
    uint64_t size;
};

/* Notes the names; opens nothing. */
MUST_CHECK enum status part_file_init(struct part_file *file, const char *path,
                                      struct error *err);
/* Only the progress, in a file of this name: of work whose output is no file. */
MUST_CHECK enum status part_file_init_progress(struct part_file *file, const char *path,
                                               struct error *err);
/* Standard output instead, which appears while it is written and is not gone on with: of
 * those below, open, write, sync and finish do what they can, and the others must not be
 * called. */
MUST_CHECK enum status part_file_init_stream(struct part_file *file, struct error *err);
/* Accepts a zeroed one; what has been written stays for the next run. */
void part_file_close(struct part_file *file);

/* What the last run has left: a new reference, or NULL. */
struct json_t *part_file_progress(const struct part_file *file);

/* Opens the file with the first `keep` bytes of the last run.  STATUS_INVALID where it
 * has fewer, or another process writes it. */
MUST_CHECK enum status part_file_open(struct part_file *file, uint64_t keep,
                                      struct error *err);

MUST_CHECK enum status part_file_write(struct part_file *file, struct span bytes,
                                       struct error *err);
/* Writes over what is there. */
MUST_CHECK enum status part_file_write_at(struct part_file *file, uint64_t offset,
                                          struct span bytes, struct error *err);

/* Sees to it that what was written survives a loss of power, then that `progress` does.
 */
MUST_CHECK enum status part_file_sync(struct part_file *file, struct error *err);
MUST_CHECK enum status part_file_save(struct part_file *file,
                                      const struct json_t *progress, struct error *err);

/* Gives the file its name, over what may be there. */
MUST_CHECK enum status part_file_finish(struct part_file *file, struct error *err);
/* Removes the progress; the last thing to do. */
void part_file_forget(const struct part_file *file);

/* Removes all there is of it, where nothing is worth to be kept. */
void part_file_discard(const struct part_file *file);

/* "size-mtime-checksum" of a file: its size, when it was changed, and its first bytes. */
#define PART_FILE_IDENTITY_MAX 96
MUST_CHECK enum status part_file_identity(const char *path,
                                          char text[PART_FILE_IDENTITY_MAX],
                                          struct error *err);

#endif
