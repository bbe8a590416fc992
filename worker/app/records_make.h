/* records_make.h - what records*.c share; nobody else includes it.
 *
 * A struct known goes round: the intake thread wants it, the maker's thread makes it and
 * hands it back.  Between the two it is the maker's, but for `waiting`.
 *
 * Depends on: app/records.h, app/recipe.h, registry/registry.h. */
#ifndef MILLRACE_APP_RECORDS_MAKE_H
#define MILLRACE_APP_RECORDS_MAKE_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/recipe.h"
#include "app/records.h"
#include "registry/registry.h"

enum known_state {
    KNOWN_NEW,
    KNOWN_WANTED, /* the maker has it */
    KNOWN_READY,
    KNOWN_REFUSED /* its records are bad, until due_us; then the maker looks again */
};

/* What is made of one writer's schema. */
struct known {
    struct record_route *route;
    uint64_t key; /* the registry's id, the fingerprint, or 0 for bare records */
    enum known_state state;      /* of the intake thread */
    struct record *waiting;      /* the same; linked by next */
    struct record **waiting_end; /* the same */
    struct known *next;          /* in the maker's lists */
    int64_t wanted_us;           /* since when */
    bool told;                   /* that it takes long */
    enum status verdict;
    char why[ERROR_TEXT_MAX];
    int64_t due_us;
    struct mapping *mapping;   /* owned; with the next two, once the verdict is OK */
    struct mapping_rows *rows; /* owned; of the intake thread */
    struct record_out *out;    /* owned */
    struct batch_answer answer;
};

struct record_route {
    const struct config_route *config;
    struct recipe *recipe; /* owned */
    struct record_out
        *sample;          /* owned: answers of the schema that was checked, or NULL */
    struct known *latest; /* that was asked for; of the intake thread */
    int count;
    uint64_t keys[RECORDS_SCHEMAS_MAX];       /* of known */
    struct known *known[RECORDS_SCHEMAS_MAX]; /* owned */
};

struct records {
    const struct config *config;
    struct record_route **routes; /* owned; by the configuration's index, or NULL */
    struct registry *registry;    /* owned; NULL where none is needed */
    _Atomic int64_t waiting;      /* records */
    void (*wake)(void *opaque);
    void *opaque;
    pthread_t thread;
    bool threaded;
    pthread_mutex_t lock;   /* of all below */
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    bool stop;
    struct known *wanted, **wanted_end;
    struct known *done;
    _Atomic bool any_done; /* so that nobody locks for nothing */
    char problem[ERROR_TEXT_MAX];
};

/* What a schema is: its text, and where it came from. */
struct schema_source {
    const struct avro_schema *schema;
    const struct registry_schema *of_registry; /* NULL for a file's */
};

/* What records of the schema need on this route. */
MUST_CHECK enum status maker_apply(const struct record_route *route,
                                   const struct schema_source *source,
                                   struct mapping **mapping, struct record_out **out,
                                   struct error *err);

/* What stands before the route's answers. */
enum framing_kind maker_answer_kind(const struct record_route *route);

/* Registers the answers' schema, or asks whether it could be: `id` is NULL. */
MUST_CHECK enum status maker_publish(struct records *records,
                                     const struct record_route *route,
                                     const struct schema_source *source,
                                     const struct record_out *out, uint32_t *id,
                                     struct error *err);

/* Hands `known` to the maker. */
void maker_want(struct records *records, struct known *known);

/* Those that are made, or NULL. */
struct known *maker_take(struct records *records);

void known_destroy(struct known *known);

#endif
