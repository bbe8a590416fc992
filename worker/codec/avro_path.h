/* avro_path.h - paths into a record: "customer.address.zip", "lines.price",
 * "attrs[\"a.b\"]".
 *
 * A name is a field of a record or a key of a map; in brackets it may hold anything.
 * Arrays are passed through: "lines.price" is the price of every line.  So are unions:
 * the path goes on in the first branch that has it.
 *
 * Depends on: codec/avro_schema.h.
 * Ownership: what is found points into the schema.
 * Threads: pure functions. */
#ifndef MILLRACE_CODEC_AVRO_PATH_H
#define MILLRACE_CODEC_AVRO_PATH_H

#include "codec/avro_schema.h"

#define AVRO_PATH_SIZE_MAX 1024 /* bytes */

/* Takes the next name off `path`: false at its end; STATUS_INVALID in `err`, and false,
 * where it is malformed (`err->status` tells: it is set to STATUS_OK else). */
MUST_CHECK bool avro_path_next(const char **path, char name[AVRO_PATH_SIZE_MAX],
                               struct error *err);

/* What stands at the end of a path. */
struct avro_path_end {
    const struct avro_node *type; /* of one value: no array and no union */
    int lists;                    /* arrays on the way */
    bool nullable;                /* it, or what holds it, may be null */
};

/* STATUS_INVALID where the path leads nowhere, with the names that do exist, or ends at a
 * record, a map or null. */
MUST_CHECK enum status avro_path_find(const struct avro_node *root, const char *path,
                                      struct avro_path_end *end, struct error *err);

/* Calls `found` with the path of every value below `root`, in the schema's order; maps
 * have none, as their keys are not known.  At most `count_max` of them. */
void avro_path_each(const struct avro_node *root, size_t count_max,
                    void (*found)(void *opaque, const char *path), void *opaque);

#endif
