/* shadow.c - see shadow.h. */
#include "app/shadow.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/queue.h"
#include "base/size.h"
#include "base/thread.h"
#include "codec/result.h"

enum {
    SLOTS = 8,          /* copies under way; where all are, rows are dropped */
    TEXT_SIZE_MAX = 64, /* of an id that is made of partition and offset */
    POLL_US = 100000,
    FLUSH_MS = 1000
};
#define MICROS_MAX 1e15 /* of a difference that is counted */

/* Memory that grows to the largest use, then stays. */
struct room {
    unsigned char *bytes; /* owned; aligned for a session's inputs */
    size_t size;
};

/* What is kept of a row. */
struct copied_row {
    int route, row; /* row of the batch */
    int64_t timestamp_ms;
    size_t id, id_size, key, key_size; /* in `texts` */
    bool has_key;
};

struct shadow_slot {
    int model, count;
    struct copied_row *rows; /* owned; BATCH_ROWS_MAX of them */
    struct tensor inputs[MODEL_INPUTS_MAX];
    struct room input_rooms[MODEL_INPUTS_MAX];
    struct tensor main; /* the first answered output, a row for each */
    struct room main_room, texts, result;
    size_t texts_used;
};

struct shadows {
    struct shadow_opts opts;
    struct loaded **items; /* owned; by model, NULL for those without */
    struct side *side;
    struct shadow_slot slots[SLOTS];
    struct queue unused, ready;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
};

/* ---- memory ---- */

static bool reserve(struct room *room, size_t size) {
    unsigned char *bytes;
    if (size <= room->size) {
        return true;
    }
    size = size_align(size, 4096);
    bytes = aligned_alloc(64, size);
    if (bytes == NULL) {
        return false;
    }
    if (room->size > 0) {
        memcpy(bytes, room->bytes, room->size);
    }
    free(room->bytes);
    room->bytes = bytes;
    room->size = size;
    return true;
}

static bool add_text(struct shadow_slot *slot, struct span text, size_t *at) {
    *at = slot->texts_used;
    if (!reserve(&slot->texts, slot->texts_used + text.size)) {
        return false;
    }
    if (text.size > 0) {
        memcpy(slot->texts.bytes + *at, text.data, text.size);
    }
    slot->texts_used += text.size;
    return true;
}

/* ---- counting ---- */

static void count_row(struct shadows *shadows, int route, enum metric_shadow outcome) {
    struct metrics *metrics = shadows->opts.metrics;
    metrics_add(metrics, METRIC_SHADOW_JOBS,
                metrics_label(metrics, METRIC_SHADOW_JOBS, (size_t)route, outcome), 1);
}

static void count_all(struct shadows *shadows, const struct shadow_slot *slot,
                      enum metric_shadow outcome) {
    for (int i = 0; i < slot->count; i++) {
        count_row(shadows, slot->rows[i].route, outcome);
    }
}

static void give_back(struct shadows *shadows, struct shadow_slot *slot) {
    (void)!queue_push(&shadows->unused, slot, 0); /* there is room for all */
}

/* ---- on the compute thread ---- */

static bool wants(const struct shadows *shadows, const struct record *record) {
    return shadows->opts.config->routes[record->route].shadow[0] != 0;
}

static bool copy_row(struct shadow_slot *slot, const struct batch *batch, int row) {
    const struct batch_row *from = &batch->rows[row];
    const struct record *record = from->tag;
    struct copied_row *to = &slot->rows[slot->count];
    char made[TEXT_SIZE_MAX];
    struct span id = from->id;
    if (id.size == 0) { /* a record's */
        (void)snprintf(made, sizeof(made), "%d:%lld", (int)record->partition,
                       (long long)record->offset);
        id = span_text(made);
    }
    *to = (struct copied_row){.route = record->route,
                              .row = row,
                              .timestamp_ms = from->timestamp_ms,
                              .id_size = id.size,
                              .key_size = record->key.size,
                              .has_key = record->key.data != NULL};
    return add_text(slot, id, &to->id) && add_text(slot, record->key, &to->key);
}

/* Copies the inputs of the rows that are wanted, one behind the other. */
static bool copy_inputs(struct shadow_slot *slot, const struct batch *batch) {
    int inputs = model_input_count(batch->model->model);
    for (int i = 0; i < inputs; i++) {
        size_t row_size = batch->row_size[i], size;
        if (!size_mul(row_size, (size_t)slot->count, &size) ||
            !reserve(&slot->input_rooms[i], size_max(size, 1))) {
            return false;
        }
        slot->inputs[i] = batch->inputs[i];
        slot->inputs[i].dims[0] = slot->count;
        slot->inputs[i].data = slot->input_rooms[i].bytes;
        for (int k = 0; k < slot->count; k++) {
            memcpy(slot->input_rooms[i].bytes + (size_t)k * row_size,
                   batch_at(batch, i, slot->rows[k].row), row_size);
        }
    }
    return true;
}

