/* reference.c - the page of every setting, printed from the key table. */
#include "config/loader.h"

static void print_example(const struct section *section, FILE *to) {
    switch (section->kind) {
    case SECTION_GROUP:
        (void)fprintf(to, "`%s = { ... };`", section->name);
        break;
    case SECTION_LIST:
        (void)fprintf(to, "`%s = ( { ... }, { ... } );` (at most %zu)", section->name,
                      section->items_max);
        break;
    case SECTION_PROPERTIES:
        (void)fprintf(to, "`%s = { property = value; };` (at most %zu)", section->name,
                      section->items_max);
        break;
    }
}

static void print_key(const struct section *section, const struct key *key,
                      bool variables, FILE *to) {
    char variable[KEY_VARIABLE_MAX];
    char allowed[KEY_ALLOWED_MAX];
    key_allowed(key, allowed, sizeof(allowed));
    (void)fprintf(to, "| `%s` | %s | ", key->name, allowed);
    if (key->fallback == NULL) {
        (void)fputs("required", to);
    } else if (key->fallback[0] == 0) {
        (void)fputs("empty", to);
    } else {
        (void)fprintf(to, "`%s`", key->fallback);
    }
    if (variables) {
        key_variable(section, key->name, variable, sizeof(variable));
        (void)fprintf(to, " | `%s`", variable);
    }
    (void)fprintf(to, " | %s |\n", key->help);
}

static void print_keys(const struct section *section, bool variables, FILE *to) {
    (void)fprintf(to,
                  "\n| setting | allowed | default |%s meaning |\n|---|---|---|%s---|\n",
                  variables ? " environment |" : "", variables ? "---|" : "");
    for (size_t i = 0; i < section->key_count; i++) {
        print_key(section, &section->keys[i], variables, to);
    }
}

static void print_section(const struct section *section, FILE *to) {
    char variable[KEY_VARIABLE_MAX];
    (void)fprintf(to, "\n## %s\n\n", section->name);
    print_example(section, to);
    (void)fprintf(to, "\n\n%s\n", section->help);
    if (section->kind == SECTION_PROPERTIES) {
        key_variable(section, "", variable, sizeof(variable));
        (void)fprintf(to, "\nEnvironment: `%s` and the property's name.\n", variable);
        return;
    }
    print_keys(section, section->kind == SECTION_GROUP, to);
}

void config_reference(FILE *to) {
    size_t count;
    const struct section *const *all = sections(&count);
    (void)fputs(
        "# Configuration of the worker\n"
        "\n"
        "A file in libconfig's format. A setting may be given four ways; the "
        "first found counts:\n"
        "a flag `--set section.key=value`, an environment variable, the file, "
        "the default. Lists\n"
        "(`models`, `routes`) come from the file alone. `@include \"other.conf\"` "
        "at the start of a line\n"
        "reads another file, relative to the folder of the first.\n",
        to);
    for (size_t i = 0; i < count; i++) {
        print_section(all[i], to);
    }
    (void)fprintf(to, "\n## routes: %s\n\n`%s = { ... };`\n\n%s\n", record_section.name,
                  record_section.name, record_section.help);
    print_keys(&record_section, false, to);
    record_reference(to);
}
