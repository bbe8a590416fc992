/* plan_steps.h - what the compiler of plans writes and their interpreter reads.
 *
 * Inside plan_*.c only.
 *
 * Depends on: base/arena.h, codec/plan.h, codec/reader.h.
 * Ownership: all in the plan's arena. */
#ifndef MILLRACE_CODEC_PLAN_STEPS_H
#define MILLRACE_CODEC_PLAN_STEPS_H

#include "base/arena.h"
#include "codec/plan.h"
#include "codec/reader.h"

/* Steps that take a value have `slot`; those that walk do not. */
enum plan_op {
    PLAN_END,
    PLAN_SKIP,         /* a bytes */
    PLAN_SKIP_INTS,    /* a of them */
    PLAN_SKIP_LONGS,   /* a */
    PLAN_SKIP_BOOLEAN, /* one */
    PLAN_SKIP_BYTES,   /* a strings or bytes, not looked into */
    PLAN_SKIP_ENUM,    /* one of a symbols */
    PLAN_SKIP_LIST,    /* an array of the kind a, enum job_data */
    PLAN_SKIP_EMPTIES, /* an array whose items take no bytes */
    PLAN_BRANCH,       /* one of a; goes on at targets[b + branch] */
    PLAN_JUMP,         /* to a */
    PLAN_FAIL,         /* texts[a] */
    PLAN_LIST,   /* the first block of an array or map with items of b bytes at least;
                    to a where there is none */
    PLAN_NEXT,   /* the next item is at a */
    PLAN_KEY,    /* a map's key: on at targets[a + k] for key k of the c from keys[b];
                    at targets[a + c] for another */
    PLAN_ABSENT, /* was key a of this map there?  Then to b */
    PLAN_MARK,   /* here begins what several slots want */
    PLAN_REWIND, /* to the mark */
    PLAN_INT,    /* values of the writer's types */
    PLAN_LONG,
    PLAN_FLOAT,
    PLAN_DOUBLE,
    PLAN_BOOLEAN,
    PLAN_ENUM,      /* a symbols; their values from values[b], text NULL for an unknown */
    PLAN_TEXT,      /* a string, or bytes that the reader takes for one */
    PLAN_BYTES,     /* the same for a tensor of strings, not looked into */
    PLAN_FIXED,     /* a bytes, as PLAN_BYTES */
    PLAN_RAW,       /* bytes that are elements; where whole, noted */
    PLAN_RAW_FIXED, /* the same, a bytes */
    PLAN_DECIMAL,   /* bytes; scale b */
    PLAN_DECIMAL_FIXED, /* a bytes; scale b */
    PLAN_NOTE,          /* an array of the kind a that is all of a tensor */
    PLAN_COPY,          /* an array of the kind a, into its places */
    PLAN_CONST,         /* values[a] */
    PLAN_NULL,          /* the slot's fallback, or an error */
    PLAN_OP_COUNT
};

struct plan_step {
    const char *path; /* of the field, for errors */
    uint8_t op;       /* enum plan_op */
    bool narrow;      /* the reader takes the integer for a float: rounded as one */
    uint16_t slot;
    uint32_t a, b, c;
};

struct quick_step;
struct quick_row;

struct plan_slot {
    size_t offset; /* bytes into the row */
    size_t stride; /* bytes of a value */
    uint32_t values_min, values_max;
    int tensor;
    enum dtype dtype;
    bool listed; /* holds another number of values than one */
    bool whole;
    bool has_fallback;
    int change_count;
    struct change *changes;
    struct value fallback;
    const char *place;
};

struct plan {
    struct arena arena;
    struct plan_step *steps;
    struct quick_step *quick; /* as many: see plan_quick.h */
    struct quick_row *rows;
    uint32_t *targets;
    struct span *keys;
    struct value *values;
    const char **texts;
    struct plan_slot *slots; /* one for each want */
    uint16_t *lists;         /* the slots that are listed */
    uint32_t step_count, target_count, key_count, value_count, text_count;
    int slot_count, list_count, tensor_count, level_count;
    bool noted; /* all tensors are lists to be noted, and other fields only skipped */
};

/* Where a path leads, as a tree: each node is a name, its slots end there. */
struct want_leaf {
    uint16_t slot;
    struct want_leaf *next;
};

struct want_tree {
    const char *name;
    const char *path; /* of this node */
    struct want_tree *children;
    struct want_tree *next; /* with the same parent */
    struct want_leaf *leaves;
    int key; /* while a map is compiled: its number there */
};

/* The slot's fallback as elements; why not, or NULL.  The changes before
 * plan_fallback_first are left out: they ask for a date or time, and the fallback stands
 * for what comes of them. */
const char *plan_store_fallback(const struct plan_slot *slot, void *to);
int plan_fallback_first(const struct plan_slot *slot);

/* Makes the quick forms of the steps, once all slots are settled. */
MUST_CHECK enum status plan_set_quick(struct plan *plan, struct error *err);

/* The tree of all wants, in `arena`; NULL after an error. */
struct want_tree *want_tree_create(struct arena *arena, const struct plan_want *wants,
                                   int count, struct error *err);

/* The child of the name, or NULL. */
struct want_tree *want_tree_child(const struct want_tree *tree, const char *name);

/* Does the writer's type match the reader's, neither being a union (specification,
 * "Schema Resolution"); of records and enums only the names are looked at. */
bool resolve_match(const struct avro_node *writer, const struct avro_node *reader);

/* The branch of the reader's union that takes the writer's type, or NULL. */
const struct avro_node *resolve_branch(const struct avro_node *writer,
                                       const struct avro_node *reader);

/* The writer's field that the reader's field is read from, or -1. */
int resolve_field(const struct avro_node *writer, const struct avro_field *field);

/* The reader's symbol for the writer's, or -1. */
int resolve_symbol(const struct avro_node *writer, int symbol,
                   const struct avro_node *reader);

#endif
