/* load.c - config_load: from the tree, the environment and the flags to the struct.
 *
 * For each key of a section the first source that has it wins: flag, variable, file,
 * default.  Afterwards every source is walked once more for names nobody asked for. */
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>

#include "base/text.h"
#include "config/loader.h"

enum { PROBLEM_TEXT_MAX = 768, SHOWN_MAX = 64 };

extern char **environ;

void loader_problem(struct loader *loader, const char *fmt, ...) {
    char text[PROBLEM_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* a cut is fine */
    va_end(args);
    for (char *c = text; *c != 0; c++) {
        if (iscntrl((unsigned char)*c)) {
            *c = '?';
        }
    }
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

/* Zeroed items in the box's arena, or NULL with no_memory set. */
static void *loader_alloc(struct loader *loader, size_t count, size_t size) {
    void *memory = arena_alloc(&loader->box->arena, count, size);
    if (memory == NULL) {
        loader->no_memory = true;
    }
    return memory;
}

/* ---- one setting ---------------------------------------------------------------- */

/* Where a setting's value comes from; exactly one of text and node is set. */
struct given {
    const char *name;             /* "worker.threads", "models[0].path" */
    const char *origin;           /* for messages and reports */
    const char *text;             /* of a flag, a variable or a default */
    const config_setting_t *node; /* of the file */
};

static void note_value(struct loader *loader, const char *name, const char *text,
                       const char *origin) {
    struct config *config = &loader->box->config;
    assert(config->value_count < loader->value_max);
    loader->values[config->value_count++] =
        (struct config_value){.key = name, .text = text, .origin = origin};
}

static void refuse(struct loader *loader, const struct key *key,
                   const struct given *given, const char *shown) {
    char allowed[KEY_ALLOWED_MAX];
    key_allowed(key, allowed, sizeof(allowed));
    loader_problem(loader, "%s: %s = %.*s: must be %s", given->origin, given->name,
                   SHOWN_MAX, shown, allowed);
}

/* What the file holds for a value, as text; NULL for a group, list or array. */
static const char *node_text(struct loader *loader, const config_setting_t *node) {
    switch (config_setting_type(node)) {
    case CONFIG_TYPE_STRING:
        return loader_format(loader, "%s", config_setting_get_string(node));
    case CONFIG_TYPE_INT:
        return loader_format(loader, "%d", config_setting_get_int(node));
    case CONFIG_TYPE_INT64:
        return loader_format(loader, "%lld", config_setting_get_int64(node));
    case CONFIG_TYPE_FLOAT:
        return loader_format(loader, "%g", config_setting_get_float(node));
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(node) == CONFIG_TRUE ? "true" : "false";
    default:
        return NULL;
    }
}

/* Names go into logs, headers and metrics, which must stay readable. */
static bool is_clean(const char *text) {
    for (const char *c = text; *c != 0; c++) {
        if (iscntrl((unsigned char)*c)) {
            return false;
        }
    }
    return text_is_utf8(text);
}

/* Kafka's rule for topic names. */
static bool is_name(const char *text) {
    for (const char *c = text; *c != 0; c++) {
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL) {
            return false;
        }
    }
    return strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static bool text_is_allowed(const struct key *key, const char *text) {
    size_t size = strlen(text);
    return size >= (size_t)key->min && size <= (size_t)key->max && is_clean(text) &&
           (key->type != KEY_NAME || is_name(text));
}

static int choice_index(const struct key *key, const char *text) {
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(key->choices[i], text) == 0) {
            return i;
        }
    }
    return -1;
}

/* Stores `text` in `field` if it is allowed. */
static bool store_text(struct loader *loader, const struct key *key, const char *text,
                       void *field) {
    int64_t number;
    int integer;
    switch (key->type) {
    case KEY_INT:
        if (!text_parse_int(text, &number) || number < key->min || number > key->max) {
            return false;
        }
        integer = (int)number;
        memcpy(field, &integer, sizeof(integer));
        return true;
    case KEY_CHOICE:
        integer = choice_index(key, text);
        memcpy(field, &integer, sizeof(integer));
        return integer >= 0;
    case KEY_PATH:
        if (text[0] != '/' && strcmp(loader->folder, ".") != 0 &&
            text_is_allowed(key, text)) {
            text = loader_format(loader, "%s/%s", loader->folder, text);
        }
        memcpy(field, &text, sizeof(text));
        return text_is_allowed(key, text);
    case KEY_TEXT:
    case KEY_NAME:
        memcpy(field, &text, sizeof(text));
        return text_is_allowed(key, text);
    case KEY_TEXTS:
        break; /* a list has no text form but the empty default */
    }
    return text[0] == 0;
}

