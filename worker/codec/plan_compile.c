/* plan_compile.c - see plan.h: from two schemas and a tree of wants to steps.
 *
 * The functions recurse over the schemas, no deeper than AVRO_DEPTH_MAX; what a plan may
 * hold is bounded by `visits` and the limits of plan.h, since a type with a name may
 * stand in many places. */
#include "codec/plan_compile.h"

#include <assert.h>

#include "base/size.h"

#define VISITS_MAX (4 * PLAN_STEPS_MAX)

/* ---- emitting --------------------------------------------------------------------- */

/* Room for one more item of `size` bytes behind `count` of them; false without. */
static bool grow(struct compiler *c, void *items, uint32_t count, size_t size) {
    void **array = items;
    void *larger;
    if ((count & (count - 1)) != 0 || (count != 0 && count < 16)) {
        return true; /* there is: capacities are 16, then powers of two */
    }
    larger = arena_alloc(&c->plan->arena, count == 0 ? 16 : 2 * (size_t)count, size);
    if (larger == NULL) {
        c->no_memory = true;
        return false;
    }
    if (count > 0) {
        memcpy(larger, *array, count * size);
    }
    *array = larger;
    return true;
}

uint32_t compile_here(struct compiler *c) {
    c->label = c->plan->step_count; /* what comes may not be joined with what was */
    return c->plan->step_count;
}

uint32_t compile_emit(struct compiler *c, struct plan_step step) {
    struct plan *plan = c->plan;
    if (plan->step_count == PLAN_STEPS_MAX) {
        c->too_large = true;
        return 0;
    }
    if (!grow(c, &plan->steps, plan->step_count, sizeof(step))) {
        return 0;
    }
    step.path = step.path == NULL ? c->path_text : step.path;
    plan->steps[plan->step_count] = step;
    return plan->step_count++;
}

/* Room for `count` targets, all 0; returns the first one's index. */
static uint32_t new_targets(struct compiler *c, int count) {
    uint32_t first = c->plan->target_count;
    for (int i = 0; i < count; i++) {
        if (!grow(c, &c->plan->targets, c->plan->target_count, sizeof(uint32_t))) {
            return 0;
        }
        c->plan->targets[c->plan->target_count++] = 0;
    }
    return first;
}

uint32_t compile_value(struct compiler *c, struct value value) {
    if (!grow(c, &c->plan->values, c->plan->value_count, sizeof(value))) {
        return 0;
    }
    c->plan->values[c->plan->value_count] = value;
    return c->plan->value_count++;
}

static uint32_t new_key(struct compiler *c, const char *key) {
    if (!grow(c, &c->plan->keys, c->plan->key_count, sizeof(struct span))) {
        return 0;
    }
    c->plan->keys[c->plan->key_count] = span_text(key);
    return c->plan->key_count++;
}

/* A step that refuses the record. */
void compile_fail(struct compiler *c, const char *fmt, ...) {
    char text[ERROR_TEXT_MAX / 4];
    const char *kept;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* cut is intended */
    va_end(args);
    kept = arena_text(&c->plan->arena, text, strlen(text));
    if (kept == NULL) {
        c->no_memory = true;
        return;
    }
    if (!grow(c, &c->plan->texts, c->plan->text_count, sizeof(const char *))) {
        return;
    }
    c->plan->texts[c->plan->text_count] = kept;
    (void)compile_emit(c,
                       (struct plan_step){.op = PLAN_FAIL, .a = c->plan->text_count++});
}

/* May the compiler go on?  Where it may not, all of the plan is thrown away. */
bool compile_going(struct compiler *c) {
    if (c->visits++ >= VISITS_MAX) {
        c->too_large = true;
    }
    return !c->no_memory && !c->too_large && c->failed == STATUS_OK;
}

/* Appends ".name" to the path; returns what compile_leave wants. */
static struct compile_place enter(struct compiler *c, const char *name,
                                  const char *path_text) {
    struct compile_place outer = {strlen(c->path), c->path_text};
    (void)snprintf(c->path + outer.size, sizeof(c->path) - outer.size, "%s%s",
                   outer.size > 0 ? "." : "", name);
    c->path_text = path_text != NULL
                       ? path_text
                       : arena_text(&c->plan->arena, c->path, strlen(c->path));
    c->no_memory |= c->path_text == NULL;
    return outer;
}

static void leave(struct compiler *c, struct compile_place outer) {
    c->path[outer.size] = 0;
    c->path_text = outer.text;
}

/* ---- skipping ---------------------------------------------------------------------- */

