/* registry_subjects.c - see registry_subjects.h. */
#include "tools/registry_subjects.h"

#include "base/text.h"
#include "codec/plan.h"

struct subject *store_find_subject(struct registry_store *store, const char *name) {
    for (int i = 0; i < store->subject_count; i++) {
        if (strcmp(store->subjects[i]->name, name) == 0) {
            return store->subjects[i];
        }
    }
    return NULL;
}

struct subject *store_make_subject(struct registry_store *store, const char *name) {
    struct subject *subject = store_find_subject(store, name);
    if (subject != NULL || store->subject_count == REGISTRY_STORE_MAX ||
        (subject = calloc(1, sizeof(*subject))) == NULL) {
        return subject;
    }
    (void)snprintf(subject->name, sizeof(subject->name), "%s", name);
    store->subjects[store->subject_count++] = subject;
    return subject;
}

int store_find_version(const struct subject *subject, const char *text) {
    int64_t number = 0;
    if (strcmp(text, "latest") == 0 || strcmp(text, "-1") == 0) {
        return subject->count;
    }
    return text_parse_int(text, &number) && number >= 1 && number <= subject->count
               ? (int)number
               : 0;
}

/* The id that a reference names; 0 where there is none. */
static int referred(struct registry_store *store, const json_t *reference) {
    const char *name = json_string_value(json_object_get(reference, "subject"));
    json_int_t version = json_integer_value(json_object_get(reference, "version"));
    struct subject *subject = name == NULL ? NULL : store_find_subject(store, name);
    return subject == NULL || version < 1 || version > subject->count
               ? 0
               : subject->ids[version - 1];
}

/* In the schemas referred to, and in those that they refer to: each is older, so that
 * there is no circle. */
const struct avro_node *store_find_type(void *opaque, const char *name) {
    const struct store_lookup *lookup = opaque;
    for (size_t i = 0; i < json_array_size(lookup->references); i++) {
        int id = referred(lookup->store, json_array_get(lookup->references, i));
        const struct stored *stored = id == 0 ? NULL : &lookup->store->schemas[id - 1];
        struct store_lookup below = {lookup->store,
                                     stored == NULL ? NULL : stored->references};
        const struct avro_node *node =
            stored == NULL ? NULL : avro_schema_named(stored->schema, name);
        node = node == NULL && stored != NULL ? store_find_type(&below, name) : node;
        if (node != NULL) {
            return node;
        }
    }
    return NULL;
}

char *store_squeeze(const char *text) {
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    char *squeezed =
        json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    return squeezed;
}

int store_find_schema(const struct registry_store *store, const char *text,
                      const json_t *references) {
    for (int i = 0; i < store->schema_count; i++) {
        if (strcmp(store->schemas[i].text, text) == 0 &&
            json_equal(store->schemas[i].references, references)) {
            return i + 1;
        }
    }
    return 0;
}

int store_version_of(const struct subject *subject, int id) {
    for (int i = 0; i < subject->count && id > 0; i++) {
        if (subject->ids[i] == id) {
            return i + 1;
        }
    }
    return 0;
}

const char *store_level_of(const struct registry_store *store,
                           const struct subject *subject) {
    return subject == NULL || subject->level[0] == 0 ? store->level : subject->level;
}

bool store_compatible(struct registry_store *store, const struct subject *subject,
                      int first, const struct avro_schema *next, struct error *err) {
    const char *level = store_level_of(store, subject);
    bool backward = strncmp(level, "BACKWARD", 8) == 0 || strncmp(level, "FULL", 4) == 0;
    bool forward = strncmp(level, "FORWARD", 7) == 0 || strncmp(level, "FULL", 4) == 0;
    for (int i = first; i < subject->count; i++) {
        const struct avro_node *old =
            avro_schema_root(store->schemas[subject->ids[i] - 1].schema);
        if ((backward &&
             plan_check_resolution(old, avro_schema_root(next), err) != STATUS_OK) ||
            (forward &&
             plan_check_resolution(avro_schema_root(next), old, err) != STATUS_OK)) {
            (void)error_prefix(err, "version %d", i + 1);
            return false;
        }
    }
    return true;
}

int store_first_checked(const struct registry_store *store,
                        const struct subject *subject) {
    bool all = strstr(store_level_of(store, subject), "TRANSITIVE") != NULL;
    return all || subject->count == 0 ? 0 : subject->count - 1;
}
