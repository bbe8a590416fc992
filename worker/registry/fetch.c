/* fetch.c - see fetch.h. */
#include "registry/fetch.h"

#include <jansson.h>

#define REFERENCE_DEPTH_MAX 16

struct fetch {
    struct http_client *client;
    struct registry_schema *schema;
    char *seen[REGISTRY_REFERENCES_MAX]; /* owned: paths that were fetched */
    int seen_count;
    struct error *err;
};

static enum status no_memory(struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
}

enum status fetch_refused(const struct http_reply *reply, const char *what,
                          enum status missing, enum status refused, struct error *err) {
    json_t *json = json_loadb((const char *)reply->body.data, reply->body.size, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "message"));
    enum status status = refused;
    if (reply->code == 404) {
        status = missing;
    } else if (reply->code < 400 || reply->code == 401 || reply->code == 403 ||
               reply->code == 408) {
        status = STATUS_AGAIN; /* access can be granted; redirects lead nowhere yet */
    }
    (void)error_set(err, status, "the schema registry answers %ld to %s%s%.700s",
                    reply->code, what, message == NULL ? "" : ": ",
                    message == NULL ? "" : message);
    json_decref(json);
    return status;
}

/* The answer's JSON object; NULL after an error. */
static json_t *get(struct fetch *f, const char *path) {
    struct http_reply reply;
    json_t *json;
    if (http_client_request(f->client, path, NULL, &reply, f->err) != STATUS_OK) {
        return NULL;
    }
    if (reply.code != 200) {
        (void)fetch_refused(&reply, path, STATUS_POISON, STATUS_AGAIN, f->err);
        return NULL;
    }
    json =
        json_loadb((const char *)reply.body.data, reply.body.size, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(json) || !json_is_string(json_object_get(json, "schema"))) {
        (void)error_set(f->err, STATUS_AGAIN,
                        "the schema registry answers %s with what is no schema", path);
        json_decref(json);
        return NULL;
    }
    return json;
}

/* ---- references ---------------------------------------------------------------------
 */

const struct avro_node *registry_resolve(void *opaque, const char *name) {
    const struct registry_schema *schema = opaque;
    for (int i = 0; i < schema->other_count; i++) {
        const struct avro_node *node = avro_schema_named(schema->others[i], name);
        if (node != NULL) {
            return node;
        }
    }
    return NULL;
}

static enum status parse(struct fetch *f, const json_t *json, const char *path,
                         struct avro_schema **schema) {
    const char *type = json_string_value(json_object_get(json, "schemaType"));
    const json_t *text = json_object_get(json, "schema");
    const struct avro_resolver resolver = {registry_resolve, f->schema};
    *schema = NULL;
    if (type != NULL && strcmp(type, "AVRO") != 0) {
        return error_set(f->err, STATUS_POISON,
                         "%s of the schema registry is %.20s, not Avro", path, type);
    }
    if (avro_schema_parse(span_of(json_string_value(text), json_string_length(text)),
                          &resolver, schema, f->err) != STATUS_OK) {
        (void)error_prefix(f->err, "%s of the schema registry", path);
        f->err->status =
            f->err->status == STATUS_NO_MEMORY ? STATUS_NO_MEMORY : STATUS_POISON;
        return f->err->status;
    }
    return STATUS_OK;
}

static enum status fetch_references(struct fetch *f, const json_t *json, int depth);

/* Has the path been fetched?  It is, from now on. */
static enum status see(struct fetch *f, const char *path, bool *seen) {
    *seen = false;
    for (int i = 0; i < f->seen_count && !*seen; i++) {
        *seen = strcmp(f->seen[i], path) == 0;
    }
    if (*seen) {
        return STATUS_OK;
    }
    if (f->seen_count == REGISTRY_REFERENCES_MAX) {
        return error_set(f->err, STATUS_POISON, "a schema refers to more than %d others",
                         REGISTRY_REFERENCES_MAX);
    }
    f->seen[f->seen_count] = strdup(path);
    if (f->seen[f->seen_count] == NULL) {
        return no_memory(f->err);
    }
    f->seen_count++;
    return STATUS_OK;
}