/* Joins with the step before where that skips the same, `a` counting. */
static void emit_skip(struct compiler *c, enum plan_op op, size_t count) {
    struct plan *plan = c->plan;
    struct plan_step *last =
        plan->step_count > c->label ? &plan->steps[plan->step_count - 1] : NULL;
    if (last != NULL && last->op == op && count <= UINT32_MAX - last->a) {
        last->a += (uint32_t)count;
        return;
    }
    (void)compile_emit(c, (struct plan_step){.op = (uint8_t)op, .a = (uint32_t)count});
}

bool compile_list_kind(enum avro_kind item, enum job_data *kind) {
    static const int kinds[AVRO_KIND_COUNT] = {
        [AVRO_KIND_FLOAT] = JOB_DATA_FLOATS + 1,
        [AVRO_KIND_DOUBLE] = JOB_DATA_DOUBLES + 1,
        [AVRO_KIND_INT] = JOB_DATA_INTS + 1,
        [AVRO_KIND_LONG] = JOB_DATA_LONGS + 1,
        [AVRO_KIND_BOOLEAN] = JOB_DATA_BOOLEANS + 1,
        [AVRO_KIND_STRING] = JOB_DATA_STRINGS + 1,
    };
    *kind = (enum job_data)(kinds[item] - 1);
    return kinds[item] != 0;
}

static void skip_array(struct compiler *c, const struct avro_node *w) {
    enum job_data kind;
    if (w->item->size_min == 0) {
        (void)compile_emit(c, (struct plan_step){.op = PLAN_SKIP_EMPTIES});
    } else if (compile_list_kind(w->item->kind, &kind)) {
        (void)compile_emit(c, (struct plan_step){.op = PLAN_SKIP_LIST, .a = kind});
    } else {
        compile_list(c, w, NULL, NULL);
    }
}

void compile_skip(struct compiler *c, const struct avro_node *w) {
    switch (w->kind) {
    case AVRO_KIND_NULL:
        break;
    case AVRO_KIND_BOOLEAN:
        (void)compile_emit(c, (struct plan_step){.op = PLAN_SKIP_BOOLEAN});
        break;
    case AVRO_KIND_INT:
        emit_skip(c, PLAN_SKIP_INTS, 1);
        break;
    case AVRO_KIND_LONG:
        emit_skip(c, PLAN_SKIP_LONGS, 1);
        break;
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
        emit_skip(c, PLAN_SKIP, w->size_min);
        break;
    case AVRO_KIND_FIXED:
        emit_skip(c, PLAN_SKIP, w->size);
        break;
    case AVRO_KIND_BYTES:
    case AVRO_KIND_STRING:
        emit_skip(c, PLAN_SKIP_BYTES, 1);
        break;
    case AVRO_KIND_ENUM:
        (void)compile_emit(
            c, (struct plan_step){.op = PLAN_SKIP_ENUM, .a = (uint32_t)w->count});
        break;
    case AVRO_KIND_ARRAY:
        skip_array(c, w);
        break;
    case AVRO_KIND_MAP:
        compile_list(c, w, NULL, NULL);
        break;
    case AVRO_KIND_RECORD:
        for (int i = 0; i < w->count; i++) {
            struct compile_place outer = enter(c, w->fields[i].name, NULL);
            compile(c, w->fields[i].type, NULL, NULL);
            leave(c, outer);
        }
        break;
    case AVRO_KIND_UNION:
    case AVRO_KIND_COUNT:
        assert(!"compile_union does these");
        break;
    }
}

/* ---- null -------------------------------------------------------------------------- */

/* Every slot below gets its fallback, or refuses the record. */
void compile_null(struct compiler *c, const struct want_tree *want) {
    for (const struct want_leaf *leaf = want->leaves; leaf != NULL; leaf = leaf->next) {
        (void)compile_emit(c, (struct plan_step){.op = PLAN_NULL,
                                                 .path = want->path,
                                                 .slot = leaf->slot,
                                                 /* within a list it is one item */
                                                 .a = c->loops > 0});
    }
    for (const struct want_tree *child = want->children; child != NULL;
         child = child->next) {
        compile_null(c, child);
    }
}

/* Behind the entries: what of the keys that were not there. */
static void emit_absent(struct compiler *c, const struct want_tree *want) {
    for (const struct want_tree *key = want->children; key != NULL; key = key->next) {
        uint32_t step = compile_emit(
            c, (struct plan_step){.op = PLAN_ABSENT, .a = (uint32_t)key->key});
        compile_null(c, key);
        if (compile_going(c)) {
            c->plan->steps[step].b = compile_here(c);
        }
    }
}

