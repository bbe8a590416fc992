/* avro_path.c - see avro_path.h. */
#include "codec/avro_path.h"

#include "base/text.h"
#include "codec/utf8.h"

/* ---- the text of a path ----------------------------------------------------------- */

/* ["..."] : \" and \\ stand for themselves. */
static bool quoted(const char **path, char name[AVRO_PATH_SIZE_MAX], struct error *err) {
    const char *at = *path + 2;
    size_t size = 0;
    while (*at != 0 && *at != '"' && size + 1 < AVRO_PATH_SIZE_MAX) {
        if (*at == '\\' && at[1] != 0) {
            at++;
        }
        name[size++] = *at++;
    }
    name[size] = 0;
    if (at[0] != '"' || at[1] != ']') {
        (void)error_set(err, STATUS_INVALID, "the path has [\" without \"]");
        return false;
    }
    *path = at + 2;
    return true;
}

bool avro_path_next(const char **path, char name[AVRO_PATH_SIZE_MAX], struct error *err) {
    size_t size;
    err->status = STATUS_OK;
    if (**path == 0) {
        return false;
    }
    if (strncmp(*path, "[\"", 2) == 0) {
        if (!quoted(path, name, err)) {
            return false;
        }
    } else {
        size = strcspn(*path, ".[");
        if (size == 0 || size >= AVRO_PATH_SIZE_MAX) {
            (void)error_set(err, STATUS_INVALID, "the path has an empty name");
            return false;
        }
        memcpy(name, *path, size);
        name[size] = 0;
        *path += size;
    }
    if (**path == '.') {
        (*path)++;
        if (**path == 0) {
            (void)error_set(err, STATUS_INVALID, "the path ends with a dot");
            return false;
        }
    }
    return true;
}

/* ---- names that do exist ----------------------------------------------------------- */

/* "id, customer, ..." of a record's fields, cut to `size` bytes; returns `text`. */
static const char *fields_text(const struct avro_node *record, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < record->count && used + 1 < size; i++) {
        const struct avro_field *field = &record->fields[i];
        int wrote =
            snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", field->name);
        if (wrote < 0 || used + (size_t)wrote + 6 > size) {
            (void)snprintf(text + used, size - used, ", ...");
            break;
        }
        used += (size_t)wrote;
    }
    return text;
}

static enum status unknown_field(const struct avro_node *record, const char *name,
                                 struct error *err) {
    char fields[ERROR_TEXT_MAX / 2], shown[UTF8_SHOWN_SIZE];
    const char *names[256];
    const char *nearest;
    int count = record->count < 256 ? record->count : 256;
    for (int i = 0; i < count; i++) {
        names[i] = record->fields[i].name;
    }
    nearest = text_nearest(name, names, (size_t)count);
    return error_set(
        err, STATUS_INVALID, "the record '%s' has no field '%s'%s%s%s; it has: %s",
        record->name, utf8_show(span_text(name), shown),
        nearest == NULL ? "" : " (did you mean '", nearest == NULL ? "" : nearest,
        nearest == NULL ? "" : "'?)", fields_text(record, fields, sizeof(fields)));
}

/* ---- walking ----------------------------------------------------------------------- */

static enum status find(const struct avro_node *node, const char *path,
                        struct avro_path_end *end, struct error *err);

/* The first branch that has the path; else what the last one that is not null said. */
static enum status find_branch(const struct avro_node *node, const char *path,
                               struct avro_path_end *end, struct error *err) {
    bool tried = false;
    for (int i = 0; i < node->count; i++) {
        end->nullable |= node->branches[i]->kind == AVRO_KIND_NULL;
    }
    for (int i = 0; i < node->count; i++) {
        struct avro_path_end below = *end;
        if (node->branches[i]->kind == AVRO_KIND_NULL) {
            continue;
        }
        tried = true;
        if (find(node->branches[i], path, &below, err) == STATUS_OK) {
            *end = below;
            return STATUS_OK;
        }
    }
    return tried ? err->status
                 : error_set(err, STATUS_INVALID, "the path ends at null: no value");
}

