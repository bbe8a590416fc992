/* attr.c - see attr.h. */
#include "engine/attr.h"

#include "engine/graph.h"

static const char *const kind_names[] = {
    [ATTR_FLOAT] = "a float",         [ATTR_INT] = "an int",
    [ATTR_TEXT] = "a string",         [ATTR_TENSOR] = "a tensor",
    [ATTR_FLOATS] = "floats",         [ATTR_INTS] = "ints",
    [ATTR_TEXTS] = "strings",         [ATTR_GRAPH] = "a graph",
    [ATTR_TYPE] = "a type",           [ATTR_SPARSE] = "a sparse tensor",
    [ATTR_OTHER] = "of another kind",
};
_Static_assert(ARRAY_COUNT(kind_names) == ATTR_KIND_COUNT, "every kind has a name");

const struct attr *attr_find(struct node *node, const char *name) {
    for (int i = 0; i < node->attrs.count; i++) {
        if (strcmp(node->attrs.items[i].name, name) == 0) {
            node->attrs.read |= UINT64_C(1) << i;
            return &node->attrs.items[i];
        }
    }
    return NULL;
}

void attr_ignore(struct node *node, const char *name) {
    (void)attr_find(node, name); /* being asked for is all that counts */
}

/* The attribute if present; *attr NULL if absent, STATUS_INVALID if of another kind. */
static enum status find_kind(struct node *node, const char *name, enum attr_kind kind,
                             const struct attr **attr, struct error *err) {
    *attr = attr_find(node, name);
    if (*attr != NULL && (*attr)->kind != kind) {
        return node_error(node, err, STATUS_INVALID, "attribute %s is %s, not %s", name,
                          kind_names[(*attr)->kind], kind_names[kind]);
    }
    return STATUS_OK;
}

enum status attr_int(struct node *node, const char *name, int64_t fallback, int64_t *out,
                     struct error *err) {
    const struct attr *attr;
    enum status status = find_kind(node, name, ATTR_INT, &attr, err);
    *out = status == STATUS_OK && attr != NULL ? attr->as.i : fallback;
    return status;
}

enum status attr_float(struct node *node, const char *name, float fallback, float *out,
                       struct error *err) {
    const struct attr *attr;
    enum status status = find_kind(node, name, ATTR_FLOAT, &attr, err);
    *out = status == STATUS_OK && attr != NULL ? attr->as.f : fallback;
    return status;
}

enum status attr_text(struct node *node, const char *name, const char *fallback,
                      struct span *out, struct error *err) {
    const struct attr *attr;
    enum status status = find_kind(node, name, ATTR_TEXT, &attr, err);
    *out = status == STATUS_OK && attr != NULL ? attr->as.text : span_text(fallback);
    return status;
}

enum status attr_ints(struct node *node, const char *name, struct attr_ints *out,
                      struct error *err) {
    const struct attr *attr;
    enum status status = find_kind(node, name, ATTR_INTS, &attr, err);
    *out = (struct attr_ints){0};
    if (status == STATUS_OK && attr != NULL) {
        *out = (struct attr_ints){.values = attr->as.ints, .count = attr->count};
    }
    return status;
}

enum status attr_int_in(struct node *node, const char *name, int64_t fallback, int64_t lo,
                        int64_t hi, int64_t *out, struct error *err) {
    enum status status = attr_int(node, name, fallback, out, err);
    if (status == STATUS_OK && (*out < lo || *out > hi)) {
        return node_error(node, err, STATUS_INVALID,
                          "attribute %s is %lld, allowed are %lld to %lld", name,
                          (long long)*out, (long long)lo, (long long)hi);
    }
    return status;
}

enum status attr_bool(struct node *node, const char *name, bool fallback, bool *out,
                      struct error *err) {
    int64_t value = 0;
    enum status status = attr_int_in(node, name, fallback ? 1 : 0, 0, 1, &value, err);
    *out = value != 0;
    return status;
}

enum status attr_word(struct node *node, const char *name, int fallback,
                      const char *const *words, int *out, struct error *err) {
    struct span text;
    enum status status = attr_text(node, name, words[fallback], &text, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; words[i] != NULL; i++) {
        if (span_is(text, words[i])) {
            *out = i;
            return STATUS_OK;
        }
    }
    return node_error(node, err, STATUS_UNSUPPORTED, "attribute %s is '%.*s'", name,
                      (int)(text.size < 60 ? text.size : 60), (const char *)text.data);
}

enum status attr_check_all_read(const struct node *node, struct error *err) {
    for (int i = 0; i < node->attrs.count; i++) {
        if ((node->attrs.read >> i & 1) == 0) {
            return node_error(node, err, STATUS_UNSUPPORTED,
                              "attribute %.100s is not known for opset %lld",
                              node->attrs.items[i].name, (long long)node->opset);
        }
    }
    return STATUS_OK;
}