struct shadow_slot *shadow_take(struct shadows *shadows, const struct batch *batch) {
    struct shadow_slot *slot;
    if (shadows == NULL || shadows->items[batch->model_index] == NULL) {
        return NULL;
    }
    slot = queue_pop(&shadows->unused, 0);
    for (int i = 0; i < batch->count && slot == NULL; i++) {
        const struct record *record = batch->rows[i].tag;
        if (wants(shadows, record)) {
            count_row(shadows, record->route, METRIC_SHADOW_DROPPED);
        }
    }
    if (slot == NULL) {
        return NULL;
    }
    slot->model = batch->model_index;
    slot->count = 0;
    slot->texts_used = 0;
    for (int i = 0; i < batch->count; i++) {
        const struct record *record = batch->rows[i].tag;
        if (!wants(shadows, record)) {
            continue;
        }
        if (copy_row(slot, batch, i)) {
            slot->count++;
        } else { /* no memory */
            count_row(shadows, record->route, METRIC_SHADOW_DROPPED);
        }
    }
    if (slot->count == 0 || !copy_inputs(slot, batch)) {
        count_all(shadows, slot, METRIC_SHADOW_DROPPED);
        give_back(shadows, slot);
        return NULL;
    }
    return slot;
}

static void copy_outputs(struct shadow_slot *slot, const struct tensor *y, int rows) {
    size_t row_size, size;
    slot->main = *y;
    slot->main.dims[0] = slot->count;
    row_size = tensor_size(y) / (size_t)rows;
    if (y->dtype == DTYPE_STRING || !size_mul(row_size, (size_t)slot->count, &size) ||
        !reserve(&slot->main_room, size_max(size, 1))) {
        slot->main.dtype = DTYPE_NONE; /* not to be compared */
        return;
    }
    slot->main.data = slot->main_room.bytes;
    for (int k = 0; k < slot->count; k++) {
        memcpy(slot->main_room.bytes + (size_t)k * row_size,
               (const unsigned char *)y->data + (size_t)slot->rows[k].row * row_size,
               row_size);
    }
}

void shadow_give(struct shadows *shadows, struct shadow_slot *slot,
                 const struct batch *batch, const struct session *session,
                 const struct infer_times *times) {
    if (slot == NULL) {
        return;
    }
    /* Of a batch that was halved, only the last part's outputs are there. */
    if (times->runs != 1 || times->failed > 0) {
        count_all(shadows, slot, METRIC_SHADOW_DROPPED);
        give_back(shadows, slot);
        return;
    }
    copy_outputs(slot, session_output(session, batch->model->outputs[0]), batch->count);
    if (!queue_push(&shadows->ready, slot, 0)) {
        give_back(shadows, slot); /* stopping */
    }
}

/* ---- on the shadow thread ---- */

static struct tensor row_of(const struct tensor *y, int row) {
    struct tensor one = {.dtype = y->dtype, .rank = y->rank - 1};
    memcpy(one.dims, &y->dims[1], sizeof(y->dims[0]) * (size_t)one.rank);
    one.data = (unsigned char *)y->data + (size_t)row * tensor_size(&one);
    return one;
}

static void compare_row(struct shadows *shadows, const struct shadow_slot *slot, int row,
                        const struct tensor *y) {
    int route = slot->rows[row].route;
    struct tensor ours, theirs = row_of(y, row);
    struct shadow_verdict verdict = {.comparable = false};
    if (slot->main.dtype != DTYPE_NONE) {
        ours = row_of(&slot->main, row);
        verdict = shadow_compare(&ours, &theirs);
    }
    if (!verdict.comparable) {
        count_row(shadows, route, METRIC_SHADOW_INCOMPARABLE);
        return;
    }
    count_row(shadows, route,
              verdict.agree ? METRIC_SHADOW_AGREED : METRIC_SHADOW_DISAGREED);
    metrics_observe(shadows->opts.metrics, METRIC_SHADOW_DIFFERENCE, (size_t)route,
                    (int64_t)fmin(verdict.difference * 1e6, MICROS_MAX), 1);
}

