/* records_make.c - see records.h: making what a schema needs, on a thread of its own. */
#include "app/records_make.h"

#include <assert.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/thread.h"

enum {
    SCHEMA_WAIT_MS = 50, /* for one schema, before the others have their turn */
    ROUND_WAIT_MS = 100, /* between two rounds over those that are not there */
    LONG_US = 2000000    /* a wait that is told of */
};
#define REFUSED_US 30000000 /* until a schema that was refused is looked at again */

/* ---- making ---- */

static enum status find_schema(struct records *records, const struct known *known,
                               struct schema_source *source, struct error *err) {
    const struct recipe *recipe = known->route->recipe;
    if (recipe_framing(recipe) == FRAMING_CONFLUENT) {
        enum status status = registry_wait(records->registry, (uint32_t)known->key,
                                           SCHEMA_WAIT_MS, &source->of_registry, err);
        source->schema = status == STATUS_OK ? source->of_registry->schema : NULL;
        return status;
    }
    source->schema = recipe_schema(recipe, known->key);
    return source->schema != NULL
               ? STATUS_OK
               : error_set(err, STATUS_POISON,
                           "no schema of folder %s has the fingerprint %016llx",
                           known->route->config->record->schemas,
                           (unsigned long long)known->key);
}

enum status maker_apply(const struct record_route *route,
                        const struct schema_source *source, struct mapping **mapping,
                        struct record_out **out, struct error *err) {
    union {
        const struct registry_schema *borrowed;
        void *opaque; /* as a resolver has it; it only reads */
    } from = {.borrowed = source->of_registry};
    const struct avro_resolver resolver = {registry_resolve, from.opaque};
    return recipe_apply(route->recipe, source->schema,
                        source->of_registry == NULL ? NULL : &resolver, mapping, out,
                        err);
}

enum framing_kind maker_answer_kind(const struct record_route *route) {
    switch (route->config->record->answer_framing) {
    case CONFIG_FRAMING_CONFLUENT:
        return FRAMING_CONFLUENT;
    case CONFIG_FRAMING_SINGLE_OBJECT:
        return FRAMING_SINGLE_OBJECT;
    case CONFIG_FRAMING_BARE:
        return FRAMING_BARE;
    case CONFIG_FRAMING_SAME:
        break;
    }
    return recipe_framing(route->recipe);
}

static enum registry_strategy strategy_of(const struct record_route *route) {
    static const enum registry_strategy strategies[] = {
        [CONFIG_BY_TOPIC] = REGISTRY_TOPIC,
        [CONFIG_BY_RECORD] = REGISTRY_RECORD,
        [CONFIG_BY_TOPIC_RECORD] = REGISTRY_TOPIC_RECORD,
    };
    return strategies[route->config->record->strategy];
}

enum status maker_publish(struct records *records, const struct record_route *route,
                          const struct schema_source *source,
                          const struct record_out *out, uint32_t *id, struct error *err) {
    char subject[REGISTRY_SUBJECT_SIZE_MAX];
    const char *json = (const char *)record_out_json(out).data;
    /* The new fields alone refer to nobody's types. */
    const struct registry_schema *like =
        route->config->record->answer == CONFIG_ANSWER_RECORD ? source->of_registry
                                                              : NULL;
    enum status status =
        registry_subject(strategy_of(route), route->config->output,
                         record_out_schema(out), subject, sizeof(subject), err);
    if (status == STATUS_OK) {
        status = id != NULL
                     ? registry_register(records->registry, subject, json, like, id, err)
                     : registry_check(records->registry, subject, json, like, err);
    }
    return status == STATUS_OK ? STATUS_OK : error_prefix(err, "the answers' schema");
}

static enum status set_answer(struct records *records, struct known *known,
                              const struct schema_source *source, struct error *err) {
    struct batch_answer *answer = &known->answer;
    enum status status = STATUS_OK;
    answer->out = known->out;
    answer->names_model =
        known->route->config->record->model_headers == CONFIG_HEADERS_FULL;
    answer->framing = (struct framing){.kind = maker_answer_kind(known->route)};
    if (answer->framing.kind == FRAMING_CONFLUENT) {
        status = maker_publish(records, known->route, source, known->out,
                               &answer->framing.id, err);
    } else if (answer->framing.kind == FRAMING_SINGLE_OBJECT) {
        answer->framing.fingerprint =
            avro_schema_fingerprint(record_out_schema(known->out));
    }
    return status;
}

/* May be called again after STATUS_AGAIN, and goes on where it was. */
static enum status make(struct records *records, struct known *known, struct error *err) {
    struct schema_source source = {.schema = NULL};
    enum status status = find_schema(records, known, &source, err);
    if (status == STATUS_OK && known->mapping == NULL) {
        status = maker_apply(known->route, &source, &known->mapping, &known->out, err);
    }
    if (status == STATUS_OK && known->rows == NULL) {
        known->rows = mapping_rows_create(known->mapping);
        status = known->rows != NULL
                     ? STATUS_OK
                     : error_set(err, STATUS_NO_MEMORY, "no memory for a row");
    }
    return status == STATUS_OK ? set_answer(records, known, &source, err) : status;
}

void known_destroy(struct known *known) {
    if (known == NULL) {
        return;
    }
    mapping_rows_destroy(known->rows);
    mapping_destroy(known->mapping);
    record_out_destroy(known->out);
    free(known);
}

/* ---- the thread ---- */

