/* registry_subjects.h - what the stand-in for a schema registry holds: schemas, and the
 * subjects whose versions they are.
 *
 * Depends on: tools/registry_store.h, whose file alone includes it.
 * Ownership: the store owns its schemas and subjects.
 * Threads: one at a time. */
#ifndef MILLRACE_TOOLS_REGISTRY_SUBJECTS_H
#define MILLRACE_TOOLS_REGISTRY_SUBJECTS_H

#include "tools/registry_store.h"

#define REGISTRY_NAME_SIZE_MAX 512
#define REGISTRY_LEVEL_SIZE_MAX 24

struct stored { /* a schema; its id is its place, from 1 */
    char *text; /* owned */
    json_t *references;
    struct avro_schema *schema;
};

struct subject {
    char name[REGISTRY_NAME_SIZE_MAX];
    char level[REGISTRY_LEVEL_SIZE_MAX]; /* of compatibility; "" for the registry's */
    int ids[REGISTRY_STORE_MAX];         /* by version, from 1 */
    int count;
};

struct registry_store {
    struct stored schemas[REGISTRY_STORE_MAX];
    int schema_count;
    struct subject *subjects[REGISTRY_STORE_MAX]; /* owned */
    int subject_count;
    char level[REGISTRY_LEVEL_SIZE_MAX];
};

struct subject *store_find_subject(struct registry_store *store, const char *name);
/* The subject of that name, made where there is none; NULL where there is no room. */
struct subject *store_make_subject(struct registry_store *store, const char *name);
/* The version of a number or "latest"; 0 where there is none. */
int store_find_version(const struct subject *subject, const char *text);
/* The version that a schema's id has there; 0 for none. */
int store_version_of(const struct subject *subject, int id);
/* The id of a schema; 0 where it is not there. */
int store_find_schema(const struct registry_store *store, const char *text,
                      const json_t *references);
/* Without blanks, so that the same schema has one id; the caller frees it. */
char *store_squeeze(const char *text);

struct store_lookup { /* of a schema's references */
    struct registry_store *store;
    const json_t *references;
};

/* An avro_resolver's: looks in the schemas referred to, and in those that they refer to.
 */
const struct avro_node *store_find_type(void *opaque, const char *name);

/* The subject's level of compatibility, or the registry's. */
const char *store_level_of(const struct registry_store *store,
                           const struct subject *subject);
/* The version from which on a new schema must be compatible, from 0. */
int store_first_checked(const struct registry_store *store,
                        const struct subject *subject);
/* Can `next` stand behind the subject's versions from `first` on? */
MUST_CHECK bool store_compatible(struct registry_store *store,
                                 const struct subject *subject, int first,
                                 const struct avro_schema *next, struct error *err);

#endif