static void send_row(struct shadows *shadows, struct shadow_slot *slot, int row,
                     int64_t compute_us) {
    const struct loaded *loaded = shadows->items[slot->model];
    const struct session *session = loaded->sessions[0];
    const struct copied_row *from = &slot->rows[row];
    const char *topic = shadows->opts.config->routes[from->route].shadow_output;
    struct result_output outputs[MODEL_OUTPUTS_MAX];
    struct span key = {NULL, 0};
    struct result result = {.id = span_of(slot->texts.bytes + from->id, from->id_size),
                            .model = span_text(loaded->item.name),
                            .version = span_text(loaded->version),
                            .job_timestamp_ms = from->timestamp_ms,
                            .batch_size = slot->count,
                            .compute_us = compute_us,
                            .model_sha256 = span_of(loaded->sha256, DIGEST_SIZE)};
    int count = loaded->item.output_count;
    if (topic[0] == 0) {
        return;
    }
    for (int i = 0; i < count; i++) {
        int index = loaded->item.outputs[i];
        outputs[i].name = span_text(model_output(loaded->item.model, index)->name);
        outputs[i].row = row_of(session_output(session, index), row);
    }
    if (from->has_key) {
        key = span_of(slot->texts.bytes + from->key, from->key_size);
    }
    if (!reserve(&slot->result, result_size_max(&result, outputs, count)) ||
        !side_send(shadows->side, topic, key,
                   span_of(slot->result.bytes,
                           result_encode(&result, outputs, count, slot->result.bytes)))) {
        metrics_add(shadows->opts.metrics, METRIC_SHADOW_UNPUBLISHED, 0, 1);
    }
}

static bool has_rows(const struct loaded *loaded, const struct session *session,
                     int count) {
    for (int i = 0; i < loaded->item.output_count; i++) {
        const struct tensor *y = session_output(session, loaded->item.outputs[i]);
        if (y->rank < 1 || y->dims[0] != count) {
            return false;
        }
    }
    return true;
}

static void run_slot(struct shadows *shadows, struct shadow_slot *slot) {
    struct loaded *loaded = shadows->items[slot->model];
    struct session *session = loaded->sessions[0];
    int64_t from_us = clock_now_us(), compute_us;
    struct error err; /* counted; the main answer says what is wrong with a job */
    if (session_prepare(session, slot->inputs, &err) != STATUS_OK ||
        session_run(session, slot->inputs, &err) != STATUS_OK ||
        !has_rows(loaded, session, slot->count)) {
        count_all(shadows, slot, METRIC_SHADOW_FAILED);
        return;
    }
    compute_us = clock_now_us() - from_us;
    for (int i = 0; i < slot->count; i++) {
        compare_row(shadows, slot, i, session_output(session, loaded->item.outputs[0]));
        send_row(shadows, slot, i, compute_us);
    }
}

static void *shadow_main(void *opaque) {
    struct shadows *shadows = opaque;
    struct shadow_slot *slot;
    thread_name("shadow");
    if (nice(19) == -1) { /* of this thread alone, on Linux; -1 may be a niceness, too */
        log_plain(LOG_DEBUG, "shadow_not_nice");
    }
    do {
        slot = queue_pop(&shadows->ready, POLL_US);
        if (slot != NULL) {
            run_slot(shadows, slot);
            give_back(shadows, slot);
        }
        metrics_add(shadows->opts.metrics, METRIC_SHADOW_UNPUBLISHED, 0,
                    side_poll(shadows->side));
    } while (slot != NULL || !atomic_load(&shadows->stopping));
    return NULL;
}

/* ---- life ---- */

static enum status load(struct shadows *shadows, size_t route, struct error *err) {
    const struct config *config = shadows->opts.config;
    const struct config_route *from = &config->routes[route];
    struct loaded **place = &shadows->items[from->model_index];
    const struct loaded_source source = {.config = &config->models[from->model_index],
                                         .index = from->model_index,
                                         .path = from->shadow,
                                         .version = "shadow",
                                         .threads = 1};
    enum status status = STATUS_OK;
    if (*place == NULL) { /* routes of one model have the same shadow */
        status = loaded_open(&source, place, err);
    }
    if (status == STATUS_OK) {
        status = loaded_check_inputs(shadows->opts.models->items[from->model_index],
                                     *place, err);
    }
    for (int i = 0; status == STATUS_OK && i < model_input_count((*place)->item.model);
         i++) {
        if (model_input((*place)->item.model, i)->type.dtype == DTYPE_STRING) {
            status = error_set(err, STATUS_UNSUPPORTED,
                               "inputs of strings are not copied: it can have none");
        }
    }
    return status == STATUS_OK
               ? STATUS_OK
               : error_prefix(err, "shadow of model '%s'", source.config->name);
}

