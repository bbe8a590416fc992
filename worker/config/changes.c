/* changes.c - which settings differ between two loads.
 *
 * A setting's text in the report is for people: a record's fields are only counted in it,
 * and a secret is not shown.  So each setting has a sum of all that was written, too. */
#include "config/loader.h"

#define SUM_START UINT64_C(0xcbf29ce484222325) /* FNV-1a, of 64 bits */
#define SUM_PRIME UINT64_C(0x100000001b3)

/* With the text's end, so that "a", "b" is not "ab". */
static uint64_t add_text(uint64_t sum, const char *text) {
    do {
        sum = (sum ^ (unsigned char)*text) * SUM_PRIME;
    } while (*text++ != 0);
    return sum;
}

uint64_t changes_sum_text(const char *text) {
    return add_text(SUM_START, text);
}

static uint64_t add_node(uint64_t sum, const config_setting_t *node) {
    const char *name = config_setting_name(node);
    int type = config_setting_type(node);
    char number[32] = "(";
    if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) {
        (void)snprintf(number, sizeof(number), "%lld", config_setting_get_int64(node));
    } else if (type == CONFIG_TYPE_FLOAT) {
        (void)snprintf(number, sizeof(number), "%a", config_setting_get_float(node));
    } else if (type == CONFIG_TYPE_BOOL) {
        (void)snprintf(number, sizeof(number), "%d", config_setting_get_bool(node));
    }
    sum = add_text(sum, name == NULL ? "" : name);
    sum = (sum ^ (unsigned)type) * SUM_PRIME;
    return add_text(sum, type == CONFIG_TYPE_STRING ? config_setting_get_string(node)
                                                    : number);
}

uint64_t changes_sum_node(const config_setting_t *node) {
    const config_setting_t *at = node;
    uint64_t sum = add_node(SUM_START, at);
    for (;;) {
        bool down = config_setting_is_aggregate(at) && config_setting_length(at) > 0;
        int next = 0;
        while (!down && at != node) {
            const config_setting_t *owner = config_setting_parent(at);
            next = config_setting_index(at) + 1;
            down = next < config_setting_length(owner);
            at = owner;
            sum = down ? sum : add_text(sum, ")");
        }
        if (!down) {
            return sum;
        }
        at = config_setting_get_elem(at, (unsigned)next);
        sum = add_node(sum, at);
    }
}

/* The value of the same key; most often it stands at the same place. */
static const struct config_value *find(const struct config *config, const char *key,
                                       size_t near) {
    for (size_t i = 0; i < config->value_count; i++) {
        const struct config_value *value =
            &config->values[(near + i) % config->value_count];
        if (strcmp(value->key, key) == 0) {
            return value;
        }
    }
    return NULL;
}

/* Path and version of a model are taken up while the worker runs. */
static bool is_reloaded(const char *key) {
    const char *end = strstr(key, "].");
    return strncmp(key, "models[", 7) == 0 && end != NULL &&
           (strcmp(end, "].path") == 0 || strcmp(end, "].version") == 0);
}

struct names { /* of settings, in a text that may end before them */
    char *text;
    size_t size, used, count;
};

static void add_name(struct names *names, const char *key) {
    int size = 0;
    if (names->used < names->size) {
        size = snprintf(names->text + names->used, names->size - names->used, "%s%s",
                        names->count == 0 ? "" : ", ", key);
    }
    names->used += size > 0 ? (size_t)size : 0;
    names->count++;
}

size_t config_changes(const struct config *before, const struct config *now, char *text,
                      size_t size) {
    struct names names = {.text = text, .size = size};
    text[0] = 0;
    for (size_t i = 0; i < now->value_count; i++) {
        const struct config_value *value = &now->values[i];
        const struct config_value *old = find(before, value->key, i);
        if (!is_reloaded(value->key) && (old == NULL || old->sum != value->sum)) {
            add_name(&names, value->key);
        }
    }
    for (size_t i = 0; i < before->value_count; i++) {
        const char *key = before->values[i].key;
        if (!is_reloaded(key) && find(now, key, i) == NULL) {
            add_name(&names, key);
        }
    }
    return names.count;
}
