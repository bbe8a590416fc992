/* plan_leaf.c - see plan_compile.h: the steps that take a value, or a list of them. */
#include "codec/plan_compile.h"

/* ---- what a type gives ------------------------------------------------------------- */

static bool is_bytes(const struct avro_node *r) {
    return r->kind == AVRO_KIND_BYTES || r->kind == AVRO_KIND_FIXED;
}

bool plan_raw(const struct avro_node *r, enum dtype dtype, int change_count) {
    return is_bytes(r) && r->logical != AVRO_LOGICAL_DECIMAL && dtype != DTYPE_STRING &&
           change_count == 0;
}

enum value_kind plan_value_kind(const struct avro_node *r) {
    switch (r->kind) {
    case AVRO_KIND_BOOLEAN:
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
        return VALUE_INTEGER;
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
        return VALUE_REAL;
    case AVRO_KIND_BYTES:
    case AVRO_KIND_FIXED:
        return r->logical == AVRO_LOGICAL_DECIMAL ? VALUE_REAL : VALUE_TEXT;
    case AVRO_KIND_STRING:
    case AVRO_KIND_ENUM:
    case AVRO_KIND_NULL:
    case AVRO_KIND_RECORD:
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
    case AVRO_KIND_UNION:
    case AVRO_KIND_COUNT:
        break;
    }
    return VALUE_TEXT;
}

/* The changes of a slot know the logical type of their values: one for all branches. */
bool compile_slot_takes(struct compiler *c, uint16_t index, const struct avro_node *r,
                        struct error *err) {
    struct plan_slot *slot = &c->plan->slots[index];
    struct change changes[CHANGES_MAX];
    size_t width;
    if (c->loops > 0) {
        slot->listed = true;
    }
    if (plan_raw(r, slot->dtype, slot->change_count)) {
        return true;
    }
    for (int i = 0; i < slot->change_count; i++) {
        changes[i] = slot->changes[i];
    }
    if (changes_check(changes, slot->change_count, plan_value_kind(r), r->logical,
                      slot->dtype, &width, err) != STATUS_OK) {
        return false;
    }
    for (int i = 0; i < slot->change_count; i++) {
        if (slot->changes[i].logical != AVRO_LOGICAL_NONE &&
            slot->changes[i].logical != changes[i].logical) {
            (void)error_set(err, STATUS_INVALID,
                            "branches of a union differ in their units of time");
            return false;
        }
        slot->changes[i] = changes[i];
    }
    return true;
}

/* ---- one value --------------------------------------------------------------------- */

/* The reader's symbols by the writer's index; without text where there is none. */
static uint32_t symbol_values(struct compiler *c, const struct avro_node *w,
                              const struct avro_node *r) {
    uint32_t first = c->plan->value_count;
    for (int i = 0; i < w->count; i++) {
        int symbol = resolve_symbol(w, i, r);
        (void)compile_value(c, symbol < 0 ? value_text(span_of(NULL, 0))
                                          : value_text(span_text(r->symbols[symbol])));
    }
    return first;
}

static struct plan_step text_step(const struct avro_node *w, const struct avro_node *r) {
    if (w->kind == AVRO_KIND_FIXED) {
        return (struct plan_step){.op = PLAN_FIXED, .a = (uint32_t)w->size};
    }
    return (struct plan_step){.op = r->kind == AVRO_KIND_STRING ? PLAN_TEXT : PLAN_BYTES};
}

static struct plan_step bytes_step(const struct avro_node *w, const struct avro_node *r,
                                   const struct plan_slot *slot) {
    bool fixed = w->kind == AVRO_KIND_FIXED;
    if (r->logical == AVRO_LOGICAL_DECIMAL) {
        return (struct plan_step){.op = fixed ? PLAN_DECIMAL_FIXED : PLAN_DECIMAL,
                                  .a = (uint32_t)w->size,
                                  .b = (uint32_t)r->scale};
    }
    if (plan_raw(r, slot->dtype, slot->change_count)) {
        return (struct plan_step){.op = fixed ? PLAN_RAW_FIXED : PLAN_RAW,
                                  .a = (uint32_t)w->size};
    }
    return text_step(w, r);
}