/* ---- unions ------------------------------------------------------------------------ */

/* Each branch as if it stood alone; the last one falls through to the end. */
static void compile_union(struct compiler *c, const struct avro_node *w,
                          const struct avro_node *r, struct want_tree *want) {
    uint32_t table = new_targets(c, w->count);
    uint32_t jumps[AVRO_BRANCHES_MAX] = {0};
    uint32_t end;
    (void)compile_emit(
        c, (struct plan_step){.op = PLAN_BRANCH, .a = (uint32_t)w->count, .b = table});
    c->unions++;
    for (int i = 0; i < w->count && compile_going(c); i++) {
        c->plan->targets[table + (uint32_t)i] = compile_here(c);
        compile(c, w->branches[i], r, want);
        jumps[i] =
            i + 1 < w->count ? compile_emit(c, (struct plan_step){.op = PLAN_JUMP}) : 0;
    }
    c->unions--;
    end = compile_here(c);
    for (int i = 0; i + 1 < w->count && compile_going(c); i++) {
        c->plan->steps[jumps[i]].a = end;
        if (c->plan->targets[table + (uint32_t)i] == jumps[i]) { /* nothing to do */
            c->plan->targets[table + (uint32_t)i] = end;
        }
    }
}

/* ---- arrays and maps --------------------------------------------------------------- */

static void compile_key_steps(struct compiler *c, const struct avro_node *w,
                              const struct avro_node *r, struct want_tree *want);

/* Lists inside lists are rows, which have one length; each such place has a number. */
uint32_t compile_level(struct compiler *c, const struct want_tree *want) {
    if (want == NULL || c->loops == 0) {
        return 0;
    }
    if (c->levels == PLAN_LEVELS_MAX) {
        c->too_large = true;
        return 0;
    }
    return (uint32_t)++c->levels;
}

/* A loop over the items of an array or the entries of a map. */
void compile_list(struct compiler *c, const struct avro_node *w,
                  const struct avro_node *r, struct want_tree *want) {
    bool map = w->kind == AVRO_KIND_MAP;
    size_t least = size_min(w->item->size_min + (map ? 1 : 0), READER_ITEM_SIZE_MAX);
    uint32_t level = map ? 0 : compile_level(c, want);
    uint32_t begin = compile_emit(
        c, (struct plan_step){.op = PLAN_LIST, .b = (uint32_t)least, .c = level});
    uint32_t body = compile_here(c);
    c->loops += !map || want == NULL;
    if (map && want != NULL) {
        compile_key_steps(c, w, r, want);
    } else {
        if (map) {
            emit_skip(c, PLAN_SKIP_BYTES, 1);
        }
        compile(c, w->item, r == NULL ? NULL : r->item, want);
    }
    c->loops -= !map || want == NULL;
    (void)compile_emit(
        c,
        (struct plan_step){.op = PLAN_NEXT, .a = body, .b = (uint32_t)least, .c = level});
    if (compile_going(c)) {
        c->plan->steps[begin].a = compile_here(c);
    }
    if (map && want != NULL && compile_going(c)) {
        emit_absent(c, want);
    }
}

/* One entry: to the steps of its key, or past its value. */
static void compile_key_steps(struct compiler *c, const struct avro_node *w,
                              const struct avro_node *r, struct want_tree *want) {
    uint32_t jumps[PLAN_KEYS_MAX] = {0};
    uint32_t first_key = c->plan->key_count;
    uint32_t table, count = 0, end;
    for (struct want_tree *key = want->children; key != NULL; key = key->next) {
        if (count == PLAN_KEYS_MAX) {
            c->failed = error_set(c->err, STATUS_UNSUPPORTED,
                                  "'%s': more than %d keys of one map", want->path,
                                  PLAN_KEYS_MAX);
            return;
        }
        key->key = (int)count++;
        (void)new_key(c, key->name);
    }
    table = new_targets(c, (int)count + 1);
    (void)compile_emit(
        c, (struct plan_step){.op = PLAN_KEY, .a = table, .b = first_key, .c = count});
    for (struct want_tree *key = want->children; key != NULL && compile_going(c);
         key = key->next) {
        struct compile_place outer = enter(c, key->name, key->path);
        c->plan->targets[table + (uint32_t)key->key] = compile_here(c);
        compile(c, w->item, r->item, key);
        jumps[key->key] = compile_emit(c, (struct plan_step){.op = PLAN_JUMP});
        leave(c, outer);
    }
    if (!compile_going(c)) {
        return;
    }
    c->plan->targets[table + count] = compile_here(c);
    compile(c, w->item, NULL, NULL);
    end = compile_here(c);
    for (uint32_t i = 0; i < count && compile_going(c); i++) {
        c->plan->steps[jumps[i]].a = end;
    }
}

