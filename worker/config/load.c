/* load.c - config_load: from the tree, the environment and the flags to the struct.
 *
 * For each key of a section the first source that has it wins: flag, variable, file,
 * default. */
#include <assert.h>
#include <stdarg.h>

#include "base/text.h"
#include "config/loader.h"

enum { PROBLEM_TEXT_MAX = 768 };

void loader_problem(struct loader *loader, const char *fmt, ...) {
    char text[PROBLEM_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* a cut is fine */
    va_end(args);
    for (char *c = text; *c != 0; c++) { /* a problem is a line */
        if (*c == '\n' || *c == '\t') {
            *c = '?';
        }
    }
    text_clean(text);
    if (loader->problem_count == 0) {
        (void)error_set(loader->err, STATUS_INVALID, "%s", text);
    }
    if (loader->on_problem != NULL && loader->problem_count < CONFIG_PROBLEMS_MAX) {
        loader->on_problem(loader->opaque, text);
    }
    loader->problem_count++;
}

const char *loader_format(struct loader *loader, const char *fmt, ...) {
    va_list args;
    int size;
    char *text = NULL;
    va_start(args, fmt);
    size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (size >= 0) {
        text = arena_alloc(&loader->box->arena, (size_t)size + 1, 1);
    }
    if (text == NULL) {
        loader->no_memory = true;
        return "";
    }
    va_start(args, fmt);
    (void)vsnprintf(text, (size_t)size + 1, fmt, args); /* was measured */
    va_end(args);
    return text;
}

void *loader_alloc(struct loader *loader, size_t count, size_t size) {
    void *memory = arena_alloc(&loader->box->arena, count, size);
    if (memory == NULL) {
        loader->no_memory = true;
    }
    return memory;
}

/* ---- groups: worker, http, log -------------------------------------------------- */

/* The value of the last flag "section.key=value", or NULL. */
static const char *flag_value(const struct loader *loader, const char *name) {
    size_t size = strlen(name);
    for (size_t i = loader->override_count; i > 0; i--) {
        const char *flag = loader->overrides[i - 1];
        if (strncmp(flag, name, size) == 0 && flag[size] == '=') {
            return flag + size + 1;
        }
    }
    return NULL;
}

static void load_group(struct loader *loader, const struct section *section,
                       config_setting_t *group) {
    char *base = (char *)&loader->box->config + section->offset;
    for (size_t i = 0; i < section->key_count; i++) {
        const struct key *key = &section->keys[i];
        char variable[KEY_VARIABLE_MAX];
        struct given given = {
            .name = loader_format(loader, "%s.%s", section->name, key->name)};
        key_variable(section, key->name, variable, sizeof(variable));
        if ((given.text = flag_value(loader, given.name)) != NULL) {
            given.origin = "--set";
        } else if ((given.text = getenv(variable)) != NULL) {
            given.origin = loader_format(loader, "%s", variable);
        } else if (group != NULL &&
                   (given.node = config_setting_get_member(group, key->name)) != NULL) {
            given.origin = source_where(loader, given.node);
        } else {
            given.text = key->fallback;
            given.origin = "default";
        }
        if (given.text != NULL) { /* flags and variables may not outlive the load */
            given.text = loader_format(loader, "%s", given.text);
        }
        value_take(loader, key, &given, base);
    }
}

/* ---- lists: models, routes ------------------------------------------------------ */

/* Reads the members of `item` into the struct at `base`; `owner` is its name. */
static void section_take(struct loader *loader, const struct section *section,
                         const char *owner, const config_setting_t *item, char *base) {
    const char *where = source_where(loader, item);
    if (!config_setting_is_group(item)) {
        loader_problem(loader, "%s: %s: must be a group: { ... }", where, owner);
        return;
    }
    for (size_t i = 0; i < section->key_count; i++) {
        const struct key *key = &section->keys[i];
        struct given given = {.name = loader_format(loader, "%s.%s", owner, key->name),
                              .node = config_setting_get_member(item, key->name)};
        if (given.node != NULL) {
            given.origin = source_where(loader, given.node);
        } else if (key->fallback != NULL) {
            given.text = key->fallback;
            given.origin = "default";
        } else {
            loader_problem(loader, "%s: %s has no '%s', which is required", where, owner,
                           key->name);
            continue;
        }
        value_take(loader, key, &given, base);
    }
    for (int i = 0; i < config_setting_length(item); i++) {
        config_setting_t *node = config_setting_get_elem(item, (unsigned)i);
        if (key_find(section, config_setting_name(node)) == NULL) {
            names_refuse(loader, section, source_where(loader, node), owner,
                         config_setting_name(node));
        }
    }
}

void group_take(struct loader *loader, const struct key *key, const struct given *given,
                char *base) {
    char *group = loader_alloc(loader, 1, key->group->item_size);
    if (group != NULL) {
        section_take(loader, key->group, given->name, given->node, group);
        memcpy(base + key->offset, &group, sizeof(group));
    }
}

/* Returns the items, `*count` of them. */
static void *load_list(struct loader *loader, const char *name, size_t *count) {
    const struct section *section = section_find(name);
    config_setting_t *list = config_lookup(&loader->tree, name);
    char *items;
    *count = 0;
    assert(section != NULL);
    if (list == NULL || !config_setting_is_list(list) ||
        config_setting_length(list) == 0) {
        loader_problem(loader, "%s: '%s' is required: %s = ( { ... } );",
                       list == NULL ? loader->path : source_where(loader, list), name,
                       name);
        return NULL;
    }
    if ((size_t)config_setting_length(list) > section->items_max) {
        loader_problem(loader, "%s: %s has %d items: must be at most %zu",
                       source_where(loader, list), name, config_setting_length(list),
                       section->items_max);
        return NULL;
    }
    items = loader_alloc(loader, (size_t)config_setting_length(list), section->item_size);
    if (items == NULL) {
        return NULL;
    }
    *count = (size_t)config_setting_length(list);
    for (size_t i = 0; i < *count; i++) {
        section_take(loader, section, loader_format(loader, "%s[%zu]", name, i),
                     config_setting_get_elem(list, (unsigned)i),
                     items + i * section->item_size);
    }
    return items;
}

/* ---- the whole ------------------------------------------------------------------ */

static config_setting_t *group_of(struct loader *loader, const char *name) {
    config_setting_t *group = config_lookup(&loader->tree, name);
    return group != NULL && config_setting_is_group(group) ? group : NULL;
}

/* Settings of a section, those of groups inside it counted. */
static size_t keys_of(const struct section *section) {
    size_t count = section->key_count;
    for (size_t i = 0; i < section->key_count; i++) {
        if (section->keys[i].type == KEY_GROUP) { /* these hold no further ones */
            count += section->keys[i].group->key_count;
        }
    }
    return count;
}

/* Room for the report: what every section may hold at most. */
static size_t values_needed(void) {
    size_t count;
    size_t needed = 0;
    const struct section *const *all = sections(&count);
    for (size_t i = 0; i < count; i++) {
        size_t items = all[i]->kind == SECTION_GROUP ? 1 : all[i]->items_max;
        needed += items * (all[i]->kind == SECTION_PROPERTIES ? 1 : keys_of(all[i]));
    }
    return needed;
}

static void load_sections(struct loader *loader) {
    struct config *config = &loader->box->config;
    size_t count;
    const struct section *const *all = sections(&count);
    for (size_t i = 0; i < count; i++) {
        config_setting_t *group = group_of(loader, all[i]->name);
        if (all[i]->kind == SECTION_PROPERTIES) {
            properties_load(loader, all[i], group);
        } else if (all[i]->kind == SECTION_GROUP) {
            load_group(loader, all[i], group);
        }
    }
    config->models = loader->models = load_list(loader, "models", &config->model_count);
    config->routes = loader->routes = load_list(loader, "routes", &config->route_count);
}

static void load_all(struct loader *loader) {
    struct config *config = &loader->box->config;
    loader->files = loader_alloc(loader, CONFIG_FILES_MAX, sizeof(*loader->files));
    loader->value_max = values_needed();
    loader->values = loader_alloc(loader, loader->value_max, sizeof(*loader->values));
    if (loader->no_memory) {
        return;
    }
    loader->path = loader_format(loader, "%s", loader->path);
    config->files = loader->files;
    config->values = loader->values;
    if (!source_read(loader)) {
        return;
    }
    names_check(loader);
    load_sections(loader);
    check_config(loader);
}

enum status config_load(const char *path, const char *const *overrides, size_t count,
                        config_problem_fn *on_problem, void *opaque, struct config **out,
                        struct error *err) {
    struct loader loader = {
        .path = path,
        .overrides = overrides,
        .override_count = count,
        .on_problem = on_problem,
        .opaque = opaque,
        .err = err,
    };
    enum status status = STATUS_OK;
    *out = NULL;
    loader.box = calloc(1, sizeof(*loader.box));
    if (loader.box == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "%s: out of memory", path);
    }
    arena_init(&loader.box->arena, 0);
    config_init(&loader.tree);
    load_all(&loader);
    if (loader.no_memory) {
        status = error_set(err, STATUS_NO_MEMORY, "%s: out of memory", path);
    } else if (loader.problem_count > 0) {
        size_t used = strlen(err->text);
        status = STATUS_INVALID;
        if (loader.problem_count > 1) {
            (void)snprintf(err->text + used, sizeof(err->text) - used, " (and %zu more)",
                           loader.problem_count - 1);
        }
    }
    config_destroy(&loader.tree);
    arena_release(&loader.scratch);
    if (status == STATUS_OK) {
        *out = &loader.box->config;
    } else {
        config_free(&loader.box->config);
    }
    return status;
}

const char *config_origin(const struct config *config, const char *key) {
    for (size_t i = 0; i < config->value_count; i++) {
        if (strcmp(config->values[i].key, key) == 0) {
            return config->values[i].origin;
        }
    }
    return "";
}

void config_free(struct config *config) {
    struct config_box *box = (struct config_box *)config; /* its first field */
    if (box == NULL) {
        return;
    }
    arena_release(&box->arena);
    free(box);
}
