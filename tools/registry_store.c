/* registry_store.c - see registry_store.h: what is asked, and what is answered. */
#include "base/text.h"
#include "tools/registry_subjects.h"

#define SEGMENTS_MAX 6
#define REFERENCES_MAX 64

static const char *const levels[] = {
    "NONE", "BACKWARD",       "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE",
    "FULL", "FULL_TRANSITIVE"};

struct registry_store *registry_store_create(void) {
    struct registry_store *store = calloc(1, sizeof(*store));
    if (store != NULL) {
        (void)snprintf(store->level, sizeof(store->level), "BACKWARD");
    }
    return store;
}

void registry_store_destroy(struct registry_store *store) {
    if (store == NULL) {
        return;
    }
    for (int i = 0; i < store->schema_count; i++) {
        avro_schema_destroy(store->schemas[i].schema);
        json_decref(store->schemas[i].references);
        free(store->schemas[i].text);
    }
    for (int i = 0; i < store->subject_count; i++) {
        free(store->subjects[i]);
    }
    free(store);
}

/* ---- answers ------------------------------------------------------------------------
 */

static struct registry_answer good(json_t *body) {
    return (struct registry_answer){200, body};
}

/* Codes of Confluent's: the HTTP status is in front of them. */
static struct registry_answer failed(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

static struct registry_answer failed(int code, const char *fmt, ...) {
    char message[ERROR_TEXT_MAX + 128];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, args); /* cut is intended */
    va_end(args);
    return (struct registry_answer){
        (unsigned)(code > 1000 ? code / 100 : code),
        json_pack("{s:i, s:s}", "error_code", code, "message", message)};
}

/* ---- what is asked ------------------------------------------------------------------
 */

struct request {
    struct registry_store *store;
    char segments[SEGMENTS_MAX][REGISTRY_NAME_SIZE_MAX];
    int count;
    const json_t *body;
};

/* The schema of a request's body, parsed; NULL after an error, which *answer tells. */
static struct avro_schema *read_schema(struct request *r, char **text,
                                       json_t **references,
                                       struct registry_answer *answer) {
    const char *given = json_string_value(json_object_get(r->body, "schema"));
    const char *type = json_string_value(json_object_get(r->body, "schemaType"));
    json_t *list = json_object_get(r->body, "references");
    struct store_lookup lookup = {r->store, list};
    const struct avro_resolver resolver = {store_find_type, &lookup};
    struct avro_schema *schema;
    struct error err;
    *text = given == NULL ? NULL : store_squeeze(given);
    *references = json_is_array(list) ? json_incref(list) : json_array();
    if (type != NULL && strcmp(type, "AVRO") != 0) {
        *answer = failed(422, "this registry knows Avro alone");
    } else if (*text == NULL) {
        *answer = failed(42201, "Invalid schema: no JSON");
    } else if (json_array_size(*references) > REFERENCES_MAX) {
        *answer =
            failed(42201, "Invalid schema: more than %d references", REFERENCES_MAX);
    } else if (avro_schema_parse(span_text(*text), &resolver, &schema, &err) !=
               STATUS_OK) {
        *answer = failed(42201, "Invalid schema: %s", err.text);
    } else {
        return schema;
    }
    free(*text);
    json_decref(*references);
    return NULL;
}

static json_t *describe(const struct registry_store *store, const struct subject *subject,
                        int version) {
    int id = subject->ids[version - 1];
    const struct stored *stored = &store->schemas[id - 1];
    json_t *body = json_pack("{s:s, s:i, s:i, s:s}", "subject", subject->name, "version",
                             version, "id", id, "schema", stored->text);
    if (json_array_size(stored->references) > 0) {
        (void)json_object_set(body, "references", stored->references);
    }
    return body;
}

/* Takes text, references and schema. */
static struct registry_answer add_version(struct request *r, struct subject *subject,
                                          char *text, json_t *references,
                                          struct avro_schema *schema) {
    struct registry_store *store = r->store;
    int id = store_find_schema(store, text, references);
    if (id == 0 && store->schema_count < REGISTRY_STORE_MAX) {
        store->schemas[store->schema_count] = (struct stored){text, references, schema};
        id = ++store->schema_count;
    } else {
        free(text);
        json_decref(references);
        avro_schema_destroy(schema);
    }
    if (id == 0 || subject->count == REGISTRY_STORE_MAX) {
        return failed(50001, "no more than %d schemas", REGISTRY_STORE_MAX);
    }
    subject->ids[subject->count++] = id;
    return good(json_pack("{s:i, s:i}", "id", id, "version", subject->count));
}