/* ---- records ----------------------------------------------------------------------- */

/* By writer's field: the reader's field that is read from it, or -1.  NULL after an
 * error; the caller frees it. */
static int *fields_to(struct compiler *c, const struct avro_node *w,
                      const struct avro_node *r) {
    int *to = malloc(((size_t)w->count + 1) * sizeof(*to));
    if (to == NULL) {
        c->no_memory = true;
        return NULL;
    }
    for (int i = 0; i < w->count; i++) {
        to[i] = w == r ? i : -1;
    }
    for (int i = 0; w != r && i < r->count; i++) {
        int from = resolve_field(w, &r->fields[i]);
        if (from >= 0) {
            to[from] = i;
        }
    }
    return to;
}

/* What is wanted and the writer does not write: defaults.  A field that is in another
 * branch of a union alone is as good as null here. */
static void compile_missing(struct compiler *c, const struct avro_node *w,
                            const struct avro_node *r, struct want_tree *want) {
    for (struct want_tree *child = want->children; child != NULL && compile_going(c);
         child = child->next) {
        int index = avro_field_find(r, span_text(child->name));
        struct compile_place outer;
        if (index < 0) {
            compile_null(c, child);
        } else if (w != r && resolve_field(w, &r->fields[index]) < 0) {
            outer = enter(c, child->name, child->path);
            compile_default(c, &r->fields[index], child);
            leave(c, outer);
        }
    }
}

static void compile_record(struct compiler *c, const struct avro_node *w,
                           const struct avro_node *r, struct want_tree *want) {
    int *to = fields_to(c, w, r);
    for (int i = 0; to != NULL && i < w->count && compile_going(c); i++) {
        const struct avro_field *field = to[i] < 0 ? NULL : &r->fields[to[i]];
        struct want_tree *child =
            field == NULL ? NULL : want_tree_child(want, field->name);
        struct compile_place outer =
            enter(c, w->fields[i].name, child == NULL ? NULL : child->path);
        compile(c, w->fields[i].type, child == NULL ? NULL : field->type, child);
        leave(c, outer);
    }
    free(to);
    compile_missing(c, w, r, want);
}

/* ---- any type ---------------------------------------------------------------------- */

static void compile_mismatch(struct compiler *c, const struct avro_node *w,
                             const struct avro_node *r) {
    compile_fail(c, "%s%s%s cannot be read as %s%s%s", avro_kind_name(w->kind),
                 w->name == NULL ? "" : " ", w->name == NULL ? "" : w->name,
                 avro_kind_name(r->kind), r->name == NULL ? "" : " ",
                 r->name == NULL ? "" : r->name);
}

/* Both are no union. */
static void compile_wanted(struct compiler *c, const struct avro_node *w,
                           const struct avro_node *r, struct want_tree *want) {
    if (!resolve_match(w, r)) {
        compile_mismatch(c, w, r);
        return;
    }
    if (w->kind == AVRO_KIND_NULL) {
        compile_null(c, want);
        return;
    }
    if (w->kind == AVRO_KIND_ARRAY) {
        compile_array(c, w, r, want);
        return;
    }
    if (w->kind != AVRO_KIND_RECORD && w->kind != AVRO_KIND_MAP) {
        compile_leaves(c, w, r, want);
        return;
    }
    if (want->leaves != NULL) { /* another branch of a union has the value */
        compile_fail(c, "a %s, not a value", avro_kind_name(w->kind));
    } else if (w->kind == AVRO_KIND_RECORD) {
        compile_record(c, w, r, want);
    } else {
        compile_list(c, w, r, want);
    }
}

void compile(struct compiler *c, const struct avro_node *w, const struct avro_node *r,
             struct want_tree *want) {
    if (!compile_going(c)) {
        return;
    }
    if (w->kind == AVRO_KIND_UNION) {
        compile_union(c, w, r, want);
    } else if (want == NULL) {
        compile_skip(c, w);
    } else if (r->kind == AVRO_KIND_UNION) {
        const struct avro_node *branch = resolve_branch(w, r);
        if (branch == NULL) {
            compile_mismatch(c, w, r);
        } else {
            compile_wanted(c, w, branch, want);
        }
    } else {
        compile_wanted(c, w, r, want);
    }
}
