/* scope.c - see scope.h. */
#include "engine/scope.h"

#include "base/size.h"

static enum status no_memory(struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

void scope_release(struct scope *scope) {
    free(scope->slots);
    scope->slots = NULL;
}

/* ---- names ------------------------------------------------------------------------ */

static uint64_t hash_text(const char *text) {
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text != 0; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    }
    return hash;
}

/* The slot of `name`, or the free one where it belongs; NULL before the first name. */
static struct name_slot *slot_of(const struct scope *scope, const char *name) {
    size_t mask = scope->slot_count - 1;
    if (scope->slot_count == 0) {
        return NULL;
    }
    for (size_t at = (size_t)hash_text(name) & mask;; at = (at + 1) & mask) {
        struct name_slot *slot = &scope->slots[at];
        if (slot->name == NULL || strcmp(slot->name, name) == 0) {
            return slot;
        }
    }
}

/* Keeps the table half filled at most. */
static bool make_room(struct scope *scope) {
    struct scope grown = *scope;
    if (scope->used * 2 < scope->slot_count) {
        return true;
    }
    grown.slot_count = scope->slot_count == 0 ? 64 : scope->slot_count * 2;
    grown.slots = calloc(grown.slot_count, sizeof(*grown.slots));
    if (grown.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < scope->slot_count; i++) {
        if (scope->slots[i].name != NULL) {
            *slot_of(&grown, scope->slots[i].name) = scope->slots[i];
        }
    }
    free(scope->slots);
    *scope = grown;
    return true;
}

enum status scope_bind(struct scope *scope, const char *name, int value,
                       struct error *err) {
    struct name_slot *slot;
    if (name == NULL || name[0] == 0) {
        return error_set(err, STATUS_INVALID, "a value has no name");
    }
    if (!make_room(scope)) {
        return no_memory(err);
    }
    slot = slot_of(scope, name);
    if (slot->name != NULL) {
        return error_set(err, STATUS_INVALID, "value '%.200s' is defined twice", name);
    }
    *slot = (struct name_slot){.name = name, .value = value};
    scope->used++;
    return STATUS_OK;
}

enum status scope_define(struct scope *scope, const char *name, int *value,
                         struct error *err) {
    *value = graph_add_value(scope->graph, name);
    return *value < 0 ? no_memory(err) : scope_bind(scope, name, *value, err);
}

/* ---- captures --------------------------------------------------------------------- */

static bool add_capture(struct model *body, int outer) {
    if (body->capture_count == body->capture_room) {
        int room = body->capture_room * 2 + 8;
        int *grown = arena_alloc(&body->graph.arena, (size_t)room, sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        if (body->capture_count > 0) {
            memcpy(grown, body->captures, (size_t)body->capture_count * sizeof(*grown));
        }
        body->captures = grown;
        body->capture_room = room;
    }
    body->captures[body->capture_count++] = outer;
    return true;
}

/* A value of the graph around becomes one of the body: a constant stays one, anything
 * else is an input more. */
static enum status capture(struct scope *scope, const char *name, int outer, int *value,
                           struct error *err) {
    const struct value *from = &scope->outer->graph->values[outer];
    enum status status = scope_define(scope, name, value, err);
    if (status != STATUS_OK) {
        return status;
    }
    scope->graph->values[*value].dtype = from->dtype;
    scope->graph->values[*value].constant = from->constant;
    if (from->constant != NULL) {
        return STATUS_OK;
    }
    return graph_add_input(scope->graph, *value) && add_capture(scope->body, outer)
               ? STATUS_OK
               : no_memory(err);
}

enum status scope_find(struct scope *scope, const char *name, int *value, bool *found,
                       struct error *err) {
    const struct name_slot *slot = slot_of(scope, name);
    enum status status;
    *found = slot != NULL && slot->name != NULL;
    if (*found || scope->outer == NULL) {
        *value = *found ? slot->value : VALUE_NONE;
        return STATUS_OK;
    }
    status = scope_find(scope->outer, name, value, found, err);
    if (status == STATUS_OK && *found && *value != VALUE_NONE) {
        status = capture(scope, name, *value, value, err);
    }
    return status;
}

/* ---- functions -------------------------------------------------------------------- */

bool scope_default_domain(const char *domain) {
    return domain == NULL || domain[0] == 0 || strcmp(domain, "ai.onnx") == 0;
}

int64_t scope_opset(const struct scope *scope, const char *domain) {
    for (size_t i = 0; i < scope->opset_count; i++) {
        const Onnx__OperatorSetIdProto *set = scope->opsets[i];
        if (scope_default_domain(domain)
                ? scope_default_domain(set->domain)
                : set->domain != NULL && strcmp(set->domain, domain) == 0) {
            return set->version;
        }
    }
    return scope_default_domain(domain) && scope->opset_count == 0 ? 1 : 0;
}

static const Onnx__AttributeProto *attribute_named(Onnx__AttributeProto **list,
                                                   size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (list[i]->name != NULL && strcmp(list[i]->name, name) == 0) {
            return list[i];
        }
    }
    return NULL;
}

const Onnx__AttributeProto *scope_attribute(struct scope *scope,
                                            const Onnx__AttributeProto *attr,
                                            struct scope **home) {
    *home = scope;
    while (attr != NULL && attr->ref_attr_name != NULL && attr->ref_attr_name[0] != 0) {
        const char *name = attr->ref_attr_name;
        const Onnx__FunctionProto *function = (*home)->function;
        if (function == NULL) {
            return NULL;
        }
        attr =
            attribute_named((*home)->call->attribute, (*home)->call->n_attribute, name);
        if (attr == NULL) {
            return attribute_named(function->attribute_proto, function->n_attribute_proto,
                                   name);
        }
        *home = (*home)->caller;
    }
    return attr;
}