/* Stores a list or array of texts; returns it as one text for the report. */
static const char *store_texts(struct loader *loader, const struct key *key,
                               const struct given *given, char *base) {
    size_t count = (size_t)config_setting_length(given->node);
    const char **items;
    const char *all = "";
    if (count > (size_t)key->max) {
        refuse(loader, key, given, loader_format(loader, "%zu items", count));
        return all;
    }
    items = loader_alloc(loader, count, sizeof(*items));
    for (size_t i = 0; i < count && items != NULL; i++) {
        const config_setting_t *node = config_setting_get_elem(given->node, (unsigned)i);
        const char *text = node_text(loader, node);
        if (config_setting_type(node) != CONFIG_TYPE_STRING || text[0] == 0 ||
            strlen(text) > CONFIG_TEXT_SIZE_MAX || !is_clean(text)) {
            loader_problem(loader, "%s: %s[%zu]: must be a text of 1 to %d bytes",
                           given->origin, given->name, i, CONFIG_TEXT_SIZE_MAX);
            text = "";
        }
        items[i] = text;
        all = loader_format(loader, "%s%s%s", all, i == 0 ? "" : ", ", text);
    }
    memcpy(base + key->offset, &items, sizeof(items));
    memcpy(base + key->count_offset, &count, sizeof(count));
    return all;
}

/* A value of the file must have the type that is wanted: "5" is no number. */
static bool node_fits(const struct key *key, const config_setting_t *node) {
    int type = config_setting_type(node);
    if (key->type == KEY_TEXTS) {
        return type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;
    }
    if (key->type == KEY_INT) {
        return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
    }
    return type == CONFIG_TYPE_STRING;
}

/* Stores what was given in the struct at `base`, or reports why not. */
static void take_value(struct loader *loader, const struct key *key,
                       const struct given *given, char *base) {
    const char *text = given->text;
    if (given->node != NULL) {
        if (!node_fits(key, given->node)) {
            const char *shown = node_text(loader, given->node);
            refuse(loader, key, given, shown == NULL ? "a group or list" : shown);
            return;
        }
        text = key->type == KEY_TEXTS ? store_texts(loader, key, given, base)
                                      : node_text(loader, given->node);
    }
    if (key->type != KEY_TEXTS || given->node == NULL) {
        if (!store_text(loader, key, text, base + key->offset)) {
            refuse(loader, key, given, text[0] == 0 ? "\"\"" : text);
        }
    }
    note_value(loader, given->name, text, given->origin);
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
        take_value(loader, key, &given, base);
    }
}

/* ---- lists: models, routes ------------------------------------------------------ */

static void refuse_unknown(struct loader *loader, const struct section *section,
                           const char *origin, const char *owner, const char *key) {
    const char *nearest = key_nearest(section, key);
    loader_problem(loader, "%s: %s has no setting '%.*s'%s%s%s", origin, owner, SHOWN_MAX,
                   key, nearest == NULL ? "" : "; is '", nearest == NULL ? "" : nearest,
                   nearest == NULL ? "" : "' meant?");
}

static void load_item(struct loader *loader, const struct section *section, size_t index,
                      config_setting_t *item, char *base) {
    const char *where = source_where(loader, item);
    const char *owner = loader_format(loader, "%s[%zu]", section->name, index);
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
        take_value(loader, key, &given, base);
    }
    for (int i = 0; i < config_setting_length(item); i++) {
        config_setting_t *node = config_setting_get_elem(item, (unsigned)i);
        if (key_find(section, config_setting_name(node)) == NULL) {
            refuse_unknown(loader, section, source_where(loader, node), owner,
                           config_setting_name(node));
        }
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
        load_item(loader, section, i, config_setting_get_elem(list, (unsigned)i),
                  items + i * section->item_size);
    }
    return items;
}

/* ---- properties: kafka, consumer, producer -------------------------------------- */