void maker_want(struct records *records, struct known *known) {
    (void)pthread_mutex_lock(&records->lock); /* fails only on misuse */
    known->next = NULL;
    known->wanted_us = clock_now_us();
    known->told = false;
    *records->wanted_end = known;
    records->wanted_end = &known->next;
    (void)pthread_cond_signal(&records->changed);
    (void)pthread_mutex_unlock(&records->lock);
}

struct known *maker_take(struct records *records) {
    struct known *done;
    if (!atomic_load_explicit(&records->any_done, memory_order_acquire)) {
        return NULL;
    }
    (void)pthread_mutex_lock(&records->lock); /* fails only on misuse */
    done = records->done;
    records->done = NULL;
    atomic_store(&records->any_done, false);
    (void)pthread_mutex_unlock(&records->lock);
    return done;
}

static void hand_back(struct records *records, struct known *known) {
    (void)pthread_mutex_lock(&records->lock); /* fails only on misuse */
    known->next = records->done;
    records->done = known;
    atomic_store_explicit(&records->any_done, true, memory_order_release);
    (void)pthread_mutex_unlock(&records->lock);
    records->wake(records->opaque);
}

/* What may pass is waited for, and told of once it takes long. */
static void tell(struct records *records, struct known *known, const struct error *err) {
    bool is_long = clock_now_us() - known->wanted_us > LONG_US;
    (void)pthread_mutex_lock(&records->lock); /* fails only on misuse */
    if (is_long) {
        (void)snprintf(records->problem, sizeof(records->problem), "%s", err->text);
    }
    (void)pthread_mutex_unlock(&records->lock);
    if (is_long && !known->told) {
        known->told = true;
        log_event(LOG_WARN, "schema_awaited",
                  LOG_TEXT("topic", known->route->config->input),
                  LOG_TEXT("reason", err->text));
    }
}

/* False: it has to be tried again. */
static bool try_known(struct records *records, struct known *known) {
    struct error err;
    enum status status = make(records, known, &err);
    if (status == STATUS_AGAIN || status == STATUS_NO_MEMORY) {
        tell(records, known, &err);
        return false;
    }
    known->verdict = status;
    if (status == STATUS_OK) {
        log_event(LOG_INFO, "schema_known",
                  LOG_TEXT("topic", known->route->config->input),
                  LOG_INT("schema", (int64_t)known->key));
    } else {
        (void)snprintf(known->why, sizeof(known->why), "%s", err.text);
        known->due_us = clock_now_us() + REFUSED_US;
        log_event(LOG_WARN, "schema_refused",
                  LOG_TEXT("topic", known->route->config->input),
                  LOG_TEXT("reason", known->why));
    }
    return true;
}

/* With the lock held. */
static void pause_round(struct records *records) {
    (void)cond_wait_until(&records->changed, &records->lock,
                          clock_now_us() + ROUND_WAIT_MS * 1000);
}

/* Tries each of those that were wanted; the rest stays so. */
static void try_all(struct records *records) {
    struct known *known = records->wanted;
    struct known *rest = NULL, **rest_end = &rest;
    records->wanted = NULL;
    records->wanted_end = &records->wanted;
    (void)pthread_mutex_unlock(&records->lock);
    while (known != NULL) {
        struct known *next = known->next;
        if (try_known(records, known)) {
            hand_back(records, known);
        } else {
            known->next = NULL;
            *rest_end = known;
            rest_end = &known->next;
        }
        known = next;
    }
    (void)pthread_mutex_lock(&records->lock); /* fails only on misuse */
    if (rest == NULL) {
        records->problem[0] = 0;
        return;
    }
    *records->wanted_end = rest;
    records->wanted_end = rest_end;
    pause_round(records);
}

static void *maker_main(void *opaque) {
    struct records *records = opaque;
    thread_name("schemas");
    (void)pthread_mutex_lock(&records->lock); /* fails only on misuse */
    while (!records->stop) {
        if (records->wanted == NULL) {
            (void)pthread_cond_wait(&records->changed, &records->lock);
        } else {
            try_all(records);
        }
    }
    (void)pthread_mutex_unlock(&records->lock);
    return NULL;
}

bool records_problem(struct records *records, char *text, size_t size) {
    bool any = false;
    if (records != NULL) {
        (void)pthread_mutex_lock(&records->lock); /* fails only on misuse */
        any = records->problem[0] != 0;
        (void)snprintf(text, size, "%s", records->problem); /* a cut is fine */
        (void)pthread_mutex_unlock(&records->lock);
    }
    return any;
}

enum status records_start(struct records *records, void (*wake)(void *opaque),
                          void *opaque, struct error *err) {
    records->wake = wake;
    records->opaque = opaque;
    records->threaded = pthread_create(&records->thread, NULL, maker_main, records) == 0;
    return records->threaded
               ? STATUS_OK
               : error_set(err, STATUS_FATAL, "cannot start the thread of schemas");
}

void records_stop(struct records *records) {
    if (records->registry != NULL) {
        registry_stop(records->registry);
    }
    (void)pthread_mutex_lock(&records->lock); /* fails only on misuse */
    records->stop = true;
    (void)pthread_cond_broadcast(&records->changed);
    (void)pthread_mutex_unlock(&records->lock);
    if (records->threaded) {
        (void)pthread_join(records->thread, NULL); /* fails only on misuse */
        records->threaded = false;
    }
}
