/* plan.c - see plan.h: making a plan; plan_compile.c writes its steps, plan_run.c runs
 * them. */
#include "codec/plan.h"

#include <assert.h>

#include "base/size.h"
#include "codec/plan_compile.h"

#define ARENA_SIZE_MAX ((size_t)64 << 20) /* bytes of a plan */

/* The slot of a want, as far as the want tells. */
static enum status set_slot(struct plan *plan, const struct plan_want *want,
                            struct plan_slot *slot, struct error *err) {
    size_t width = 1;
    assert(want->values_min <= want->values_max);
    if (want->values_max > PLAN_VALUES_MAX) {
        return error_set(err, STATUS_UNSUPPORTED, "%s: %zu values, over the limit of %d",
                         want->place, want->values_max, PLAN_VALUES_MAX);
    }
    if (want->change_count > CHANGES_MAX) {
        return error_set(err, STATUS_INVALID, "%s: more than %d changes", want->place,
                         CHANGES_MAX);
    }
    slot->changes =
        arena_alloc(&plan->arena, (size_t)want->change_count + 1, sizeof(struct change));
    slot->place = arena_text(&plan->arena, want->place, strlen(want->place));
    if (slot->changes == NULL || slot->place == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
    }
    for (int i = 0; i < want->change_count; i++) {
        slot->changes[i] = want->changes[i];
        if (want->changes[i].kind == CHANGE_ONE_HOT) {
            width = want->changes[i].count;
        }
    }
    slot->change_count = want->change_count;
    slot->offset = want->offset * dtype_size(want->dtype);
    slot->stride = width * dtype_size(want->dtype);
    slot->values_min = (uint32_t)want->values_min;
    slot->values_max = (uint32_t)want->values_max;
    slot->tensor = want->tensor;
    slot->dtype = want->dtype;
    slot->listed = want->values_min != 1 || want->values_max != 1;
    slot->whole = want->whole;
    slot->has_fallback = want->has_fallback;
    slot->fallback = want->fallback;
    plan->tensor_count =
        want->tensor >= plan->tensor_count ? want->tensor + 1 : plan->tensor_count;
    return STATUS_OK;
}

static enum status keep_fallback(struct plan *plan, struct plan_slot *slot,
                                 struct error *err) {
    struct span *text = &slot->fallback.text;
    if (slot->fallback.kind != VALUE_TEXT) {
        return STATUS_OK;
    }
    text->data = (const uint8_t *)arena_text(&plan->arena, text->data, text->size);
    return text->data != NULL ? STATUS_OK
                              : error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
}

/* A fallback goes the way of the field's values, as plan_store_fallback has it: tried
 * here, so that it cannot fail later. */
static enum status check_fallback(struct plan *plan, struct plan_slot *slot,
                                  struct error *err) {
    struct change changes[CHANGES_MAX];
    uint8_t *to;
    const char *why;
    size_t width;
    int count = 0;
    if (!slot->has_fallback) {
        return STATUS_OK;
    }
    for (int i = plan_fallback_first(slot); i < slot->change_count; i++) {
        changes[count++] = slot->changes[i];
    }
    if (changes_check(changes, count, slot->fallback.kind, AVRO_LOGICAL_NONE, slot->dtype,
                      &width, err) != STATUS_OK) {
        return error_prefix(err, "%s: the default", slot->place);
    }
    to = arena_alloc(&plan->arena, 1, slot->stride);
    if (to == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
    }
    why = plan_store_fallback(slot, to);
    return why == NULL
               ? keep_fallback(plan, slot, err)
               : error_set(err, STATUS_INVALID, "%s: the default %s", slot->place, why);
}

static enum status set_lists(struct plan *plan, struct error *err) {
    plan->lists =
        arena_alloc(&plan->arena, (size_t)plan->slot_count + 1, sizeof(*plan->lists));
    if (plan->lists == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
    }
    for (int i = 0; i < plan->slot_count; i++) {
        if (plan->slots[i].listed) {
            plan->lists[plan->list_count++] = (uint16_t)i;
        }
    }
    return STATUS_OK;
}

static enum status set_steps(struct plan *plan, const struct avro_node *writer,
                             const struct avro_node *reader,
                             const struct plan_want *wants, int count,
                             struct error *err) {
    struct compiler c = {.plan = plan, .err = err, .path_text = "record"};
    struct want_tree *tree = want_tree_create(&plan->arena, wants, count, err);
    if (tree == NULL) {
        return err->status;
    }
    for (int i = 0; i < count; i++) {
        if (wants[i].path == NULL) { /* as if it were null: its fallback */
            (void)compile_emit(&c,
                               (struct plan_step){.op = PLAN_NULL, .slot = (uint16_t)i});
        }
    }
    (void)compile_here(&c);
    compile(&c, writer, reader, count > 0 ? tree : NULL);
    (void)compile_emit(&c, (struct plan_step){.op = PLAN_END, .path = "record"});
    if (c.failed != STATUS_OK) {
        return c.failed;
    }
    if (c.no_memory) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
    }
    if (c.too_large) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "the schema makes a plan of more than %d steps", PLAN_STEPS_MAX);
    }
    plan->level_count = c.levels;
    return set_lists(plan, err);
}

enum status plan_create(const struct avro_node *writer, const struct avro_node *reader,
                        const struct plan_want *wants, int want_count, struct plan **out,
                        struct error *err) {
    struct plan *plan = calloc(1, sizeof(*plan));
    enum status status = STATUS_OK;
    *out = NULL;
    if (plan == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
    }
    arena_init(&plan->arena, ARENA_SIZE_MAX);
    if (want_count > PLAN_WANTS_MAX) {
        status = error_set(err, STATUS_UNSUPPORTED, "%d values, over the limit of %d",
                           want_count, PLAN_WANTS_MAX);
        goto done;
    }
    plan->slots = arena_alloc(&plan->arena, (size_t)want_count + 1, sizeof(*plan->slots));
    if (plan->slots == NULL) {
        status = error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
        goto done;
    }
    plan->slot_count = want_count;
    for (int i = 0; i < want_count && status == STATUS_OK; i++) {
        status = set_slot(plan, &wants[i], &plan->slots[i], err);
    }
    if (status == STATUS_OK) {
        status = set_steps(plan, writer, reader == NULL ? writer : reader, wants,
                           want_count, err);
    }
    for (int i = 0; i < want_count && status == STATUS_OK; i++) {
        status = check_fallback(plan, &plan->slots[i], err);
    }
    if (status == STATUS_OK) {
        status = plan_set_quick(plan, err);
    }
done:
    if (status != STATUS_OK) {
        plan_destroy(plan);
        plan = NULL;
    }
    *out = plan;
    return status;
}

void plan_destroy(struct plan *plan) {
    if (plan == NULL) {
        return;
    }
    arena_release(&plan->arena);
    free(plan);
}
