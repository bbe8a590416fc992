/* recipe.h - a route's `record`, made ready: words read, names found in the model.
 *
 * What is left is a schema: recipe_apply makes of one what its records need.
 *
 * Depends on: config, batch/batch.h, codec/mapping.h, codec/record_out.h,
 * registry/folder.h. Ownership: a recipe owns words, reader's schema and folder; what is
 * made by it borrows from it, and from the config.  The model is needed to make it alone.
 * Threads: read-only once made, for any. */
#ifndef MILLRACE_APP_RECIPE_H
#define MILLRACE_APP_RECIPE_H

#include "batch/batch.h"
#include "codec/mapping.h"
#include "config/config.h"
#include "registry/folder.h"

struct recipe; /* opaque */

/* STATUS_INVALID names the place of what is wrong. */
MUST_CHECK enum status recipe_create(const struct config_route *route,
                                     const struct batch_model *model, struct recipe **out,
                                     struct error *err);

/* Accepts NULL. */
void recipe_destroy(struct recipe *recipe);

/* Framing of the records that come. */
enum framing_kind recipe_framing(const struct recipe *recipe);

/* The schema of bare records, or the one of this fingerprint; NULL where there is none.
 */
const struct avro_schema *recipe_schema(const struct recipe *recipe,
                                        uint64_t fingerprint);

/* The folder of the schemas of single-object encoding, or the file of bare records; NULL
 * for records with ids of a registry. */
const struct schema_folder *recipe_schemas(const struct recipe *recipe);

/* What records written with `writer` need; `resolver` knows the types it refers to, or is
 * NULL.  STATUS_INVALID or STATUS_UNSUPPORTED, with the place, where it does not fit. */
MUST_CHECK enum status recipe_apply(const struct recipe *recipe,
                                    const struct avro_schema *writer,
                                    const struct avro_resolver *resolver,
                                    struct mapping **mapping, struct record_out **out,
                                    struct error *err);

#endif
