/* plan_compile.h - what the parts of the compiler of plans share.
 *
 * Inside plan_*.c only.  Errors are kept in the compiler: after one, what is emitted does
 * not matter, as the plan is thrown away.
 *
 * Depends on: codec/plan_steps.h.
 * Ownership: what is made belongs to the plan's arena. */
#ifndef MILLRACE_CODEC_PLAN_COMPILE_H
#define MILLRACE_CODEC_PLAN_COMPILE_H

#include <stdarg.h>

#include "codec/plan_steps.h"

#define PLAN_KEYS_MAX 64   /* of one map that are wanted: bits of a word */
#define PLAN_LEVELS_MAX 64 /* lists inside lists */

struct compiler {
    struct plan *plan;
    struct error *err;
    enum status failed; /* STATUS_OK so far; else err tells */
    bool no_memory;
    bool too_large;
    uint32_t visits;
    uint32_t label; /* the latest place that steps may jump to */
    int loops;      /* arrays around what is compiled */
    int unions;     /* of the writer, around it */
    int levels;
    const char *path_text; /* of the field, for the steps */
    char path[512];        /* the same, of the writer's fields; cut where longer */
};

struct compile_place { /* to come back to: see enter and leave */
    size_t size;
    const char *text;
};

/* May the compiler go on? */
bool compile_going(struct compiler *c);
/* The next step's index, which others may jump to. */
uint32_t compile_here(struct compiler *c);
uint32_t compile_emit(struct compiler *c, struct plan_step step);
/* The index of a value among the plan's. */
uint32_t compile_value(struct compiler *c, struct value value);
/* A number for a list that stands within a wanted list; 0 for another. */
uint32_t compile_level(struct compiler *c, const struct want_tree *want);
/* A step that refuses the record. */
void compile_fail(struct compiler *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Steps over a value of the writer's type `w`.  What is wanted of it, if anything, is
 * read as `r`; both are NULL or neither. */
void compile(struct compiler *c, const struct avro_node *w, const struct avro_node *r,
             struct want_tree *want);
void compile_skip(struct compiler *c, const struct avro_node *w);
void compile_list(struct compiler *c, const struct avro_node *w,
                  const struct avro_node *r, struct want_tree *want);
void compile_null(struct compiler *c, const struct want_tree *want);

/* plan_leaf.c */
void compile_array(struct compiler *c, const struct avro_node *w,
                   const struct avro_node *r, struct want_tree *want);
void compile_leaves(struct compiler *c, const struct avro_node *w,
                    const struct avro_node *r, struct want_tree *want);
/* May values of the type `r` go to the slot?  False, with `err` set, where not. */
bool compile_slot_takes(struct compiler *c, uint16_t slot, const struct avro_node *r,
                        struct error *err);
/* The kind of value that the reader's type gives. */
enum value_kind plan_value_kind(const struct avro_node *r);
/* Are bytes or a fixed of that type elements of the tensor, as they lie there? */
bool plan_raw(const struct avro_node *r, enum dtype dtype, int change_count);
bool compile_list_kind(enum avro_kind item, enum job_data *kind);

/* plan_default.c: the field's default, for what is wanted of it. */
void compile_default(struct compiler *c, const struct avro_field *field,
                     struct want_tree *want);

#endif
