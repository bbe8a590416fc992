/* value.c - one setting: is it of the right type and within its limits? */
#include <assert.h>
#include <ctype.h>

#include "base/text.h"
#include "config/loader.h"

#define HIDDEN "(hidden)"

void value_note(struct loader *loader, const char *name, const char *text,
                const char *origin, uint64_t sum) {
    struct config *config = &loader->box->config;
    assert(config->value_count < loader->value_max);
    loader->values[config->value_count++] =
        (struct config_value){.key = name, .text = text, .origin = origin, .sum = sum};
}

static void refuse(struct loader *loader, const struct key *key,
                   const struct given *given, const char *shown) {
    char allowed[KEY_ALLOWED_MAX];
    shown = key->type == KEY_SECRET ? HIDDEN : shown;
    key_allowed(key, allowed, sizeof(allowed));
    loader_problem(loader, "%s: %s = %.*s: must be %s", given->origin, given->name,
                   LOADER_SHOWN_MAX, shown, allowed);
}

/* What the file holds for a value, as text; NULL for a group, list or array. */
const char *value_text(struct loader *loader, const config_setting_t *node) {
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
bool value_is_clean(const char *text) {
    for (const char *c = text; *c != 0; c++) {
        if (iscntrl((unsigned char)*c)) {
            return false;
        }
    }
    return text_is_utf8(text);
}

/* Kafka's rule for topic names. */
bool value_is_name(const char *text) {
    for (const char *c = text; *c != 0; c++) {
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL) {
            return false;
        }
    }
    return strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

const char *value_path(struct loader *loader, const char *text) {
    bool as_it_is = text[0] == '/' || strcmp(loader->folder, ".") == 0;
    return as_it_is ? text : loader_format(loader, "%s/%s", loader->folder, text);
}

static bool text_is_allowed(const struct key *key, const char *text) {
    size_t size = strlen(text);
    return size >= (size_t)key->min && size <= (size_t)key->max && value_is_clean(text) &&
           (key->type != KEY_NAME || value_is_name(text));
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
        if (text[0] != 0 && text_is_allowed(key, text)) {
            text = value_path(loader, text);
        }
        memcpy(field, &text, sizeof(text));
        return text_is_allowed(key, text);
    case KEY_TEXT:
    case KEY_NAME:
    case KEY_SECRET:
        memcpy(field, &text, sizeof(text));
        return text_is_allowed(key, text);
    case KEY_TEXTS:
    case KEY_GROUP:
    case KEY_OWN:
        break; /* these have no text form but the empty default */
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
        const char *text = value_text(loader, node);
        if (config_setting_type(node) != CONFIG_TYPE_STRING || text[0] == 0 ||
            strlen(text) > CONFIG_TEXT_SIZE_MAX || !value_is_clean(text)) {
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
void value_take(struct loader *loader, const struct key *key, const struct given *given,
                char *base) {
    const char *text = given->text;
    assert((given->text == NULL) != (given->node == NULL));
    if (given->node != NULL && key->type == KEY_GROUP) {
        group_take(loader, key, given, base);
        return;
    }
    if (given->node != NULL && key->type == KEY_OWN) {
        key->take(loader, given, base);
        return;
    }
    if (given->node != NULL) {
        if (!node_fits(key, given->node)) {
            const char *shown = value_text(loader, given->node);
            refuse(loader, key, given, shown == NULL ? "a group or list" : shown);
            return;
        }
        text = key->type == KEY_TEXTS ? store_texts(loader, key, given, base)
                                      : value_text(loader, given->node);
    }
    if (key->type != KEY_TEXTS || given->node == NULL) {
        if (!store_text(loader, key, text, base + key->offset)) {
            refuse(loader, key, given, text[0] == 0 ? "\"\"" : text);
        }
    }
    value_note(loader, given->name,
               key->type == KEY_SECRET && text[0] != 0 ? HIDDEN : text, given->origin,
               changes_sum_text(text));
}
