#include "stream/stream.h"

#include <assert.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "stream/headers.h"
#include "stream/internal.h"
#include "stream/waiting.h"

/* ---- records ---- */

int64_t record_number(struct record *record, const char *name, int64_t otherwise) {
    if (record->has_no_headers || !headers_any(record->message)) {
        record->has_no_headers = true;
        return otherwise;
    }
    return headers_number(record->message, name, otherwise);
}

void record_set_model(struct record *record, const char *version, const char *sha256) {
    record->version = version;
    record->sha256 = sha256;
}

void record_set_result(struct record *record, struct span result, void *holder) {
    record->result = result;
    record->holder = holder;
    if (record->slot != NULL) { /* one that was polled */
        window_note_answer(((struct slot *)record->slot)->lease, result.size);
    }
    atomic_store_explicit(&record->state, RECORD_RESULT, memory_order_release);
}

static void keep_reason(struct record *record, const char *stage, const char *model,
                        const char *reason) {
    record->stage = stage;
    record->model = model;
    free(record->reason);
    record->reason = strdup(reason); /* without memory the letter says less */
}

void record_set_dead(struct record *record, const char *stage, const char *model,
                     const char *reason) {
    keep_reason(record, stage, model, reason);
    atomic_store_explicit(&record->state, RECORD_DEAD, memory_order_release);
}

bool record_set_retry(struct record *record, const char *stage, const char *model,
                      const char *reason) {
    if (record->retries_left <= 0) {
        record_set_dead(record, stage, model, reason);
        return false;
    }
    keep_reason(record, stage, model, reason);
    atomic_store_explicit(&record->state, RECORD_RETRY, memory_order_release);
    return true;
}

void record_hold(struct record *record) {
    struct slot *slot = record->slot;

    atomic_store_explicit(&slot->held, true, memory_order_release);
}

void stream_let_go(struct stream *stream, struct slot *slot) {
    struct record *record = &slot->record;

    if (record->holder != NULL && stream->opts.release != NULL) {
        stream->opts.release(record->holder);
    }
    rd_kafka_message_destroy(record->message);
    free(record->reason);
    record->message = NULL;
    record->holder = NULL;
    record->reason = NULL;
}

/* ---- opening ---- */

/* Is the topic one that the route writes to? */
static bool is_target(const struct stream_route *route, const char *topic) {
    return strcmp(topic, route->output) == 0 || strcmp(topic, route->dead_letter) == 0;
}

static enum status check_retries(const struct stream_route *route, struct error *err) {
    if (route->retry_count < 0 || route->retry_count > STREAM_RETRIES_MAX) {
        return error_set(err, STATUS_INVALID,
                         "%d levels of retries: 0 to %d are possible", route->retry_count,
                         STREAM_RETRIES_MAX);
    }
    for (int i = 0; i < route->retry_count; i++) {
        const char *topic = route->retries[i].topic;
        if (strcmp(topic, route->input) == 0 || is_target(route, topic)) {
            return error_set(err, STATUS_INVALID,
                             "topic '%s' has another use than retries", topic);
        }
    }
    return STATUS_OK;
}

/* The route that reads the topic, or route_count. */
static size_t reader_of(const struct stream_opts *opts, const char *topic) {
    size_t i = 0;

    while (i < opts->route_count && strcmp(opts->routes[i].input, topic) != 0) {
        i++;
    }
    return i;
}

/* Would the route's answers come back to it for ever, by way of other routes too?  One
 * that reads what another answers is fine. */
static bool is_circle(const struct stream_opts *opts, size_t route) {
    size_t at = reader_of(opts, opts->routes[route].output);

    for (size_t steps = 0; at < opts->route_count && steps < opts->route_count; steps++) {
        if (at == route) {
            return true;
        }
        at = reader_of(opts, opts->routes[at].output);
    }
    return false;
}

static enum status check_route(const struct stream_opts *opts, size_t i,
                               struct error *err) {
    const char *input = opts->routes[i].input;

    for (size_t j = 0; j < opts->route_count; j++) {
        if (j < i && strcmp(input, opts->routes[j].input) == 0) {
            return error_set(err, STATUS_INVALID, "topic '%s' is the input of two routes",
                             input);
        }
        if (strcmp(input, opts->routes[j].dead_letter) == 0) {
            return error_set(err, STATUS_INVALID,
                             "topic '%s' is both an input and one of dead letters",
                             input);
        }
    }
    if (is_circle(opts, i)) {
        return error_set(err, STATUS_INVALID,
                         "topic '%s' is both an input and an output: its answers come "
                         "back to it",
                         input);
    }
    return check_retries(&opts->routes[i], err);
}