static enum status fetch_reference(struct fetch *f, const char *subject, int version,
                                   int depth) {
    struct registry_schema *schema = f->schema;
    char escaped[HTTP_URL_SIZE_MAX / 2], path[HTTP_URL_SIZE_MAX];
    enum status status;
    bool seen;
    json_t *json;
    if (http_escape(subject, escaped, sizeof(escaped)) == NULL) {
        return error_set(f->err, STATUS_POISON, "a reference's subject is too long");
    }
    (void)snprintf(path, sizeof(path), "/subjects/%s/versions/%d", escaped, version);
    if (see(f, path, &seen) != STATUS_OK || seen) {
        return seen ? STATUS_OK : f->err->status;
    }
    json = get(f, path);
    if (json == NULL) {
        return f->err->status;
    }
    status = fetch_references(f, json, depth + 1);
    if (status == STATUS_OK) {
        status = parse(f, json, path, &schema->others[schema->other_count]);
    }
    schema->other_count += status == STATUS_OK;
    json_decref(json);
    return status;
}

static enum status fetch_references(struct fetch *f, const json_t *json, int depth) {
    const json_t *list = json_object_get(json, "references");
    if (depth > REFERENCE_DEPTH_MAX) {
        return error_set(f->err, STATUS_POISON,
                         "schemas refer to each other more than %d deep",
                         REFERENCE_DEPTH_MAX);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *subject = json_string_value(json_object_get(item, "subject"));
        json_int_t version = json_integer_value(json_object_get(item, "version"));
        if (subject == NULL || version < 1 || version > INT32_MAX) {
            return error_set(f->err, STATUS_AGAIN,
                             "the schema registry gives a reference without a subject or "
                             "version");
        }
        if (fetch_reference(f, subject, (int)version, depth) != STATUS_OK) {
            return f->err->status;
        }
    }
    return STATUS_OK;
}

/* The schema's own references, for those that are made from it. */
static enum status keep_references(struct fetch *f, const json_t *json) {
    const json_t *list = json_object_get(json, "references");
    struct registry_schema *schema = f->schema;
    size_t count = json_array_size(list);
    if (count > REGISTRY_REFERENCES_MAX) {
        return error_set(f->err, STATUS_POISON, "a schema refers to more than %d others",
                         REGISTRY_REFERENCES_MAX);
    }
    schema->references = calloc(count + 1, sizeof(*schema->references));
    if (schema->references == NULL) {
        return no_memory(f->err);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *subject = json_string_value(json_object_get(item, "subject"));
        struct registry_reference *to = &schema->references[schema->reference_count++];
        to->name = strdup(name == NULL ? "" : name);
        to->subject = strdup(subject == NULL ? "" : subject);
        to->version = (int)json_integer_value(json_object_get(item, "version"));
        if (to->name == NULL || to->subject == NULL) {
            return no_memory(f->err);
        }
    }
    return STATUS_OK;
}

/* ---- the schema ---------------------------------------------------------------------
 */

enum status fetch_schema(struct http_client *client, uint32_t id,
                         struct registry_schema *schema, struct error *err) {
    struct fetch f = {.client = client, .schema = schema, .err = err};
    char path[64];
    enum status status;
    json_t *json;
    *schema = (struct registry_schema){.id = id};
    (void)snprintf(path, sizeof(path), "/schemas/ids/%lu", (unsigned long)id);
    json = get(&f, path);
    if (json == NULL) {
        return err->status;
    }
    schema->others = calloc(REGISTRY_REFERENCES_MAX, sizeof(struct avro_schema *));
    status = schema->others == NULL ? no_memory(err) : fetch_references(&f, json, 0);
    if (status == STATUS_OK) {
        status = keep_references(&f, json);
    }
    if (status == STATUS_OK) {
        status = parse(&f, json, path, &schema->schema);
    }
    for (int i = 0; i < f.seen_count; i++) {
        free(f.seen[i]);
    }
    json_decref(json);
    if (status != STATUS_OK) {
        fetch_release(schema);
    }
    return status;
}

void fetch_release(struct registry_schema *schema) {
    avro_schema_destroy(schema->schema);
    for (int i = 0; i < schema->reference_count; i++) {
        free(schema->references[i].name);
        free(schema->references[i].subject);
    }
    for (int i = schema->other_count - 1; i >= 0; i--) { /* later ones use earlier ones */
        avro_schema_destroy(schema->others[i]);
    }
    free(schema->references);
    free(schema->others);
    *schema = (struct registry_schema){0};
}
