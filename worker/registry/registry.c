/* registry.c - see registry.h: schemas in memory, and the thread that fetches them. */
#include "registry/registry.h"

#include <assert.h>
#include <jansson.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/thread.h"
#include "registry/fetch.h"

enum entry_state {
    ENTRY_WANTED, /* to be fetched, once due */
    ENTRY_READY,  /* the schema is there, for good */
    ENTRY_REFUSED /* the records' fault, until due */
};

struct entry {
    uint32_t id;
    enum entry_state state;
    int64_t due_us;                 /* of the next attempt */
    int64_t backoff_us;             /* the pause before it */
    char why[ERROR_TEXT_MAX];       /* it is not there; "" if nothing was tried yet */
    struct registry_schema *schema; /* owned; of ENTRY_READY */
};

struct registry {
    struct http_client *fetcher;   /* of the thread */
    struct http_client *registrar; /* of registry_register, under its lock */
    pthread_mutex_t registrar_lock;
    int64_t backoff_min_us, backoff_max_us, missing_us;
    pthread_t thread;
    bool threaded;
    pthread_mutex_t lock;   /* of all below */
    pthread_cond_t changed; /* on CLOCK_MONOTONIC: a wish, an answer, or the end */
    bool stop;
    struct entry *entries[REGISTRY_SCHEMAS_MAX]; /* owned */
    int count;
};

/* ---- entries; with the lock held -----------------------------------------------------
 */

static struct entry *find_entry(struct registry *registry, uint32_t id) {
    for (int i = 0; i < registry->count; i++) {
        if (registry->entries[i]->id == id) {
            return registry->entries[i];
        }
    }
    return NULL;
}

/* A free place: a new one, or that of an id which the registry does not have; or NULL. */
static struct entry *free_entry(struct registry *registry) {
    for (int i = 0; registry->count == REGISTRY_SCHEMAS_MAX && i < registry->count; i++) {
        if (registry->entries[i]->state == ENTRY_REFUSED) {
            return registry->entries[i];
        }
    }
    if (registry->count == REGISTRY_SCHEMAS_MAX) {
        return NULL;
    }
    registry->entries[registry->count] = calloc(1, sizeof(struct entry));
    return registry->entries[registry->count] == NULL
               ? NULL
               : registry->entries[registry->count++];
}

static struct entry *want_entry(struct registry *registry, uint32_t id) {
    struct entry *entry = find_entry(registry, id);
    if (entry == NULL && (entry = free_entry(registry)) != NULL) {
        *entry = (struct entry){.id = id};
        (void)pthread_cond_broadcast(&registry->changed);
    }
    return entry;
}

/* The wanted entry that is due first, or NULL. */
static struct entry *next_entry(struct registry *registry) {
    struct entry *next = NULL;
    for (int i = 0; i < registry->count; i++) {
        struct entry *entry = registry->entries[i];
        if (entry->state == ENTRY_WANTED &&
            (next == NULL || entry->due_us < next->due_us)) {
            next = entry;
        }
    }
    return next;
}

/* Waits for a change, or until the time. */
static void wait_until(struct registry *registry, int64_t until_us) {
    (void)cond_wait_until(&registry->changed, &registry->lock, until_us);
}

/* ---- the thread -----------------------------------------------------------------------
 */

static void pause_entry(struct registry *registry, struct entry *entry) {
    entry->backoff_us =
        entry->backoff_us == 0 ? registry->backoff_min_us : 2 * entry->backoff_us;
    if (entry->backoff_us > registry->backoff_max_us) {
        entry->backoff_us = registry->backoff_max_us;
    }
    entry->due_us = clock_now_us() + entry->backoff_us;
}

/* Takes `schema`, which is there for STATUS_OK alone. */
static void settle(struct registry *registry, struct entry *entry, enum status status,
                   struct registry_schema *schema, const struct error *err) {
    entry->why[0] = 0;
    if (status == STATUS_OK) {
        entry->state = ENTRY_READY;
        entry->schema = schema;
        return;
    }
    free(schema);
    (void)snprintf(entry->why, sizeof(entry->why), "%s", err->text);
    if (status == STATUS_POISON) {
        entry->state = ENTRY_REFUSED;
        entry->due_us = clock_now_us() + registry->missing_us;
    } else {
        pause_entry(registry, entry);
    }
}

