/* properties.c - librdkafka's properties, passed on as they are.
 *
 * Their names and values are librdkafka's to judge; the stream refuses those that its
 * promises rest on.  A value may be a secret, so no message here shows one. */
#include <ctype.h>

#include "config/loader.h"

extern char **environ;

/* One section on its way; sources are added from the highest precedence down. */
struct properties {
    const struct section *section;
    struct config_property *items; /* room for section->items_max */
    size_t count;
};

/* librdkafka's spelling of a name; "" where memory runs out. */
static const char *dotted(struct loader *loader, const char *name) {
    char *text = arena_text(&loader->box->arena, name, strlen(name));
    if (text == NULL) {
        loader->no_memory = true;
        return "";
    }
    for (char *c = text; *c != 0; c++) {
        *c = *c == '_' ? '.' : (char)tolower((unsigned char)*c);
    }
    return text;
}

/* Adds a property unless a source of higher precedence has it already. */
static void add(struct loader *loader, struct properties *to, const char *written,
                const char *text, const char *origin) {
    const char *section = to->section->name;
    const char *name = dotted(loader, written);
    const char *value = loader_format(loader, "%s", text);
    for (size_t i = 0; i < to->count; i++) {
        if (strcmp(to->items[i].name, name) == 0) {
            return;
        }
    }
    if (name[0] == 0 || !value_is_name(name)) {
        loader_problem(loader, "%s: %s: '%.*s' is no property name", origin, section,
                       LOADER_SHOWN_MAX, name);
    } else if (to->count == to->section->items_max) {
        loader_problem(loader, "%s: %s has more than %zu properties", origin, section,
                       to->section->items_max);
    } else {
        to->items[to->count++] = (struct config_property){.name = name, .value = value};
        value_note(loader, loader_format(loader, "%s.%s", section, name),
                   config_is_secret(name) ? "(hidden)" : value, origin,
                   changes_sum_text(value));
    }
}

static void add_flags(struct loader *loader, struct properties *to) {
    const char *prefix = loader_format(loader, "%s.", to->section->name);
    size_t size = strlen(prefix);
    for (size_t i = loader->override_count; i > 0; i--) { /* the last one wins */
        const char *flag = loader->overrides[i - 1];
        const char *equals = strchr(flag, '=');
        if (equals != NULL && size > 0 && strncmp(flag, prefix, size) == 0) {
            int name_size = (int)(equals - (flag + size));
            add(loader, to, loader_format(loader, "%.*s", name_size, flag + size),
                equals + 1, "--set");
        }
    }
}

static void add_variables(struct loader *loader, struct properties *to) {
    char prefix[KEY_VARIABLE_MAX];
    size_t size;
    key_variable(to->section, "", prefix, sizeof(prefix));
    size = strlen(prefix);
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (equals != NULL && strncmp(*entry, prefix, size) == 0) {
            const char *variable =
                loader_format(loader, "%.*s", (int)(equals - *entry), *entry);
            if (variable[0] != 0) { /* it is empty where memory ran out */
                add(loader, to, variable + size, equals + 1, variable);
            }
        }
    }
}

static void add_members(struct loader *loader, struct properties *to,
                        config_setting_t *group) {
    for (int i = 0; i < config_setting_length(group); i++) {
        config_setting_t *node = config_setting_get_elem(group, (unsigned)i);
        const char *where = source_where(loader, node);
        const char *text = value_text(loader, node);
        if (text == NULL) {
            loader_problem(loader, "%s: %s.%s: must be text, a number, true or false",
                           where, to->section->name, config_setting_name(node));
            continue;
        }
        add(loader, to, config_setting_name(node), text, where);
    }
}

void properties_load(struct loader *loader, const struct section *section,
                     config_setting_t *group) {
    struct properties to = {
        .section = section,
        .items = loader_alloc(loader, section->items_max, sizeof(*to.items)),
    };
    struct config_properties loaded;
    if (to.items == NULL) {
        return;
    }
    add_flags(loader, &to);
    add_variables(loader, &to);
    if (group != NULL) {
        add_members(loader, &to, group);
    }
    loaded = (struct config_properties){.items = to.items, .count = to.count};
    memcpy((char *)&loader->box->config + section->offset, &loaded, sizeof(loaded));
}
