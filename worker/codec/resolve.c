/* resolve.c - the specification's "Schema Resolution": which types match. */
#include "codec/plan_steps.h"

#include <assert.h>

/* Names match without their namespaces, or the reader's aliases hold the writer's. */
static bool names_match(const struct avro_node *writer, const struct avro_node *reader) {
    return strcmp(avro_short_name(writer->name), avro_short_name(reader->name)) == 0 ||
           avro_names_hold(reader->aliases, writer->name);
}

static bool promotes(enum avro_kind writer, enum avro_kind reader) {
    switch (writer) {
    case AVRO_KIND_INT:
        return reader == AVRO_KIND_LONG || reader == AVRO_KIND_FLOAT ||
               reader == AVRO_KIND_DOUBLE;
    case AVRO_KIND_LONG:
        return reader == AVRO_KIND_FLOAT || reader == AVRO_KIND_DOUBLE;
    case AVRO_KIND_FLOAT:
        return reader == AVRO_KIND_DOUBLE;
    case AVRO_KIND_STRING:
        return reader == AVRO_KIND_BYTES;
    case AVRO_KIND_BYTES:
        return reader == AVRO_KIND_STRING;
    case AVRO_KIND_NULL:
    case AVRO_KIND_BOOLEAN:
    case AVRO_KIND_DOUBLE:
    case AVRO_KIND_RECORD:
    case AVRO_KIND_ENUM:
    case AVRO_KIND_FIXED:
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
    case AVRO_KIND_UNION:
    case AVRO_KIND_COUNT:
        break;
    }
    return false;
}

static bool same_type(const struct avro_node *writer, const struct avro_node *reader) {
    if (writer->kind != reader->kind) {
        return false;
    }
    if (writer->name == NULL) {
        return true;
    }
    return names_match(writer, reader) &&
           (writer->kind != AVRO_KIND_FIXED || writer->size == reader->size);
}

bool resolve_match(const struct avro_node *writer, const struct avro_node *reader) {
    assert(writer->kind != AVRO_KIND_UNION);
    assert(reader->kind != AVRO_KIND_UNION);
    return same_type(writer, reader) || promotes(writer->kind, reader->kind);
}

/* The branch of the same full name; else of the same type; else one to promote to. */
const struct avro_node *resolve_branch(const struct avro_node *writer,
                                       const struct avro_node *reader) {
    const struct avro_node *same = NULL, *promoted = NULL;
    for (int i = reader->count - 1; i >= 0; i--) { /* so that the first one stays */
        const struct avro_node *branch = reader->branches[i];
        if (promotes(writer->kind, branch->kind)) {
            promoted = branch;
        }
        if (same_type(writer, branch)) {
            same = branch;
        }
    }
    for (int i = 0; writer->name != NULL && i < reader->count; i++) {
        const struct avro_node *branch = reader->branches[i];
        if (same_type(writer, branch) && strcmp(writer->name, branch->name) == 0) {
            return branch;
        }
    }
    return same != NULL ? same : promoted;
}

int resolve_field(const struct avro_node *writer, const struct avro_field *field) {
    int index = avro_field_find(writer, span_text(field->name));
    for (int i = 0; index < 0 && i < field->aliases.count; i++) {
        index = avro_field_find(writer, span_text(field->aliases.items[i]));
    }
    return index;
}

int resolve_symbol(const struct avro_node *writer, int symbol,
                   const struct avro_node *reader) {
    for (int i = 0; i < reader->count; i++) {
        if (strcmp(writer->symbols[symbol], reader->symbols[i]) == 0) {
            return i;
        }
    }
    return reader->symbol_default;
}

/* ---- can all of it be read? -------------------------------------------------------- */

#define CHECK_VISITS_MAX 262144 /* pairs of types; names may multiply them */

struct check {
    int visits;
    struct error *err;
};

static bool check(struct check *c, const struct avro_node *w, const struct avro_node *r);

static bool no(struct check *c, const struct avro_node *w, const struct avro_node *r) {
    (void)error_set(c->err, STATUS_INVALID, "%s%s%s cannot be read as %s%s%s",
                    avro_kind_name(w->kind), w->name == NULL ? "" : " ",
                    w->name == NULL ? "" : w->name, avro_kind_name(r->kind),
                    r->name == NULL ? "" : " ", r->name == NULL ? "" : r->name);
    return false;
}

static bool check_record(struct check *c, const struct avro_node *w,
                         const struct avro_node *r) {
    for (int i = 0; i < r->count; i++) {
        int from = resolve_field(w, &r->fields[i]);
        if (from < 0 && r->fields[i].fallback == NULL) {
            (void)error_set(c->err, STATUS_INVALID,
                            "field '%s' is not written and has no default",
                            r->fields[i].name);
            return false;
        }
        if (from >= 0 && !check(c, w->fields[from].type, r->fields[i].type)) {
            (void)error_prefix(c->err, "field '%s'", r->fields[i].name);
            return false;
        }
    }
    return true;
}

static bool check_enum(struct check *c, const struct avro_node *w,
                       const struct avro_node *r) {
    for (int i = 0; i < w->count; i++) {
        if (resolve_symbol(w, i, r) < 0) {
            (void)error_set(c->err, STATUS_INVALID,
                            "the enum '%s' has no symbol '%s' and no default", r->name,
                            w->symbols[i]);
            return false;
        }
    }
    return true;
}

/* Recursion is bounded by AVRO_DEPTH_MAX. */
static bool check(struct check *c, const struct avro_node *w, const struct avro_node *r) {
    if (c->visits++ == CHECK_VISITS_MAX) {
        (void)error_set(c->err, STATUS_UNSUPPORTED, "more than %d pairs of types",
                        CHECK_VISITS_MAX);
        return false;
    }
    if (w->kind == AVRO_KIND_UNION) {
        for (int i = 0; i < w->count; i++) {
            if (!check(c, w->branches[i], r)) {
                return false;
            }
        }
        return true;
    }
    if (r->kind == AVRO_KIND_UNION) {
        const struct avro_node *branch = resolve_branch(w, r);
        return branch == NULL ? no(c, w, r) : check(c, w, branch);
    }
    if (!resolve_match(w, r)) {
        return no(c, w, r);
    }
    if (w->kind == AVRO_KIND_RECORD) {
        return check_record(c, w, r);
    }
    if (w->kind == AVRO_KIND_ENUM) {
        return check_enum(c, w, r);
    }
    return w->item == NULL || check(c, w->item, r->item);
}

enum status plan_check_resolution(const struct avro_node *writer,
                                  const struct avro_node *reader, struct error *err) {
    struct check c = {.err = err};
    return check(&c, writer, reader) ? STATUS_OK : err->status;
}