/* Fetches without the lock; the entry cannot go meanwhile, since it is wanted. */
static void fetch_entry(struct registry *registry, struct entry *entry) {
    struct registry_schema *schema = calloc(1, sizeof(*schema));
    uint32_t id = entry->id;
    struct error err;
    enum status status;
    (void)pthread_mutex_unlock(&registry->lock);
    status = schema == NULL ? error_set(&err, STATUS_NO_MEMORY, "no memory for a schema")
                            : fetch_schema(registry->fetcher, id, schema, &err);
    (void)pthread_mutex_lock(&registry->lock);
    settle(registry, entry, status, schema, &err);
    (void)pthread_cond_broadcast(&registry->changed);
}

static void *run(void *opaque) {
    struct registry *registry = opaque;
    (void)pthread_mutex_lock(&registry->lock);
    while (!registry->stop) {
        struct entry *entry = next_entry(registry);
        if (entry == NULL) {
            (void)pthread_cond_wait(&registry->changed, &registry->lock);
        } else if (entry->due_us > clock_now_us()) {
            wait_until(registry, entry->due_us);
        } else {
            fetch_entry(registry, entry);
        }
    }
    (void)pthread_mutex_unlock(&registry->lock);
    return NULL;
}

/* ---- life -----------------------------------------------------------------------------
 */

static bool init_locks(struct registry *registry) {
    return cond_init(&registry->changed) &&
           pthread_mutex_init(&registry->lock, NULL) == 0 &&
           pthread_mutex_init(&registry->registrar_lock, NULL) == 0;
}

static int64_t in_us(int ms, int otherwise_ms) {
    return (int64_t)(ms > 0 ? ms : otherwise_ms) * 1000;
}

enum status registry_create(const struct registry_opts *opts, struct registry **out,
                            struct error *err) {
    struct registry *registry = calloc(1, sizeof(*registry));
    enum status status;
    *out = NULL;
    if (registry == NULL || !init_locks(registry)) {
        free(registry);
        return error_set(err, STATUS_NO_MEMORY, "no memory for a schema registry");
    }
    registry->backoff_min_us = in_us(opts->backoff_min_ms, 100);
    registry->backoff_max_us = in_us(opts->backoff_max_ms, 10000);
    registry->missing_us = in_us(opts->missing_ms, 30000);
    status = http_client_create(&opts->http, &registry->fetcher, err);
    if (status == STATUS_OK) {
        status = http_client_create(&opts->http, &registry->registrar, err);
    }
    if (status == STATUS_OK) {
        registry->threaded = pthread_create(&registry->thread, NULL, run, registry) == 0;
        if (!registry->threaded) {
            status = error_set(err, STATUS_NO_MEMORY, "no thread for a schema registry");
        }
    }
    if (status != STATUS_OK) {
        registry_destroy(registry);
        registry = NULL;
    }
    *out = registry;
    return status;
}

void registry_stop(struct registry *registry) {
    (void)pthread_mutex_lock(&registry->lock);
    registry->stop = true;
    (void)pthread_cond_broadcast(&registry->changed);
    (void)pthread_mutex_unlock(&registry->lock);
    http_client_stop(registry->fetcher);
    http_client_stop(registry->registrar);
}

void registry_destroy(struct registry *registry) {
    if (registry == NULL) {
        return;
    }
    if (registry->threaded) {
        registry_stop(registry);
        (void)pthread_join(registry->thread, NULL);
    }
    http_client_destroy(registry->fetcher);
    http_client_destroy(registry->registrar);
    for (int i = 0; i < registry->count; i++) {
        if (registry->entries[i]->schema != NULL) {
            fetch_release(registry->entries[i]->schema);
            free(registry->entries[i]->schema);
        }
        free(registry->entries[i]);
    }
    (void)pthread_cond_destroy(&registry->changed);
    (void)pthread_mutex_destroy(&registry->lock);
    (void)pthread_mutex_destroy(&registry->registrar_lock);
    free(registry);
}