/* `w` matches `r`; neither holds others. */
static struct plan_step leaf_step(struct compiler *c, const struct avro_node *w,
                                  const struct avro_node *r,
                                  const struct plan_slot *slot) {
    struct plan_step step = {.op = PLAN_OP_COUNT};
    switch (w->kind) {
    case AVRO_KIND_BOOLEAN:
        step.op = PLAN_BOOLEAN;
        break;
    case AVRO_KIND_INT:
        step.op = PLAN_INT;
        break;
    case AVRO_KIND_LONG:
        step.op = PLAN_LONG;
        break;
    case AVRO_KIND_FLOAT:
        step.op = PLAN_FLOAT;
        break;
    case AVRO_KIND_DOUBLE:
        step.op = PLAN_DOUBLE;
        break;
    case AVRO_KIND_ENUM:
        step.op = PLAN_ENUM;
        step.a = (uint32_t)w->count;
        step.b = symbol_values(c, w, r);
        break;
    case AVRO_KIND_BYTES:
    case AVRO_KIND_STRING:
    case AVRO_KIND_FIXED:
        step = bytes_step(w, r, slot);
        break;
    case AVRO_KIND_NULL:
    case AVRO_KIND_RECORD:
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
    case AVRO_KIND_UNION:
    case AVRO_KIND_COUNT:
        break;
    }
    step.narrow = r->kind == AVRO_KIND_FLOAT &&
                  (w->kind == AVRO_KIND_INT || w->kind == AVRO_KIND_LONG);
    return step;
}

static void compile_leaf(struct compiler *c, const struct avro_node *w,
                         const struct avro_node *r, uint16_t slot) {
    struct error err;
    struct plan_step step;
    if (!compile_slot_takes(c, slot, r, &err)) {
        if (c->unions > 0) { /* it may still be right with the other branches */
            compile_fail(c, "%s", err.text);
        } else {
            c->failed = error_set(c->err, err.status, "%s: %s",
                                  c->plan->slots[slot].place, err.text);
        }
        return;
    }
    step = leaf_step(c, w, r, &c->plan->slots[slot]);
    step.slot = slot;
    (void)compile_emit(c, step);
}

void compile_leaves(struct compiler *c, const struct avro_node *w,
                    const struct avro_node *r, struct want_tree *want) {
    bool several = want->leaves != NULL && want->leaves->next != NULL;
    if (want->leaves == NULL) {
        compile_skip(c, w);
    }
    if (several) {
        (void)compile_emit(c, (struct plan_step){.op = PLAN_MARK});
    }
    for (const struct want_leaf *leaf = want->leaves; leaf != NULL && compile_going(c);
         leaf = leaf->next) {
        compile_leaf(c, w, r, leaf->slot);
        if (leaf->next != NULL) {
            (void)compile_emit(c, (struct plan_step){.op = PLAN_REWIND});
        }
    }
    /* What another branch of a union has below its record is null here. */
    for (const struct want_tree *child = want->children; child != NULL;
         child = child->next) {
        compile_null(c, child);
    }
}

/* ---- lists ------------------------------------------------------------------------- */

/* Can the whole array go to the slot at once? */
static bool in_bulk(const struct compiler *c, const struct avro_node *w,
                    const struct avro_node *r, const struct want_tree *want,
                    enum job_data *kind) {
    const struct plan_slot *slot;
    bool narrow;
    if (want->leaves == NULL || want->leaves->next != NULL || want->children != NULL) {
        return false;
    }
    if (!compile_list_kind(w->item->kind, kind) || r->item->kind == AVRO_KIND_UNION ||
        !resolve_match(w->item, r->item)) {
        return false;
    }
    slot = &c->plan->slots[want->leaves->slot];
    narrow = r->item->kind == AVRO_KIND_FLOAT && w->item->kind != AVRO_KIND_FLOAT;
    return slot->change_count == 0 && job_fill_converts(*kind, slot->dtype) &&
           (!narrow || slot->dtype == DTYPE_F32);
}

void compile_array(struct compiler *c, const struct avro_node *w,
                   const struct avro_node *r, struct want_tree *want) {
    enum job_data kind;
    uint16_t slot;
    bool note;
    if (!in_bulk(c, w, r, want, &kind)) {
        compile_list(c, w, r, want);
        return;
    }
    slot = want->leaves->slot;
    note = c->loops == 0 && c->plan->slots[slot].whole;
    c->plan->slots[slot].listed = true;
    (void)compile_emit(c, (struct plan_step){.op = note ? PLAN_NOTE : PLAN_COPY,
                                             .slot = slot,
                                             .a = kind,
                                             .c = compile_level(c, want)});
}