static enum status find_name(const struct avro_node *node, const char *path,
                             struct avro_path_end *end, struct error *err) {
    char name[AVRO_PATH_SIZE_MAX], shown[UTF8_SHOWN_SIZE];
    int field;
    if (!avro_path_next(&path, name, err)) {
        return err->status;
    }
    if (node->kind == AVRO_KIND_MAP) {
        return find(node->item, path, end, err);
    }
    if (node->kind != AVRO_KIND_RECORD) {
        return error_set(err, STATUS_INVALID, "a %s has no field '%s'",
                         avro_kind_name(node->kind), utf8_show(span_text(name), shown));
    }
    field = avro_field_find(node, span_text(name));
    if (field < 0) {
        return unknown_field(node, name, err);
    }
    return find(node->fields[field].type, path, end, err);
}

/* Recursion is bounded by AVRO_DEPTH_MAX; unions hold few branches, and each is a
 * shorter tree. */
static enum status find(const struct avro_node *node, const char *path,
                        struct avro_path_end *end, struct error *err) {
    char fields[ERROR_TEXT_MAX / 2];
    if (node->kind == AVRO_KIND_ARRAY) {
        end->lists++;
        return find(node->item, path, end, err);
    }
    if (node->kind == AVRO_KIND_UNION) {
        return find_branch(node, path, end, err);
    }
    if (path[0] != 0) {
        return find_name(node, path, end, err);
    }
    if (node->kind == AVRO_KIND_RECORD) {
        return error_set(err, STATUS_INVALID,
                         "the path ends at the record '%s'; go on with one of: %s",
                         node->name, fields_text(node, fields, sizeof(fields)));
    }
    if (node->kind == AVRO_KIND_MAP || node->kind == AVRO_KIND_NULL) {
        return error_set(err, STATUS_INVALID, "the path ends at %s",
                         node->kind == AVRO_KIND_MAP ? "a map; go on with a key"
                                                     : "null, which is no value");
    }
    end->type = node;
    return STATUS_OK;
}

enum status avro_path_find(const struct avro_node *root, const char *path,
                           struct avro_path_end *end, struct error *err) {
    *end = (struct avro_path_end){0};
    if (strlen(path) >= AVRO_PATH_SIZE_MAX) {
        return error_set(err, STATUS_INVALID, "the path is longer than %d bytes",
                         AVRO_PATH_SIZE_MAX - 1);
    }
    return find(root, path, end, err);
}

/* ---- all of them ------------------------------------------------------------------- */

#define LISTING_VISITS_MAX 65536 /* types looked at: names may multiply them */

struct listing {
    char path[AVRO_PATH_SIZE_MAX];
    size_t left;
    int visits;
    void (*found)(void *opaque, const char *path);
    void *opaque;
};

static void list(struct listing *l, const struct avro_node *node, size_t size) {
    if (l->left == 0 || l->visits++ == LISTING_VISITS_MAX) {
        return;
    }
    if (node->kind == AVRO_KIND_ARRAY) {
        list(l, node->item, size);
    } else if (node->kind == AVRO_KIND_UNION) {
        for (int i = 0; i < node->count; i++) {
            list(l, node->branches[i], size);
        }
    } else if (node->kind == AVRO_KIND_RECORD) {
        for (int i = 0; i < node->count; i++) {
            int wrote = snprintf(l->path + size, sizeof(l->path) - size, "%s%s",
                                 size > 0 ? "." : "", node->fields[i].name);
            if (wrote > 0 && size + (size_t)wrote < sizeof(l->path)) {
                list(l, node->fields[i].type, size + (size_t)wrote);
            }
            l->path[size] = 0;
        }
    } else if (node->kind != AVRO_KIND_NULL && node->kind != AVRO_KIND_MAP) {
        l->left--;
        l->found(l->opaque, l->path);
    }
}

void avro_path_each(const struct avro_node *root, size_t count_max,
                    void (*found)(void *opaque, const char *path), void *opaque) {
    struct listing l = {.left = count_max, .found = found, .opaque = opaque};
    list(&l, root, 0);
}