/* ---- finding --------------------------------------------------------------------------
 */

/* With the lock held. */
static enum status look_up(struct registry *registry, uint32_t id,
                           const struct registry_schema **schema, struct error *err) {
    struct entry *entry = want_entry(registry, id);
    if (entry == NULL) {
        return error_set(err, STATUS_POISON,
                         "schema %lu would be one more than the %d that are kept",
                         (unsigned long)id, REGISTRY_SCHEMAS_MAX);
    }
    if (entry->state == ENTRY_REFUSED && entry->due_us <= clock_now_us()) {
        entry->state = ENTRY_WANTED;
        entry->backoff_us = 0;
        (void)pthread_cond_broadcast(&registry->changed);
    }
    if (entry->state == ENTRY_READY) {
        *schema = entry->schema;
        return STATUS_OK;
    }
    return error_set(err, entry->state == ENTRY_REFUSED ? STATUS_POISON : STATUS_AGAIN,
                     "schema %lu: %s", (unsigned long)id,
                     entry->why[0] != 0 ? entry->why : "is being fetched");
}

enum status registry_find(struct registry *registry, uint32_t id,
                          const struct registry_schema **schema, struct error *err) {
    enum status status;
    *schema = NULL;
    (void)pthread_mutex_lock(&registry->lock);
    status = look_up(registry, id, schema, err);
    (void)pthread_mutex_unlock(&registry->lock);
    return status;
}

enum status registry_wait(struct registry *registry, uint32_t id, int timeout_ms,
                          const struct registry_schema **schema, struct error *err) {
    int64_t until_us = clock_now_us() + (int64_t)timeout_ms * 1000;
    enum status status;
    *schema = NULL;
    (void)pthread_mutex_lock(&registry->lock);
    for (;;) {
        status = look_up(registry, id, schema, err);
        if (status != STATUS_AGAIN || registry->stop || clock_now_us() >= until_us) {
            break;
        }
        wait_until(registry, until_us);
    }
    (void)pthread_mutex_unlock(&registry->lock);
    return status;
}

static enum status read_id(const struct http_reply *reply, const char *what, uint32_t *id,
                           struct error *err) {
    json_t *json = json_loadb((const char *)reply->body.data, reply->body.size, 0, NULL);
    json_int_t number = json_integer_value(json_object_get(json, "id"));
    json_decref(json);
    if (number < 1 || number > UINT32_MAX) {
        return error_set(err, STATUS_AGAIN,
                         "the schema registry answers %s with no id of a schema", what);
    }
    *id = (uint32_t)number;
    return STATUS_OK;
}

/* "/subjects/SUBJECT/versions" and `end`, to `path` of HTTP_URL_SIZE_MAX bytes. */
static enum status subject_path(const char *subject, const char *end, char *path,
                                struct error *err) {
    char escaped[HTTP_URL_SIZE_MAX / 2];
    if (http_escape(subject, escaped, sizeof(escaped)) == NULL) {
        return error_set(err, STATUS_INVALID, "the subject '%.60s' is too long", subject);
    }
    (void)snprintf(path, HTTP_URL_SIZE_MAX, "/subjects/%s/versions%s", escaped, end);
    return STATUS_OK;
}

/* The id that the registry answers with; GET where `body` is NULL, else POST. */
static enum status ask_id(struct registry *registry, const char *path, const char *body,
                          enum status missing, enum status refused, uint32_t *id,
                          struct error *err) {
    struct http_reply reply;
    enum status status;
    (void)pthread_mutex_lock(&registry->registrar_lock);
    status = http_client_request(registry->registrar, path, body, &reply, err);
    if (status == STATUS_OK) {
        status = reply.code == 200 ? read_id(&reply, path, id, err)
                                   : fetch_refused(&reply, path, missing, refused, err);
    }
    (void)pthread_mutex_unlock(&registry->registrar_lock);
    return status;
}

