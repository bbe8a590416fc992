/* init_schema.h - the schema of a topic's records: of a file, by its subject in a
 * registry, or by the id of the first record that the topic holds.
 *
 * Depends on: codec/avro_schema.h, registry/registry.h, tools/kafka_io.h.
 * Ownership: a struct init_schema owns what it found, until init_schema_release.
 * Threads: the main thread. */
#ifndef MILLRACE_TOOLS_INIT_SCHEMA_H
#define MILLRACE_TOOLS_INIT_SCHEMA_H

#include "registry/registry.h"
#include "tools/registry_options.h"

struct init_schema_opts {
    const char *file;                      /* NULL: ask the registry */
    const struct registry_flags *registry; /* no file and no URLs: there is none */
    const char *topic;                     /* whose records they are */
    const char *bootstrap;                 /* NULL: the topic is not looked into */
};

struct init_schema {
    const struct avro_node *record;          /* NULL where there is none */
    char subject[REGISTRY_SUBJECT_SIZE_MAX]; /* "" for the topic's own */
    struct avro_schema *of_file;
    struct registry *registry;
};

/* Finds it; the error says what to give instead. */
MUST_CHECK enum status init_schema_find(const struct init_schema_opts *opts,
                                        struct init_schema *schema, struct error *err);
/* Accepts a zeroed one. */
void init_schema_release(struct init_schema *schema);

#endif