static enum status check_opts(const struct stream_opts *opts, struct error *err) {
    if (opts->route_count == 0 || opts->route_count > STREAM_ROUTES_MAX) {
        return error_set(err, STATUS_INVALID, "%zu routes: 1 to %d are possible",
                         opts->route_count, STREAM_ROUTES_MAX);
    }
    if (opts->group == NULL || opts->group[0] == '\0') {
        return error_set(err, STATUS_INVALID, "the consumer group has no name");
    }
    if (opts->is_static && (opts->instance == NULL || opts->instance[0] == '\0')) {
        return error_set(err, STATUS_INVALID, "a static member has an instance name");
    }
    if (opts->window_records_max == 0 || opts->window_size_max == 0) {
        return error_set(err, STATUS_INVALID, "a window of nothing lets nothing through");
    }
    for (size_t i = 0; i < opts->route_count; i++) {
        enum status status = check_route(opts, i, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* The topics to read: the inputs of the routes first, under the routes' own numbers, then
 * their retry topics. */
static enum status list_inputs(struct stream *stream, struct error *err) {
    const struct stream_opts *opts = &stream->opts;
    size_t count = opts->route_count;

    for (size_t i = 0; i < opts->route_count; i++) {
        count += (size_t)opts->routes[i].retry_count;
    }
    stream->inputs = calloc(count, sizeof *stream->inputs);
    if (stream->inputs == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu topics", count);
    }
    for (size_t i = 0; i < opts->route_count; i++) {
        stream->inputs[i] =
            (struct stream_input){.topic = opts->routes[i].input, .route = (int)i};
    }
    stream->input_count = opts->route_count;
    stream->window.inputs_counted = (int)opts->route_count;
    for (size_t i = 0; i < opts->route_count; i++) {
        for (int level = 1; level <= opts->routes[i].retry_count; level++) {
            stream->inputs[stream->input_count++] =
                (struct stream_input){.topic = opts->routes[i].retries[level - 1].topic,
                                      .route = (int)i,
                                      .level = level};
        }
    }
    return STATUS_OK;
}

static enum status open_parts(struct stream *stream, const struct stream_opts *opts,
                              struct error *err) {
    enum status status = window_init(&stream->window, opts->window_records_max,
                                     opts->window_size_max, err);

    if (status == STATUS_OK) {
        status = list_inputs(stream, err);
    }
    if (status == STATUS_OK) {
        status = identity_claim(&stream->identity, opts->group, opts->instance, err);
    }
    if (status == STATUS_OK) {
        status = topics_init(&stream->topics, opts->route_count, err);
    }
    if (status == STATUS_OK) {
        status = producer_open(stream, opts, err);
    }
    if (status == STATUS_OK) {
        status = source_open(stream, opts, err);
    }
    return status == STATUS_OK ? txn_open(stream, err) : status;
}

static void destroy(struct stream *stream);

enum status stream_check(const struct stream_opts *opts, struct error *err) {
    static const enum client_role roles[] = {CLIENT_CONSUMER, CLIENT_PRODUCER};
    struct client_context context = {0};
    enum status status = check_opts(opts, err);

    for (size_t i = 0; status == STATUS_OK && i < ARRAY_COUNT(roles); i++) {
        rd_kafka_conf_t *conf;

        status = client_conf(roles[i], opts, "check", &context, &conf, err);
        if (status == STATUS_OK) {
            rd_kafka_conf_destroy(conf);
        }
    }
    return status;
}

enum status stream_open(const struct stream_opts *opts, struct stream **stream,
                        struct error *err) {
    struct stream *made;
    enum status status = check_opts(opts, err);

    *stream = NULL;
    if (status != STATUS_OK) {
        return status;
    }
    made = calloc(1, sizeof *made);
    if (made == NULL || !problems_init(&made->problems)) {
        free(made);
        return error_set(err, STATUS_NO_MEMORY, "no memory for the stream");
    }
    made->opts = *opts;
    made->identity.claim = -1;
    watchdog_init(&made->watchdog, opts->watchdog_us);
    made->context.problems = &made->problems;
    made->context.owner = made;
    made->group = strdup(opts->group);
    status = made->group == NULL
                 ? error_set(err, STATUS_NO_MEMORY, "no memory for a name")
                 : open_parts(made, opts, err);
    /* The caller may free its lists now; nothing below looks at them. */
    made->opts.common = made->opts.consumer = made->opts.producer = NULL;
    made->opts.group = made->group;
    made->opts.instance = NULL;
    if (status != STATUS_OK) {
        atomic_store(&made->closing, true);
        source_close(made);
        destroy(made);
        return status;
    }
    log_event(LOG_INFO, "stream_open", LOG_TEXT("group", made->group),
              LOG_TEXT("transactional_id", made->identity.name),
              LOG_TEXT("brokers", made->context.brokers),
              LOG_TEXT("librdkafka", rd_kafka_version_str()));
    *stream = made;
    return STATUS_OK;
}

/* ---- running ---- */

enum status stream_poll(struct stream *stream, int timeout_ms, struct record **chain,
                        struct error *err) {
    return source_poll(stream, timeout_ms, chain, err);
}

enum status stream_commit(struct stream *stream, int timeout_ms, size_t *committed,
                          struct error *err) {
    return txn_commit(stream, timeout_ms, committed, err);
}

void stream_wake(struct stream *stream) {
    window_wake(&stream->window);
}

void stream_drain(struct stream *stream) {
    atomic_store(&stream->draining, true);
}

void stream_stats(struct stream *stream, struct stream_stats *stats) {
    const struct counters *counters = &stream->counters;

    watchdog_check(&stream->watchdog);
    *stats = (struct stream_stats){
        .records_in = atomic_load(&counters->records_in),
        .results_out = atomic_load(&counters->results_out),
        .retries_out = atomic_load(&counters->retries_out),
        .dead_letters_out = atomic_load(&counters->dead_letters_out),
        .records_replayed = atomic_load(&counters->records_replayed),
        .records_lost = atomic_load(&counters->records_lost),
        .records_condemned = atomic_load(&counters->condemned),
        .partitions_suspected = atomic_load(&counters->suspected),
        .transactions_committed = atomic_load(&counters->committed),
        .transactions_aborted = atomic_load(&counters->aborted),
        .rebalances = atomic_load(&counters->rebalances),
        .pauses = atomic_load(&counters->pauses),
        .rebalance_pauses = atomic_load(&counters->rebalance_pauses),
        .rebalance_pause_us = atomic_load(&counters->rebalance_pause_us),
        .rebalance_pause_last_us = atomic_load(&counters->rebalance_pause_last_us),
        .lag = atomic_load(&stream->source.lag),
        .retries_waiting = atomic_load(&stream->source.retries_waiting),
        .broker_up = problems_is_clear(&stream->problems, PROBLEM_BROKER),
        .topics_ready = atomic_load(&stream->topics.ready),
    };
    pthread_mutex_lock(&stream->window.lock);
    stats->records_in_flight = stream->window.records;
    stats->bytes_in_flight = stream->window.size;
    stats->partitions_assigned = stream->window.leases_held;
    pthread_mutex_unlock(&stream->window.lock);
    problems_text(&stream->problems, stats->problem, sizeof stats->problem);
}

int64_t stream_behind(const struct stream *stream, size_t route) {
    return atomic_load(&stream->source.behind[route]);
}

/* ---- closing ---- */

/* Frees what is left once the consumer is gone; accepts a stream that was half opened. */
static void destroy(struct stream *stream) {
    producer_release(stream);
    source_release(stream);
    topics_release(&stream->topics);
    window_release(&stream->window);
    identity_release(&stream->identity);
    problems_release(&stream->problems);
    free(stream->inputs);
    free(stream->group);
    free(stream);
}

static void visit_let_go(void *context, struct slot *slot) {
    stream_let_go(context, slot);
}

/* What the closing thread and the one that waits for it share. */
struct closing {
    struct stream *stream;
    int timeout_ms;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done; /* lock */
};

static void *close_all(void *argument) {
    struct closing *closing = argument;
    struct stream *stream = closing->stream;

    txn_close(stream, closing->timeout_ms / 2);
    /* Messages must be gone before their consumer. */
    waiting_drop_all(stream);
    stream->source.batch_first = stream->source.batch_last = NULL;
    window_each(&stream->window, visit_let_go, stream);
    producer_disconnect(stream);
    source_close(stream);
    pthread_mutex_lock(&closing->lock);
    closing->done = true;
    pthread_cond_signal(&closing->ended);
    pthread_mutex_unlock(&closing->lock);
    return NULL;
}

static bool wait_closed(struct closing *closing) {
    int64_t deadline_us = clock_now_us() + (int64_t)closing->timeout_ms * 1000;
    bool done;

    pthread_mutex_lock(&closing->lock);
    while (!closing->done &&
           cond_wait_until(&closing->ended, &closing->lock, deadline_us)) {
    }
    done = closing->done;
    pthread_mutex_unlock(&closing->lock);
    return done;
}

/* librdkafka's closing calls have no deadline and have been known to hang, so they run on
 * a thread that is left behind when they do: the process is about to end. */
void stream_close(struct stream *stream, int timeout_ms) {
    struct closing *closing;
    pthread_t thread;

    if (stream == NULL) {
        return;
    }
    atomic_store(&stream->closing, true);
    closing = calloc(1, sizeof *closing);
    if (closing == NULL) {
        return; /* the process is about to end */
    }
    closing->stream = stream;
    closing->timeout_ms = timeout_ms;
    pthread_mutex_init(&closing->lock, NULL);
    if (!cond_init(&closing->ended) ||
        pthread_create(&thread, NULL, close_all, closing) != 0) {
        log_plain(LOG_ERROR, "stream_close_failed");
        return;
    }
    if (!wait_closed(closing)) {
        log_event(LOG_ERROR, "stream_close_hangs", LOG_INT("timeout_ms", timeout_ms));
        return;
    }
    pthread_join(thread, NULL);
    pthread_cond_destroy(&closing->ended);
    pthread_mutex_destroy(&closing->lock);
    free(closing);
    destroy(stream);
}