/* Adds a property unless a source of higher precedence has it already. */
static void add_property(struct loader *loader, const struct section *section,
                         struct config_property *items, size_t *count, const char *name,
                         const char *text, const char *origin) {
    char *dotted = arena_text(&loader->box->arena, name, strlen(name));
    const char *value = loader_format(loader, "%s", text);
    if (dotted == NULL) {
        loader->no_memory = true;
        return;
    }
    for (char *c = dotted; *c != 0; c++) {
        *c = *c == '_' ? '.' : (char)tolower((unsigned char)*c);
    }
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(items[i].name, dotted) == 0) {
            return;
        }
    }
    if (dotted[0] == 0 || !is_name(dotted)) {
        loader_problem(loader, "%s: %s: '%.*s' is no property name", origin,
                       section->name, SHOWN_MAX, dotted);
        return;
    }
    if (*count == section->items_max) {
        loader_problem(loader, "%s: %s has more than %zu properties", origin,
                       section->name, section->items_max);
        return;
    }
    items[(*count)++] = (struct config_property){.name = dotted, .value = value};
    note_value(loader, loader_format(loader, "%s.%s", section->name, dotted),
               config_is_secret(dotted) ? "(hidden)" : value, origin);
}

static void load_properties(struct loader *loader, const struct section *section,
                            config_setting_t *group) {
    struct config_property *items =
        loader_alloc(loader, section->items_max, sizeof(*items));
    struct config_properties found = {.items = items};
    char prefix[KEY_VARIABLE_MAX];
    size_t prefix_size;
    if (items == NULL) {
        return;
    }
    (void)snprintf(prefix, sizeof(prefix), "%s.", section->name);
    prefix_size = strlen(prefix);
    for (size_t i = loader->override_count; i > 0; i--) {
        const char *flag = loader->overrides[i - 1];
        const char *equals = strchr(flag, '=');
        if (equals != NULL && strncmp(flag, prefix, prefix_size) == 0) {
            const char *name = loader_format(
                loader, "%.*s", (int)(equals - flag - (ptrdiff_t)prefix_size),
                flag + prefix_size);
            add_property(loader, section, items, &found.count, name, equals + 1, "--set");
        }
    }
    key_variable(section, "", prefix, sizeof(prefix));
    prefix_size = strlen(prefix);
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (equals != NULL && strncmp(*entry, prefix, prefix_size) == 0) {
            const char *variable =
                loader_format(loader, "%.*s", (int)(equals - *entry), *entry);
            add_property(loader, section, items, &found.count, variable + prefix_size,
                         equals + 1, variable);
        }
    }
    for (int i = 0; group != NULL && i < config_setting_length(group); i++) {
        config_setting_t *node = config_setting_get_elem(group, (unsigned)i);
        const char *where = source_where(loader, node);
        const char *text = node_text(loader, node);
        if (text == NULL) {
            loader_problem(loader, "%s: %s.%s: must be text, a number, true or false",
                           where, section->name, config_setting_name(node));
            continue;
        }
        add_property(loader, section, items, &found.count, config_setting_name(node),
                     text, where);
    }
    memcpy((char *)&loader->box->config + section->offset, &found, sizeof(found));
}

/* ---- names nobody asked for ----------------------------------------------------- */

static void refuse_section(struct loader *loader, const char *origin, const char *name) {
    const char *nearest = section_nearest(name);
    loader_problem(loader, "%s: there is no section '%.*s'%s%s%s", origin, SHOWN_MAX,
                   name, nearest == NULL ? "" : "; is '", nearest == NULL ? "" : nearest,
                   nearest == NULL ? "" : "' meant?");
}

/* One name of a flag or a variable: is it a setting of the section? */
static void check_name(struct loader *loader, const struct section *section,
                       const char *origin, const char *key) {
    switch (section->kind) {
    case SECTION_PROPERTIES:
        break; /* librdkafka knows them */
    case SECTION_LIST:
        loader_problem(loader, "%s: %s come from the file alone", origin, section->name);
        break;
    case SECTION_GROUP:
        if (key_find(section, key) == NULL) {
            refuse_unknown(loader, section, origin, section->name, key);
        }
        break;
    }
}

