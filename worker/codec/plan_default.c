/* plan_default.c - see plan_compile.h: values of fields that the writer does not write.
 */
#include <jansson.h>

#include "base/size.h"
#include "codec/decimal.h"
#include "codec/plan_compile.h"

static void put_default(struct compiler *c, const json_t *json, const struct avro_node *r,
                        struct want_tree *want);

static void unfit(struct compiler *c, const struct avro_node *r) {
    c->failed = error_set(c->err, STATUS_INVALID,
                          "'%s': the default in the reader's schema is no %s", c->path,
                          avro_kind_name(r->kind));
}

/* Does JSON's type go with the type?  What is inside is looked at later. */
static bool fits(const json_t *json, const struct avro_node *r) {
    switch (r->kind) {
    case AVRO_KIND_NULL:
        return json_is_null(json);
    case AVRO_KIND_BOOLEAN:
        return json_is_boolean(json);
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
        return json_is_integer(json);
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
        return json_is_number(json);
    case AVRO_KIND_BYTES:
    case AVRO_KIND_STRING:
    case AVRO_KIND_ENUM:
    case AVRO_KIND_FIXED:
        return json_is_string(json);
    case AVRO_KIND_ARRAY:
        return json_is_array(json);
    case AVRO_KIND_MAP:
    case AVRO_KIND_RECORD:
        return json_is_object(json);
    case AVRO_KIND_UNION:
    case AVRO_KIND_COUNT:
        break;
    }
    return false;
}

/* Bytes are written as the characters U+0000 to U+00FF; false where there are others. */
static bool latin(struct compiler *c, const json_t *json, struct span *bytes) {
    const uint8_t *text = (const uint8_t *)json_string_value(json);
    size_t length = json_string_length(json), count = 0;
    uint8_t *to = arena_alloc(&c->plan->arena, length + 1, 1);
    if (to == NULL) {
        c->no_memory = true;
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < 0x80) {
            to[count++] = text[i];
        } else if ((text[i] == 0xc2 || text[i] == 0xc3) && i + 1 < length) {
            to[count++] = (uint8_t)((text[i] & 3) << 6 | (text[i + 1] & 0x3f));
            i++;
        } else {
            return false;
        }
    }
    *bytes = span_of(to, count);
    return true;
}

/* The value of a type that holds no others; false where there is none. */
static bool leaf_value(struct compiler *c, const json_t *json, const struct avro_node *r,
                       struct value *value) {
    struct span bytes;
    switch (plan_value_kind(r)) {
    case VALUE_INTEGER:
        *value = value_integer(json_is_boolean(json) ? json_is_true(json)
                                                     : json_integer_value(json));
        return r->kind != AVRO_KIND_INT ||
               (value->integer >= INT32_MIN && value->integer <= INT32_MAX);
    case VALUE_REAL:
        if (r->logical != AVRO_LOGICAL_DECIMAL) {
            *value = value_real(json_number_value(json));
            return true;
        }
        if (!latin(c, json, &bytes)) {
            return false;
        }
        *value = value_real(decimal_real(bytes, r->scale));
        return true;
    case VALUE_TEXT:
        if (r->kind == AVRO_KIND_STRING || r->kind == AVRO_KIND_ENUM) {
            *value =
                value_text(span_of(json_string_value(json), json_string_length(json)));
            return true;
        }
        *value = value_text(span_of(NULL, 0));
        return latin(c, json, &value->text);
    }
    return false;
}

static void put_leaf(struct compiler *c, const json_t *json, const struct avro_node *r,
                     struct want_tree *want) {
    struct value value;
    uint32_t index;
    if (!leaf_value(c, json, r, &value)) {
        unfit(c, r);
        return;
    }
    index = compile_value(c, value);
    for (const struct want_leaf *leaf = want->leaves; leaf != NULL; leaf = leaf->next) {
        const struct plan_slot *slot = &c->plan->slots[leaf->slot];
        struct error err;
        if (!compile_slot_takes(c, leaf->slot, r, &err)) {
            c->failed = error_set(c->err, err.status, "%s: %s", slot->place, err.text);
            return;
        }
        if (plan_raw(r, slot->dtype, slot->change_count)) {
            c->failed =
                error_set(c->err, STATUS_UNSUPPORTED,
                          "%s: a default of raw bytes is not supported", slot->place);
            return;
        }
        (void)compile_emit(
            c, (struct plan_step){.op = PLAN_CONST, .slot = leaf->slot, .a = index});
    }
}

static void put_record(struct compiler *c, const json_t *json, const struct avro_node *r,
                       struct want_tree *want) {
    for (struct want_tree *child = want->children; child != NULL && compile_going(c);
         child = child->next) {
        int index = avro_field_find(r, span_text(child->name));
        const struct avro_field *field = index < 0 ? NULL : &r->fields[index];
        const json_t *part = json_object_get(json, child->name);
        part = part == NULL && field != NULL ? field->fallback : part;
        if (field == NULL) {
            compile_null(c, child);
        } else if (part == NULL) {
            unfit(c, r);
        } else {
            put_default(c, part, field->type, child);
        }
    }
}

static void put_map(struct compiler *c, const json_t *json, const struct avro_node *r,
                    struct want_tree *want) {
    for (struct want_tree *child = want->children; child != NULL && compile_going(c);
         child = child->next) {
        const json_t *part = json_object_get(json, child->name);
        if (part == NULL) {
            compile_null(c, child);
        } else {
            put_default(c, part, r->item, child);
        }
    }
}

static void put_array(struct compiler *c, const json_t *json, const struct avro_node *r,
                      struct want_tree *want) {
    c->loops++;
    for (const struct want_leaf *leaf = want->leaves; leaf != NULL; leaf = leaf->next) {
        c->plan->slots[leaf->slot].listed = true;
    }
    for (size_t i = 0; i < json_array_size(json) && compile_going(c); i++) {
        put_default(c, json_array_get(json, i), r->item, want);
    }
    c->loops--;
}

/* Recursion is bounded by AVRO_DEPTH_MAX. */
static void put_default(struct compiler *c, const json_t *json, const struct avro_node *r,
                        struct want_tree *want) {
    if (r->kind == AVRO_KIND_UNION) { /* the first branch that it fits */
        int i = 0;
        while (i + 1 < r->count && !fits(json, r->branches[i])) {
            i++;
        }
        r = r->branches[i];
    }
    if (!compile_going(c)) {
        return;
    }
    if (!fits(json, r)) {
        unfit(c, r);
    } else if (r->kind == AVRO_KIND_NULL) {
        compile_null(c, want);
    } else if (r->kind == AVRO_KIND_RECORD) {
        put_record(c, json, r, want);
    } else if (r->kind == AVRO_KIND_MAP) {
        put_map(c, json, r, want);
    } else if (r->kind == AVRO_KIND_ARRAY) {
        put_array(c, json, r, want);
    } else {
        put_leaf(c, json, r, want);
    }
}

void compile_default(struct compiler *c, const struct avro_field *field,
                     struct want_tree *want) {
    if (field->fallback == NULL) {
        c->failed = error_set(c->err, STATUS_INVALID,
                              "field '%s' of the reader's schema is not written, and has "
                              "no default",
                              c->path);
        return;
    }
    put_default(c, field->fallback, field->type, want);
}
