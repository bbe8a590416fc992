/* registry.h - schemas of a Confluent Schema Registry, by their ids.
 *
 * Nobody waits for the network: registry_find answers from memory, and for an id that is
 * not known yet it says STATUS_AGAIN and has a thread fetch it, with the schemas that it
 * refers to.  What that finds stays, since a registry never changes the schema of an id.
 *
 *     the id is known             STATUS_OK
 *     it is being fetched         STATUS_AGAIN: ask again later
 *     the registry is away,       STATUS_AGAIN, and err tells what it said; tried again
 *     5xx, 429, a time-out        after a pause that doubles up to backoff_max_ms
 *     404                         STATUS_POISON: the record's fault; asked for anew after
 *                                 missing_ms, as registries may lag behind each other
 *     no schema that we can read  STATUS_POISON, with the reason
 *     401, 403, other answers     STATUS_AGAIN: the operator's to mend, and err tells
 *
 * Depends on: base/, codec/avro_schema.h, registry/http_client.h; jansson.
 * Ownership: schemas are the registry's, as long as it lives.
 * Threads: all functions from any; one thread of its own. */
#ifndef MILLRACE_REGISTRY_REGISTRY_H
#define MILLRACE_REGISTRY_REGISTRY_H

#include "codec/avro_schema.h"
#include "registry/http_client.h"

#define REGISTRY_SCHEMAS_MAX 4096   /* ids in memory */
#define REGISTRY_REFERENCES_MAX 128 /* schemas that one refers to, through others too */
#define REGISTRY_SUBJECT_SIZE_MAX 1024

struct registry_opts {
    struct http_client_opts http;
    int backoff_min_ms, backoff_max_ms; /* 0 for 100 and 10,000 */
    int missing_ms;                     /* 0 for 30,000 */
};

struct registry_reference { /* as a schema with references is registered */
    char *name, *subject;   /* owned by the schema */
    int version;
};

/* A schema of the registry. */
struct registry_schema {
    uint32_t id;
    struct avro_schema *schema;
    struct registry_reference *references; /* its own, for a schema made from it */
    int reference_count;
    struct avro_schema **others; /* those it refers to, and they, in turn */
    int other_count;
};

struct registry; /* opaque */

/* Checks the options and starts the thread; asks for nothing yet. */
MUST_CHECK enum status registry_create(const struct registry_opts *opts,
                                       struct registry **out, struct error *err);

/* Ends every wait for the network and for schemas soon; for good. */
void registry_stop(struct registry *registry);

/* Stops the thread.  Accepts NULL. */
void registry_destroy(struct registry *registry);

/* See the table above. */
MUST_CHECK enum status registry_find(struct registry *registry, uint32_t id,
                                     const struct registry_schema **schema,
                                     struct error *err);

/* The same, waiting up to timeout_ms for an answer other than STATUS_AGAIN. */
MUST_CHECK enum status registry_wait(struct registry *registry, uint32_t id,
                                     int timeout_ms,
                                     const struct registry_schema **schema,
                                     struct error *err);

/* The newest schema of a subject, as registry_wait has one.  Waits for the network.
 * STATUS_POISON where there is no such subject. */
MUST_CHECK enum status registry_latest(struct registry *registry, const char *subject,
                                       int timeout_ms,
                                       const struct registry_schema **schema,
                                       struct error *err);

/* Finds types for schemas that are made from `schema`, as a resolver's `find`. */
const struct avro_node *registry_resolve(void *schema, const char *name);

/* Registers `json` under `subject`, with the references of `like` (or none: NULL), and
 * sets *id; the same schema again has the same id.  Waits for the network.
 * STATUS_INVALID with the registry's words where the schema is incompatible with the
 * subject's (409) or refused (4xx), STATUS_AGAIN as above. */
MUST_CHECK enum status registry_register(struct registry *registry, const char *subject,
                                         const char *json,
                                         const struct registry_schema *like, uint32_t *id,
                                         struct error *err);

/* Would registry_register take the schema?  STATUS_INVALID with the registry's words
 * where it is incompatible with the subject's latest version. */
MUST_CHECK enum status registry_check(struct registry *registry, const char *subject,
                                      const char *json,
                                      const struct registry_schema *like,
                                      struct error *err);

/* How schemas are named in a registry. */
enum registry_strategy {
    REGISTRY_TOPIC,        /* TopicNameStrategy: "orders-value" */
    REGISTRY_RECORD,       /* RecordNameStrategy: "shop.Order" */
    REGISTRY_TOPIC_RECORD, /* TopicRecordNameStrategy: "orders-shop.Order" */
    REGISTRY_STRATEGY_COUNT
};

/* Writes the subject of a topic's values; STATUS_INVALID where it does not fit, or the
 * schema has no name that the strategy needs. */
MUST_CHECK enum status registry_subject(enum registry_strategy strategy,
                                        const char *topic,
                                        const struct avro_schema *schema, char *to,
                                        size_t size, struct error *err);

#endif
