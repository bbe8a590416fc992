/* want_tree.c - see plan_steps.h: paths that share their beginnings, as a tree. */
#include "codec/plan_steps.h"

#include "codec/avro_path.h"

struct want_tree *want_tree_child(const struct want_tree *tree, const char *name) {
    struct want_tree *child = tree->children;
    while (child != NULL && strcmp(child->name, name) != 0) {
        child = child->next;
    }
    return child;
}

/* The child of the name, made where there is none; NULL without memory. */
static struct want_tree *descend(struct arena *arena, struct want_tree *tree,
                                 const char *name, const char *path, size_t path_size) {
    struct want_tree *child = want_tree_child(tree, name);
    if (child != NULL) {
        return child;
    }
    child = arena_alloc(arena, 1, sizeof(*child));
    if (child == NULL) {
        return NULL;
    }
    child->name = arena_text(arena, name, strlen(name));
    path_size -= path[path_size - 1] == '.';
    child->path = arena_text(arena, path, path_size);
    child->next = tree->children;
    tree->children = child;
    return child->name == NULL || child->path == NULL ? NULL : child;
}

static enum status add(struct arena *arena, struct want_tree *tree, const char *path,
                       uint16_t slot, struct error *err) {
    char name[AVRO_PATH_SIZE_MAX];
    const char *at = path;
    struct want_leaf *leaf;
    while (avro_path_next(&at, name, err)) {
        tree = descend(arena, tree, name, path, (size_t)(at - path));
        if (tree == NULL) {
            return error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
        }
    }
    leaf = err->status == STATUS_OK ? arena_alloc(arena, 1, sizeof(*leaf)) : NULL;
    if (leaf == NULL) {
        return err->status != STATUS_OK
                   ? err->status
                   : error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
    }
    *leaf = (struct want_leaf){slot, tree->leaves};
    tree->leaves = leaf;
    return STATUS_OK;
}

struct want_tree *want_tree_create(struct arena *arena, const struct plan_want *wants,
                                   int count, struct error *err) {
    struct want_tree *root = arena_alloc(arena, 1, sizeof(*root));
    if (root == NULL) {
        (void)error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
        return NULL;
    }
    root->name = "";
    root->path = "record";
    for (int i = 0; i < count; i++) {
        if (wants[i].path != NULL &&
            add(arena, root, wants[i].path, (uint16_t)i, err) != STATUS_OK) {
            return NULL;
        }
    }
    return root;
}
