/* external.h - weights in files beside the model.
 *
 * A tensor of an ONNX file may say that its data is in another file: a path, an offset
 * and a length, all of the file's own choosing.  So a path is resolved by the kernel
 * below the model's folder and nowhere else (openat2, RESOLVE_BENEATH), whatever "..",
 * absolute paths and symbolic links say; only regular files are read; and what is asked
 * for must lie inside the file.  Data is read, not mapped: a file that gets shorter
 * meanwhile is an error, not a signal.
 *
 * Depends on: base/.
 * Ownership: owns descriptors until external_close.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_EXTERNAL_H
#define MILLRACE_ENGINE_EXTERNAL_H

#include <stdint.h>

#include "base/status.h"

struct external {
    int folder; /* descriptor */
    int file;   /* the one read last, or -1 */
    char *name; /* its path, owned; NULL without one */
    uint64_t size;
};

/* The folder of the model at `path`.  On failure *external is closed. */
MUST_CHECK enum status external_open(struct external *external, const char *path,
                                     struct error *err);

/* Opens the file at `path`, relative to the folder, and finds out whether it has `size`
 * bytes at `offset`: before any memory is asked for. */
MUST_CHECK enum status external_find(struct external *external, const char *path,
                                     uint64_t offset, uint64_t size, struct error *err);

/* Fills `to` from the file found last. */
MUST_CHECK enum status external_read(const struct external *external, uint64_t offset,
                                     void *to, size_t size, struct error *err);

void external_close(struct external *external);

#endif
