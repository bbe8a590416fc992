/* record_spots.c - values of a record's group, each with its name for what is wrong; see
 * record_forms.h. */
#include <stdarg.h>

#include "base/text.h"
#include "config/record_forms.h"

void spot_problem(const struct spot *spot, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* a cut is fine */
    va_end(args);
    loader_problem(spot->loader, "%s: %s: %s", source_where(spot->loader, spot->node),
                   spot->name, text);
}

struct spot spot_member(const struct spot *spot, const char *key) {
    return (struct spot){.loader = spot->loader,
                         .name = loader_format(spot->loader, "%s.%s", spot->name, key),
                         .node = config_setting_get_member(spot->node, key)};
}

struct spot spot_item(const struct spot *spot, int index) {
    return (struct spot){.loader = spot->loader,
                         .name = loader_format(spot->loader, "%s[%d]", spot->name, index),
                         .node = config_setting_get_elem(spot->node, (unsigned)index)};
}

bool spot_is_list(const struct spot *spot) {
    return config_setting_is_list(spot->node) || config_setting_is_array(spot->node);
}

bool spot_is_group(const struct spot *spot) {
    return config_setting_is_group(spot->node);
}

static bool is_integer(const struct spot *spot) {
    int type = config_setting_type(spot->node);
    return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

bool spot_is_number(const struct spot *spot) {
    return is_integer(spot) || config_setting_type(spot->node) == CONFIG_TYPE_FLOAT;
}

int64_t spot_integer(const struct spot *spot, int64_t min, int64_t max) {
    int64_t number = is_integer(spot) ? config_setting_get_int64(spot->node) : 0;
    if (!is_integer(spot) || number < min || number > max) {
        spot_problem(spot, "must be a whole number from %lld to %lld", (long long)min,
                     (long long)max);
        return 0;
    }
    return number;
}

double spot_number(const struct spot *spot) {
    if (is_integer(spot)) {
        return (double)config_setting_get_int64(spot->node);
    }
    if (!spot_is_number(spot)) {
        spot_problem(spot, "must be a number");
        return 0;
    }
    return config_setting_get_float(spot->node);
}

const char *spot_text(const struct spot *spot) {
    const char *text = config_setting_type(spot->node) == CONFIG_TYPE_STRING
                           ? value_text(spot->loader, spot->node)
                           : "";
    if (text[0] == 0 || strlen(text) > CONFIG_TEXT_SIZE_MAX || !value_is_clean(text)) {
        spot_problem(spot, "must be a text of 1 to %d bytes", CONFIG_TEXT_SIZE_MAX);
        return "";
    }
    return text;
}

void spot_words(const struct spot *spot, struct config_words *words) {
    const char **items;
    int count = spot_is_list(spot) ? config_setting_length(spot->node) : 0;
    if (!spot_is_list(spot)) {
        const char *text = spot_text(spot);
        words->path = text[0] == 0 ? NULL : value_path(spot->loader, text);
        return;
    }
    if (count < 1 || count > CONFIG_WORDS_MAX) {
        spot_problem(spot, "%d words: must be 1 to %d, or the name of a file of them",
                     count, CONFIG_WORDS_MAX);
        return;
    }
    items = loader_alloc(spot->loader, (size_t)count, sizeof(*items));
    for (int i = 0; items != NULL && i < count; i++) {
        const struct spot item = spot_item(spot, i);
        items[i] = spot_text(&item);
    }
    words->items = items;
    words->count = items == NULL ? 0 : (size_t)count;
}

static bool is_named(const char *name, const struct form *forms, size_t count,
                     const char *also) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(forms[i].name, name) == 0) {
            return true;
        }
    }
    return also != NULL && strcmp(also, name) == 0;
}

void spot_check_names(const struct spot *spot, const struct form *forms, size_t count,
                      const char *also) {
    for (int i = 0; i < config_setting_length(spot->node); i++) {
        const struct spot item = spot_item(spot, i);
        const char *name = config_setting_name(item.node);
        const char *names[16];
        const char *nearest;
        size_t known = 0;
        if (is_named(name, forms, count, also)) {
            continue;
        }
        for (; known < count && known < ARRAY_COUNT(names) - 1; known++) {
            names[known] = forms[known].name;
        }
        if (also != NULL) {
            names[known++] = also;
        }
        nearest = text_nearest(name, names, known);
        loader_problem(spot->loader, "%s: %s has no setting '%.*s'%s%s%s",
                       source_where(spot->loader, item.node), spot->name,
                       LOADER_SHOWN_MAX, name, nearest == NULL ? "" : "; is '",
                       nearest == NULL ? "" : nearest, nearest == NULL ? "" : "' meant?");
    }
}

void forms_print(const struct form *forms, size_t count, FILE *to) {
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(to, "| `%s` | `%s` | %s. |\n", forms[i].name, forms[i].written,
                      forms[i].help);
    }
}
