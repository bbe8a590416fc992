/* registry_store.h - a schema registry in memory: what `millrace registry` answers.
 *
 * The paths, answers and error codes of Confluent's Schema Registry, for Avro: schemas by
 * id, subjects and their versions, references, compatibility in all of its levels.
 * Nothing is ever deleted, and all is gone with the process: for tests and demos.
 *
 * Depends on: codec/avro_schema.h, codec/plan.h; jansson.
 * Ownership: the store owns its schemas; an answer's body is the caller's.
 * Threads: one at a time. */
#ifndef MILLRACE_TOOLS_REGISTRY_STORE_H
#define MILLRACE_TOOLS_REGISTRY_STORE_H

#include <jansson.h>

#include "codec/avro_schema.h"

#define REGISTRY_STORE_MAX 1024 /* schemas, subjects, and versions of a subject */

struct registry_store; /* opaque */

struct registry_answer {
    unsigned code; /* of HTTP */
    json_t *body;  /* owned by the caller; NULL without memory */
};

/* NULL without memory. */
struct registry_store *registry_store_create(void);
void registry_store_destroy(struct registry_store *store);

/* `path` is decoded and has no query; `body` may be NULL. */
struct registry_answer registry_store_answer(struct registry_store *store,
                                             const char *method, const char *path,
                                             const json_t *body);

#endif