/* POST /subjects/S/versions */
static struct registry_answer register_schema(struct request *r) {
    struct registry_answer answer = {0};
    char *text;
    json_t *references;
    struct avro_schema *schema = read_schema(r, &text, &references, &answer);
    struct subject *subject;
    struct error err;
    int version;
    if (schema == NULL) {
        return answer;
    }
    subject = store_make_subject(r->store, r->segments[1]);
    version =
        subject == NULL
            ? 0
            : store_version_of(subject, store_find_schema(r->store, text, references));
    if (subject == NULL) {
        answer = failed(50001, "no more than %d subjects", REGISTRY_STORE_MAX);
    } else if (version > 0) {
        answer = good(
            json_pack("{s:i, s:i}", "id", subject->ids[version - 1], "version", version));
    } else if (!store_compatible(r->store, subject,
                                 store_first_checked(r->store, subject), schema, &err)) {
        answer = failed(409,
                        "Schema being registered is incompatible with an earlier schema "
                        "for subject \"%s\", compatibility %s: %s",
                        subject->name, store_level_of(r->store, subject), err.text);
    } else {
        return add_version(r, subject, text, references, schema);
    }
    free(text);
    json_decref(references);
    avro_schema_destroy(schema);
    return answer;
}

/* POST /subjects/S: is the schema there? */
static struct registry_answer look_up_schema(struct request *r) {
    struct registry_answer answer = {0};
    char *text;
    json_t *references;
    struct avro_schema *schema = read_schema(r, &text, &references, &answer);
    struct subject *subject = store_find_subject(r->store, r->segments[1]);
    int version;
    if (schema == NULL) {
        return answer;
    }
    version =
        subject == NULL
            ? 0
            : store_version_of(subject, store_find_schema(r->store, text, references));
    answer = subject == NULL ? failed(40401, "Subject '%s' not found", r->segments[1])
             : version == 0  ? failed(40403, "Schema not found")
                             : good(describe(r->store, subject, version));
    free(text);
    json_decref(references);
    avro_schema_destroy(schema);
    return answer;
}

/* POST /compatibility/subjects/S/versions/V */
static struct registry_answer check_schema(struct request *r) {
    struct registry_answer answer = {0};
    char *text;
    json_t *references;
    struct avro_schema *schema = read_schema(r, &text, &references, &answer);
    struct subject *subject = store_find_subject(r->store, r->segments[2]);
    int version = subject == NULL ? 0 : store_find_version(subject, r->segments[4]);
    struct error err;
    bool fits;
    if (schema == NULL) {
        return answer;
    }
    if (version == 0) {
        answer = failed(40402, "Version %s not found", r->segments[4]);
    } else {
        fits = store_compatible(r->store, subject, version - 1, schema, &err);
        answer = good(json_pack("{s:b}", "is_compatible", fits));
        if (!fits) {
            (void)json_object_set_new(answer.body, "messages",
                                      json_pack("[s]", err.text));
        }
    }
    free(text);
    json_decref(references);
    avro_schema_destroy(schema);
    return answer;
}

/* GET /schemas/ids/N */
static struct registry_answer get_schema(struct request *r) {
    int64_t id = 0;
    json_t *body;
    const struct stored *stored;
    if (!text_parse_int(r->segments[2], &id) || id < 1 || id > r->store->schema_count) {
        return failed(40403, "Schema %s not found", r->segments[2]);
    }
    stored = &r->store->schemas[id - 1];
    body = json_pack("{s:s}", "schema", stored->text);
    if (json_array_size(stored->references) > 0) {
        (void)json_object_set(body, "references", stored->references);
    }
    return good(body);
}

/* GET /schemas/ids/N/versions */
static struct registry_answer get_places(struct request *r) {
    json_t *list = json_array();
    int64_t id = 0;
    bool parsed = text_parse_int(r->segments[2], &id);
    for (int i = 0; parsed && i < r->store->subject_count; i++) {
        const struct subject *subject = r->store->subjects[i];
        int version =
            id > 0 && id <= REGISTRY_STORE_MAX ? store_version_of(subject, (int)id) : 0;
        if (version > 0) {
            (void)json_array_append_new(
                list,
                json_pack("{s:s, s:i}", "subject", subject->name, "version", version));
        }
    }
    return good(list);
}

static struct registry_answer get_root(struct request *r) {
    (void)r; /* the same for all */
    return good(json_object());
}

static struct registry_answer get_types(struct request *r) {
    (void)r; /* the same for all */
    return good(json_pack("[s]", "AVRO"));
}

/* GET /subjects */
static struct registry_answer get_subjects(struct request *r) {
    json_t *list = json_array();
    for (int i = 0; i < r->store->subject_count; i++) {
        if (r->store->subjects[i]->count > 0) {
            (void)json_array_append_new(list, json_string(r->store->subjects[i]->name));
        }
    }
    return good(list);
}

