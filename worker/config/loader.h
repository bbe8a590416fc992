/* loader.h - what the steps of config_load share; nobody else includes it.
 *
 *     source.c      the file and its includes -> libconfig's tree
 *     names.c       names that are no setting
 *     load.c        tree, environment, flags -> struct config, section by section
 *     value.c       one setting: type and limits
 *     properties.c  librdkafka's properties
 *     record*.c     a route's record: inputs, their sources and steps, answers
 *     check.c       what concerns more than one setting
 *     changes.c     what differs between two loads
 *
 * A step reports a problem and carries on, so that all problems come at once.
 *
 * Depends on: config/keys.h, base/arena.h; libconfig.
 * Ownership: what outlives the load is in box->arena, the rest in the loader.
 * Threads: one. */
#ifndef MILLRACE_CONFIG_LOADER_H
#define MILLRACE_CONFIG_LOADER_H

#include <libconfig.h>

#include "base/arena.h"
#include "config/keys.h"

/* What config_load hands out is the first field. */
struct config_box {
    struct config config;
    struct arena arena; /* owns all that config points to */
};

struct loader {
    struct config_box *box;
    struct arena scratch; /* for the time of the load */
    const char *path;     /* of the configuration file */
    const char *folder;   /* it is in; "." if the path names none */
    config_t tree;
    const char *const *overrides;
    size_t override_count;

    struct config_model *models; /* the same as box->config's, not yet const */
    struct config_route *routes;
    struct config_value *values; /* room for value_max */
    size_t value_max;
    const char **files; /* room for CONFIG_FILES_MAX */

    config_problem_fn *on_problem; /* may be NULL */
    void *opaque;
    struct error *err;    /* holds the first problem */
    size_t problem_count; /* all of them */
    bool no_memory;       /* a request failed: the load ends with STATUS_NO_MEMORY */
};

/* Bytes of a value or name that a message quotes. */
#define LOADER_SHOWN_MAX 64

/* Reports one problem; control characters of what it quotes are masked. */
void loader_problem(struct loader *loader, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Text in the box's arena; "" with loader->no_memory set where memory runs out. */
const char *loader_format(struct loader *loader, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Zeroed items in the box's arena, or NULL with no_memory set. */
MUST_CHECK void *loader_alloc(struct loader *loader, size_t count, size_t size);

/* Reads loader->path into loader->tree and lists the files.  False: a problem was
 * reported and there is no tree. */
MUST_CHECK bool source_read(struct loader *loader);

/* "FILE:LINE" of a setting of the tree. */
const char *source_where(struct loader *loader, const config_setting_t *setting);

/* Where a setting's value comes from; exactly one of text and node is set. */
struct given {
    const char *name;             /* "worker.threads", "models[0].path" */
    const char *origin;           /* for messages and reports */
    const char *text;             /* of a flag, a variable or a default */
    const config_setting_t *node; /* of the file */
};

/* Stores what was given in the struct at `base`, or reports why not. */
void value_take(struct loader *loader, const struct key *key, const struct given *given,
                char *base);

/* Adds a line to the report of settings; `sum` is of all that was written. */
void value_note(struct loader *loader, const char *name, const char *text,
                const char *origin, uint64_t sum);

/* Two that are the same have the same sum, and no others, but by the rarest chance. */
uint64_t changes_sum_text(const char *text);
uint64_t changes_sum_node(const config_setting_t *node);

/* What the file holds for a value, as text; NULL for a group, list or array. */
const char *value_text(struct loader *loader, const config_setting_t *node);

/* A KEY_GROUP: a section of its own. */
void group_take(struct loader *loader, const struct key *key, const struct given *given,
                char *base);

/* May `text` stand in logs and headers: UTF-8, and no control characters? */
bool value_is_clean(const char *text);

/* The path as it is to be opened, from what the file says. */
const char *value_path(struct loader *loader, const char *text);

/* Does `text` keep Kafka's rule for topic names? */
bool value_is_name(const char *text);

/* Loads kafka, consumer or producer; `group` is NULL where the file has none. */
void properties_load(struct loader *loader, const struct section *section,
                     config_setting_t *group);

/* Writes the reference of the forms that a record's fields and answers may have. */
void record_reference(FILE *to);

/* Reports every name that is no setting. */
void names_check(struct loader *loader);

/* Reports that `owner` has no setting `key`, and which one may be meant. */
void names_refuse(struct loader *loader, const struct section *section,
                  const char *origin, const char *owner, const char *key);

/* Checks across settings, and resolves what they leave open (threads, model_index). */
void check_config(struct loader *loader);

#endif