static enum status fill(struct shadows *shadows, struct error *err) {
    enum status status = STATUS_OK;
    shadows->items = calloc(shadows->opts.config->model_count, sizeof(struct loaded *));
    if (shadows->items == NULL || !queue_init(&shadows->unused, SLOTS) ||
        !queue_init(&shadows->ready, SLOTS)) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for shadows");
    }
    for (int i = 0; i < SLOTS; i++) {
        shadows->slots[i].rows = calloc(BATCH_ROWS_MAX, sizeof(struct copied_row));
        if (shadows->slots[i].rows == NULL) {
            return error_set(err, STATUS_NO_MEMORY, "no memory for shadows");
        }
        give_back(shadows, &shadows->slots[i]);
    }
    for (size_t i = 0; i < shadows->opts.config->route_count && status == STATUS_OK;
         i++) {
        if (shadows->opts.config->routes[i].shadow[0] != 0) {
            status = load(shadows, i, err);
        }
    }
    return status == STATUS_OK ? side_open(shadows->opts.stream, &shadows->side, err)
                               : status;
}

static bool any(const struct config *config) {
    bool found = false;
    for (size_t i = 0; i < config->route_count; i++) {
        found = found || config->routes[i].shadow[0] != 0;
    }
    return found;
}

enum status shadows_create(const struct shadow_opts *opts, struct shadows **out,
                           struct error *err) {
    struct shadows *shadows;
    enum status status;
    *out = NULL;
    if (!any(opts->config)) {
        return STATUS_OK;
    }
    shadows = calloc(1, sizeof(*shadows));
    if (shadows == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for shadows");
    }
    shadows->opts = *opts;
    status = fill(shadows, err);
    shadows->opts.stream = NULL; /* was borrowed */
    if (status == STATUS_OK &&
        pthread_create(&shadows->thread, NULL, shadow_main, shadows) != 0) {
        status = error_set(err, STATUS_FATAL, "cannot start a thread for shadows");
    }
    shadows->started = status == STATUS_OK;
    if (status != STATUS_OK) {
        shadows_destroy(shadows);
        return status;
    }
    *out = shadows;
    return STATUS_OK;
}

enum status shadows_check(const struct config *config, const struct models *models,
                          config_problem_fn *on_problem, void *opaque) {
    struct shadows *shadows = calloc(1, sizeof(*shadows));
    enum status worst = STATUS_OK;
    struct error err;
    if (shadows != NULL) {
        shadows->opts.config = config;
        shadows->opts.models = models;
        shadows->items = calloc(config->model_count, sizeof(struct loaded *));
    }
    if (shadows == NULL || shadows->items == NULL) {
        worst = error_set(&err, STATUS_NO_MEMORY, "no memory for shadows");
        on_problem(opaque, err.text);
    }
    for (size_t i = 0; i < config->route_count && worst != STATUS_NO_MEMORY; i++) {
        const struct config_route *route = &config->routes[i];
        char key[64];
        if (route->shadow[0] == 0 || route->model_index >= models->count ||
            models->items[route->model_index] == NULL ||
            load(shadows, i, &err) == STATUS_OK) {
            continue;
        }
        (void)snprintf(key, sizeof(key), "routes[%zu].shadow", i);
        (void)error_prefix(&err, "%s", config_origin(config, key));
        on_problem(opaque, err.text);
        worst = err.status;
    }
    shadows_destroy(shadows);
    return worst;
}

void shadows_destroy(struct shadows *shadows) {
    if (shadows == NULL) {
        return;
    }
    if (shadows->started) {
        atomic_store(&shadows->stopping, true);
        queue_close(&shadows->ready);
        (void)pthread_join(shadows->thread, NULL); /* fails only on misuse */
    }
    side_close(shadows->side, FLUSH_MS);
    for (int i = 0; i < SLOTS; i++) {
        struct shadow_slot *slot = &shadows->slots[i];
        for (size_t k = 0; k < ARRAY_COUNT(slot->input_rooms); k++) {
            free(slot->input_rooms[k].bytes);
        }
        free(slot->rows);
        free(slot->main_room.bytes);
        free(slot->texts.bytes);
        free(slot->result.bytes);
    }
    for (size_t i = 0; shadows->items != NULL && i < shadows->opts.config->model_count;
         i++) {
        loaded_close(shadows->items[i]);
    }
    queue_release(&shadows->unused);
    queue_release(&shadows->ready);
    free(shadows->items);
    free(shadows);
}
