/* keys.c - see keys.h. */
#include "config/keys.h"

#include <assert.h>
#include <ctype.h>

#include "base/text.h"

#define PROPERTIES(field)                                                 \
    .kind = SECTION_PROPERTIES, .offset = offsetof(struct config, field), \
    .items_max = CONFIG_PROPERTIES_MAX

static const struct section kafka_section = {
    .name = "kafka",
    PROPERTIES(kafka),
    .help = "librdkafka's properties for both clients, with underscores for dots: "
            "`bootstrap_servers` is required. Those that the worker's promises "
            "rest on are refused. Passwords and keys are never shown; prefer the "
            "environment or a file of their own for them.",
};

static const struct section consumer_section = {
    .name = "consumer",
    PROPERTIES(consumer),
    .help = "The same for the consumer only; wins over `kafka`.",
};

static const struct section producer_section = {
    .name = "producer",
    PROPERTIES(producer),
    .help = "The same for the producer only; wins over `kafka`.",
};

static const struct section *const table[] = {
    &kafka_section,  &consumer_section, &producer_section, &worker_section,
    &http_section,   &log_section,      &control_section,  &registry_section,
    &models_section, &routes_section,
};

const struct section *const *sections(size_t *count) {
    *count = ARRAY_COUNT(table);
    return table;
}

const struct section *section_find(const char *name) {
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        if (strcmp(table[i]->name, name) == 0) {
            return table[i];
        }
    }
    return NULL;
}

const struct key *key_find(const struct section *section, const char *name) {
    for (size_t i = 0; i < section->key_count; i++) {
        if (strcmp(section->keys[i].name, name) == 0) {
            return &section->keys[i];
        }
    }
    return NULL;
}

const char *section_nearest(const char *name) {
    const char *names[ARRAY_COUNT(table)];
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        names[i] = table[i]->name;
    }
    return text_nearest(name, names, ARRAY_COUNT(table));
}

const char *key_nearest(const struct section *section, const char *name) {
    const char *names[32];
    assert(section->key_count <= ARRAY_COUNT(names));
    for (size_t i = 0; i < section->key_count; i++) {
        names[i] = section->keys[i].name;
    }
    return text_nearest(name, names, section->key_count);
}

void key_variable(const struct section *section, const char *key, char *text,
                  size_t size) {
    int used = snprintf(text, size, "MILLRACE_%s_%s", section->name, key);
    assert(used > 0);
    assert((size_t)used < size);
    for (char *c = text; *c != 0; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
}

void key_allowed(const struct key *key, char *text, size_t size) {
    size_t used;
    switch (key->type) {
    case KEY_INT:
        (void)snprintf(text, size, "a whole number from %lld to %lld",
                       (long long)key->min, (long long)key->max);
        break;
    case KEY_CHOICE:
        used = 0;
        for (size_t i = 0; key->choices[i] != NULL && used < size; i++) {
            used += (size_t)snprintf(text + used, size - used, "%s\"%s\"",
                                     i == 0 ? "" : " or ", key->choices[i]);
        }
        break;
    case KEY_TEXT:
    case KEY_SECRET:
    case KEY_PATH:
        (void)snprintf(text, size, "text of %lld to %lld bytes", (long long)key->min,
                       (long long)key->max);
        break;
    case KEY_NAME:
        (void)snprintf(text, size,
                       "%lld to %lld letters, digits, '.', '_' or '-', and not \".\" "
                       "or \"..\"",
                       (long long)key->min, (long long)key->max);
        break;
    case KEY_TEXTS:
        (void)snprintf(text, size, "a list of up to %lld texts", (long long)key->max);
        break;
    case KEY_GROUP:
    case KEY_OWN:
        (void)snprintf(text, size, "%s", key->form);
        break;
    }
}

bool config_is_secret(const char *property) {
    static const char *const marks[] = {
        "password", "secret", "ssl.key.pem", "sasl.oauthbearer.config", "private.key",
    };
    char name[256];
    size_t size = strlen(property);
    if (size >= sizeof(name)) {
        return true; /* nothing librdkafka knows is so long; don't show it */
    }
    for (size_t i = 0; i <= size; i++) {
        name[i] = property[i] == '_' ? '.' : (char)tolower((unsigned char)property[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        if (strstr(name, marks[i]) != NULL) {
            return true;
        }
    }
    return false;
}
