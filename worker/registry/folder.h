/* folder.h - a folder of Avro schemas (*.avsc), by fingerprint and by name.
 *
 * For single-object encoding, whose messages give the CRC-64-AVRO of their schema, and
 * for bare records, whose schema a route names.  Files may use the named types of others.
 *
 * Depends on: codec/avro_schema.h.
 * Ownership: the folder owns its schemas.
 * Threads: read-only once open, for any. */
#ifndef MILLRACE_REGISTRY_FOLDER_H
#define MILLRACE_REGISTRY_FOLDER_H

#include "codec/avro_schema.h"

#define FOLDER_FILES_MAX 1024

struct schema_folder; /* opaque */

/* Reads every *.avsc in `path`, not below it; or the one file that `path` is.
 * STATUS_INVALID names the file that is no schema. */
MUST_CHECK enum status schema_folder_open(const char *path, struct schema_folder **out,
                                          struct error *err);

/* Accepts NULL. */
void schema_folder_close(struct schema_folder *folder);

size_t schema_folder_count(const struct schema_folder *folder);

/* The schema at `index`, below schema_folder_count. */
const struct avro_schema *schema_folder_at(const struct schema_folder *folder,
                                           size_t index);

/* NULL where there is none. */
const struct avro_schema *schema_folder_find(const struct schema_folder *folder,
                                             uint64_t fingerprint);

/* By the full name of the type that the file defines, or by the file's name, with or
 * without its ending; NULL where there is none. */
const struct avro_schema *schema_folder_named(const struct schema_folder *folder,
                                              const char *name);

#endif