enum status registry_latest(struct registry *registry, const char *subject,
                            int timeout_ms, const struct registry_schema **schema,
                            struct error *err) {
    char path[HTTP_URL_SIZE_MAX];
    uint32_t id;
    enum status status = subject_path(subject, "/latest", path, err);
    if (status == STATUS_OK) {
        status = ask_id(registry, path, NULL, STATUS_POISON, STATUS_AGAIN, &id, err);
    }
    return status == STATUS_OK ? registry_wait(registry, id, timeout_ms, schema, err)
                               : status;
}

/* ---- registering ----------------------------------------------------------------------
 */

/* {"schema": ..., "references": [...]}; the caller frees it.  NULL without memory. */
static char *registration(const char *json, const struct registry_schema *like) {
    json_t *body = json_pack("{s:s, s:[]}", "schema", json, "references");
    json_t *list = json_object_get(body, "references");
    bool good = body != NULL;
    char *text;
    for (int i = 0; like != NULL && i < like->reference_count; i++) {
        const struct registry_reference *reference = &like->references[i];
        good &=
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:i}", "name", reference->name, "subject",
                                reference->subject, "version", reference->version)) == 0;
    }
    text = good ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

enum status registry_register(struct registry *registry, const char *subject,
                              const char *json, const struct registry_schema *like,
                              uint32_t *id, struct error *err) {
    char path[HTTP_URL_SIZE_MAX];
    char *body;
    enum status status = subject_path(subject, "", path, err);
    if (status != STATUS_OK) {
        return status;
    }
    body = registration(json, like);
    if (body == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
    }
    status = ask_id(registry, path, body, STATUS_INVALID, STATUS_INVALID, id, err);
    free(body);
    return status;
}

/* {"is_compatible": false, "messages": ["..."]} */
static enum status read_verdict(const struct http_reply *reply, const char *subject,
                                struct error *err) {
    json_t *json = json_loadb((const char *)reply->body.data, reply->body.size, 0, NULL);
    const json_t *fits = json_object_get(json, "is_compatible");
    const char *why =
        json_string_value(json_array_get(json_object_get(json, "messages"), 0));
    enum status status = STATUS_OK;
    if (json_is_false(fits)) {
        status =
            error_set(err, STATUS_INVALID,
                      "it is incompatible with the latest version of subject '%s' of "
                      "the schema registry%s%.500s",
                      subject, why == NULL ? "" : ": ", why == NULL ? "" : why);
    } else if (!json_is_true(fits)) {
        status =
            error_set(err, STATUS_AGAIN,
                      "the schema registry does not say whether a schema for '%s' is "
                      "compatible",
                      subject);
    }
    json_decref(json);
    return status;
}

enum status registry_check(struct registry *registry, const char *subject,
                           const char *json, const struct registry_schema *like,
                           struct error *err) {
    char escaped[HTTP_URL_SIZE_MAX / 2], path[HTTP_URL_SIZE_MAX];
    struct http_reply reply;
    enum status status;
    char *body;
    if (http_escape(subject, escaped, sizeof(escaped)) == NULL) {
        return error_set(err, STATUS_INVALID, "the subject '%.60s' is too long", subject);
    }
    body = registration(json, like);
    if (body == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
    }
    (void)snprintf(path, sizeof(path),
                   "/compatibility/subjects/%s/versions/latest?verbose=true", escaped);
    (void)pthread_mutex_lock(&registry->registrar_lock);
    status = http_client_request(registry->registrar, path, body, &reply, err);
    if (status == STATUS_OK && reply.code == 200) {
        status = read_verdict(&reply, subject, err);
    } else if (status == STATUS_OK && reply.code != 404) { /* there is none yet */
        status = fetch_refused(&reply, path, STATUS_OK, STATUS_INVALID, err);
    }
    (void)pthread_mutex_unlock(&registry->registrar_lock);
    free(body);
    return status;
}
