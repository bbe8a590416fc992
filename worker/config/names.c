/* names.c - names that nobody asked for, in the file, the environment and the flags.
 *
 * A mistyped setting would otherwise be a default that nobody notices. */
#include <ctype.h>

#include "config/loader.h"

extern char **environ;

void names_refuse(struct loader *loader, const struct section *section,
                  const char *origin, const char *owner, const char *key) {
    const char *nearest = key_nearest(section, key);
    loader_problem(loader, "%s: %s has no setting '%.*s'%s%s%s", origin, owner,
                   LOADER_SHOWN_MAX, key, nearest == NULL ? "" : "; is '",
                   nearest == NULL ? "" : nearest, nearest == NULL ? "" : "' meant?");
}

static void refuse_section(struct loader *loader, const char *origin, const char *name) {
    const char *nearest = section_nearest(name);
    loader_problem(loader, "%s: there is no section '%.*s'%s%s%s", origin,
                   LOADER_SHOWN_MAX, name, nearest == NULL ? "" : "; is '",
                   nearest == NULL ? "" : nearest, nearest == NULL ? "" : "' meant?");
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
            names_refuse(loader, section, origin, section->name, key);
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
    const struct section *const *all = sections(&section_count);
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        for (size_t i = 0; i < section_count && equals != NULL; i++) {
            char prefix[KEY_VARIABLE_MAX];
            char *key;
            key_variable(all[i], "", prefix, sizeof(prefix));
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
            check_name(loader, all[i],
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
                names_refuse(loader, section, source_where(loader, member), name,
                             config_setting_name(member));
            }
        }
    }
}

void names_check(struct loader *loader) {
    check_tree(loader);
    check_variables(loader);
    check_flags(loader);
}