/* GET /subjects/S/versions */
static struct registry_answer get_versions(struct request *r) {
    const struct subject *subject = store_find_subject(r->store, r->segments[1]);
    json_t *list;
    if (subject == NULL || subject->count == 0) {
        return failed(40401, "Subject '%s' not found", r->segments[1]);
    }
    list = json_array();
    for (int i = 1; i <= subject->count; i++) {
        (void)json_array_append_new(list, json_integer(i));
    }
    return good(list);
}

/* GET /subjects/S/versions/V */
static struct registry_answer get_version(struct request *r) {
    const struct subject *subject = store_find_subject(r->store, r->segments[1]);
    int version = subject == NULL ? 0 : store_find_version(subject, r->segments[3]);
    if (subject == NULL || subject->count == 0) {
        return failed(40401, "Subject '%s' not found", r->segments[1]);
    }
    return version == 0 ? failed(40402, "Version %s not found", r->segments[3])
                        : good(describe(r->store, subject, version));
}

/* GET /config, /config/S */
static struct registry_answer get_level(struct request *r) {
    const struct subject *subject =
        r->count > 1 ? store_find_subject(r->store, r->segments[1]) : NULL;
    return good(
        json_pack("{s:s}", "compatibilityLevel", store_level_of(r->store, subject)));
}

/* PUT the same */
static struct registry_answer set_level(struct request *r) {
    const char *level = json_string_value(json_object_get(r->body, "compatibility"));
    struct subject *subject =
        r->count > 1 ? store_make_subject(r->store, r->segments[1]) : NULL;
    char *to = subject == NULL ? r->store->level : subject->level;
    for (size_t i = 0; level != NULL && i < ARRAY_COUNT(levels); i++) {
        if (strcmp(levels[i], level) == 0) {
            (void)snprintf(to, REGISTRY_LEVEL_SIZE_MAX, "%s", level);
            return good(json_pack("{s:s}", "compatibility", level));
        }
    }
    return failed(42203, "Invalid compatibility level");
}

/* ---- paths --------------------------------------------------------------------------
 */

static const struct {
    const char *method;
    const char *segments[SEGMENTS_MAX]; /* "*" for any */
    struct registry_answer (*answer)(struct request *r);
} paths[] = {
    {"GET", {NULL}, get_root},
    {"GET", {"schemas", "types"}, get_types},
    {"GET", {"schemas", "ids", "*"}, get_schema},
    {"GET", {"schemas", "ids", "*", "versions"}, get_places},
    {"GET", {"subjects"}, get_subjects},
    {"POST", {"subjects", "*"}, look_up_schema},
    {"GET", {"subjects", "*", "versions"}, get_versions},
    {"POST", {"subjects", "*", "versions"}, register_schema},
    {"GET", {"subjects", "*", "versions", "*"}, get_version},
    {"GET", {"config"}, get_level},
    {"PUT", {"config"}, set_level},
    {"GET", {"config", "*"}, get_level},
    {"PUT", {"config", "*"}, set_level},
    {"POST", {"compatibility", "subjects", "*", "versions", "*"}, check_schema},
};

/* False where there are too many or too long ones. */
static bool split(struct request *r, const char *path) {
    while (*path == '/') {
        size_t size = strcspn(path + 1, "/");
        if (r->count == SEGMENTS_MAX || size >= REGISTRY_NAME_SIZE_MAX) {
            return false;
        }
        memcpy(r->segments[r->count], path + 1, size);
        r->segments[r->count][size] = 0;
        r->count += size > 0;
        path += size + 1;
    }
    return true;
}

static bool matches(const struct request *r, size_t index) {
    int count = 0;
    while (count < SEGMENTS_MAX && paths[index].segments[count] != NULL) {
        const char *want = paths[index].segments[count];
        if (count >= r->count ||
            (strcmp(want, "*") != 0 && strcmp(want, r->segments[count]) != 0)) {
            return false;
        }
        count++;
    }
    return count == r->count;
}

struct registry_answer registry_store_answer(struct registry_store *store,
                                             const char *method, const char *path,
                                             const json_t *body) {
    struct request r = {.store = store, .body = body};
    struct registry_answer answer = failed(404, "HTTP 404 Not Found");
    if (!split(&r, path)) {
        return answer;
    }
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        if (strcmp(paths[i].method, method) == 0 && matches(&r, i)) {
            json_decref(answer.body);
            answer = paths[i].answer(&r);
            break;
        }
    }
    /* cppcheck-suppress returnDanglingLifetime ; nothing of the request is in it */
    return answer;
}
