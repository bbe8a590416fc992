/* keys.h - the table of settings: the schema that libconfig lacks.
 *
 * A section is a group of the file ("worker"), a list of groups ("models"), or a group
 * whose members are librdkafka's properties and not ours to know ("kafka").
 *
 * Each section stands with its keys in a file keys_*.c; keys.c lists and finds them.
 *
 * Depends on: config/config.h.
 * Ownership: the table is static and immutable.
 * Threads: any. */
#ifndef MILLRACE_CONFIG_KEYS_H
#define MILLRACE_CONFIG_KEYS_H

#include <stdint.h>

#include "config/config.h"

enum key_type {
    KEY_TEXT,   /* const char *; min and max are bytes */
    KEY_NAME,   /* the same, of letters, digits and "._-", as Kafka names topics */
    KEY_PATH,   /* the same, made relative to the configuration file's folder */
    KEY_INT,    /* int; min and max are values */
    KEY_CHOICE, /* an enum: the index into `choices` */
    KEY_SECRET, /* the same as KEY_TEXT, never shown */
    KEY_TEXTS,  /* const char *const * and a size_t: max is the count */
    KEY_GROUP,  /* a pointer to the struct of a section of its own; NULL if not given */
    KEY_OWN     /* what `take` makes of it */
};

struct loader;
struct given;
struct section;

struct key {
    const char *name;
    enum key_type type;
    size_t offset;               /* of the field in the section's struct */
    size_t count_offset;         /* of the count, for KEY_TEXTS */
    int64_t min, max;            /* see enum key_type */
    const char *fallback;        /* the default as text; NULL: must be given */
    const char *const *choices;  /* of KEY_CHOICE; ends with NULL */
    const struct section *group; /* of KEY_GROUP */
    /* Of KEY_OWN: stores a setting of the file in the section's struct at `base`, or
     * reports why not. */
    void (*take)(struct loader *loader, const struct given *given, char *base);
    const char *form; /* of KEY_GROUP and KEY_OWN: what is allowed */
    const char *help; /* sentences for the reference */
};

enum section_kind { SECTION_GROUP, SECTION_LIST, SECTION_PROPERTIES };

struct section {
    const char *name;
    enum section_kind kind;
    size_t offset;    /* in struct config: of a group's or properties' struct */
    size_t item_size; /* of a list's items */
    size_t items_max; /* of a list or of properties */
    const struct key *keys;
    size_t key_count;
    const char *help;
};

#define KEYS(array) .keys = (array), .key_count = ARRAY_COUNT(array)

/* keys_worker.c, keys_models.c, keys_routes.c, keys_registry.c */
extern const struct section worker_section, http_section, log_section, control_section;
extern const struct section models_section, routes_section, registry_section;
/* The group `record` of a route: keys_record.c. */
extern const struct section record_section;

/* All sections, in the order of the reference; *count of them. */
const struct section *const *sections(size_t *count);

/* The section, the key of that name, or NULL. */
const struct section *section_find(const char *name);
const struct key *key_find(const struct section *section, const char *name);

/* The name nearest to `name`, or NULL. */
const char *section_nearest(const char *name);
const char *key_nearest(const struct section *section, const char *name);

/* Writes the variable's name, "MILLRACE_WORKER_THREADS", to `text`; `key` may be "". */
#define KEY_VARIABLE_MAX 128 /* bytes */
void key_variable(const struct section *section, const char *key, char *text,
                  size_t size);

/* Writes what is allowed, "a whole number from 0 to 512", to `text`. */
#define KEY_ALLOWED_MAX 256 /* bytes */
void key_allowed(const struct key *key, char *text, size_t size);

#endif