static void check_flags(struct loader *loader) {
    for (size_t i = 0; i < loader->override_count; i++) {
        const char *flag = loader->overrides[i];
        const char *dot = strchr(flag, '.');
        const char *equals = strchr(flag, '=');
        const struct section *section;
        const char *name;
        if (equals == NULL || dot == NULL || dot > equals) {
            /* What follows may be a secret in the wrong place: it is not shown. */
            loader_problem(loader, "--set: must be section.key=value");
            continue;
        }
        name = loader_format(loader, "%.*s", (int)(dot - flag), flag);
        section = section_find(name);
        if (section == NULL) {
            refuse_section(loader, "--set", name);
            continue;
        }
        check_name(loader, section, "--set",
                   loader_format(loader, "%.*s", (int)(equals - dot - 1), dot + 1));
    }
}

static void check_variables(struct loader *loader) {
    size_t section_count;
    const struct section *all = sections(&section_count);
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        for (size_t i = 0; i < section_count && equals != NULL; i++) {
            char prefix[KEY_VARIABLE_MAX];
            char *key;
            key_variable(&all[i], "", prefix, sizeof(prefix));
            if (strncmp(*entry, prefix, strlen(prefix)) != 0) {
                continue;
            }
            key = arena_text(&loader->box->arena, *entry + strlen(prefix),
                             (size_t)(equals - *entry) - strlen(prefix));
            if (key == NULL) {
                loader->no_memory = true;
                return;
            }
            for (char *c = key; *c != 0; c++) {
                *c = (char)tolower((unsigned char)*c);
            }
            check_name(loader, &all[i],
                       loader_format(loader, "%.*s", (int)(equals - *entry), *entry),
                       key);
        }
    }
}

static void check_tree(struct loader *loader) {
    config_setting_t *root = config_root_setting(&loader->tree);
    for (int i = 0; i < config_setting_length(root); i++) {
        config_setting_t *node = config_setting_get_elem(root, (unsigned)i);
        const char *name = config_setting_name(node);
        const struct section *section = section_find(name);
        if (section == NULL) {
            refuse_section(loader, source_where(loader, node), name);
            continue;
        }
        if (section->kind == SECTION_LIST) {
            continue; /* load_list looked */
        }
        if (!config_setting_is_group(node)) {
            loader_problem(loader, "%s: %s: must be a group: %s = { ... };",
                           source_where(loader, node), name, name);
            continue;
        }
        for (int j = 0; section->kind == SECTION_GROUP && j < config_setting_length(node);
             j++) {
            config_setting_t *member = config_setting_get_elem(node, (unsigned)j);
            if (key_find(section, config_setting_name(member)) == NULL) {
                refuse_unknown(loader, section, source_where(loader, member), name,
                               config_setting_name(member));
            }
        }
    }
}

/* ---- the whole ------------------------------------------------------------------ */

static config_setting_t *group_of(struct loader *loader, const char *name) {
    config_setting_t *group = config_lookup(&loader->tree, name);
    return group != NULL && config_setting_is_group(group) ? group : NULL;
}

/* Room for the report: what every section may hold at most. */
static size_t values_needed(void) {
    size_t count;
    size_t needed = 0;
    const struct section *all = sections(&count);
    for (size_t i = 0; i < count; i++) {
        size_t items = all[i].kind == SECTION_GROUP ? 1 : all[i].items_max;
        needed += items * (all[i].kind == SECTION_PROPERTIES ? 1 : all[i].key_count);
    }
    return needed;
}

static void load_sections(struct loader *loader) {
    struct config *config = &loader->box->config;
    size_t count;
    const struct section *all = sections(&count);
    for (size_t i = 0; i < count; i++) {
        config_setting_t *group = group_of(loader, all[i].name);
        if (all[i].kind == SECTION_PROPERTIES) {
            load_properties(loader, &all[i], group);
        } else if (all[i].kind == SECTION_GROUP) {
            load_group(loader, &all[i], group);
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
    check_tree(loader);
    check_variables(loader);
    check_flags(loader);
    load_sections(loader);
    check_config(loader);
}

enum status config_load_verbose(const char *path, const char *const *overrides,
                                size_t count, config_problem_fn *on_problem, void *opaque,
                                struct config **out, struct error *err) {
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

enum status config_load(const char *path, const char *const *overrides, size_t count,
                        struct config **out, struct error *err) {
    return config_load_verbose(path, overrides, count, NULL, NULL, out, err);
}

void config_free(struct config *config) {
    struct config_box *box = (struct config_box *)config; /* its first field */
    if (box == NULL) {
        return;
    }
    arena_release(&box->arena);
    free(box);
}
