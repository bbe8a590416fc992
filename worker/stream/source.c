#include "stream/source.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "stream/fetched.h"
#include "stream/internal.h"
#include "stream/lag.h"
#include "stream/rebalance.h"
#include "stream/rejoin.h"
#include "stream/retry.h"
#include "stream/room.h"
#include "stream/waiting.h"

/* Most records of one poll: enough to make the hand-over cheap, few enough that the
 * pipeline is not kept waiting. */
#define POLL_RECORDS_MAX 512
#define REVOKE_WAIT_MAX_US 5000000
#define LEAVE_WAIT_US 3000000
#define LEAVE_POLL_MS 10

static enum status subscribe(struct stream *stream, struct error *err) {
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new((int)stream->input_count);
    rd_kafka_resp_err_t code;

    for (size_t i = 0; i < stream->input_count; i++) {
        rd_kafka_topic_partition_list_add(topics, stream->inputs[i].topic,
                                          RD_KAFKA_PARTITION_UA);
    }
    code = rd_kafka_subscribe(stream->source.consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, STATUS_INVALID, "cannot subscribe to the input topics: %s",
                         rd_kafka_err2str(code));
    }
    stream->source.subscribed = true;
    return STATUS_OK;
}

/* Leaves the group and joins it again, so that its partitions are shared out anew; where
 * that fails, the next look tries again. */
static enum status join_anew(struct stream *stream, struct error *err) {
    (void)rd_kafka_unsubscribe(stream->source.consumer);
    return subscribe(stream, err);
}

/* Joins the group once the retry topics have been made: coming later, they would make the
 * group share out its partitions again. */
static enum status subscribe_in_time(struct stream *stream, struct error *err) {
    enum status status = STATUS_OK;

    if (!stream->source.subscribed && atomic_load(&stream->topics.settled)) {
        status = subscribe(stream, err);
    } else if (coverage_has_gap(stream)) {
        status = join_anew(stream, err);
    }
    return status == STATUS_OK ? STATUS_OK
                               : error_set(err, STATUS_FATAL, "%s", err->text);
}

static bool starts_at_the_start(const rd_kafka_conf_t *conf) {
    char value[16] = "";
    size_t size = sizeof value;

    return rd_kafka_conf_get(conf, "auto.offset.reset", value, &size) ==
               RD_KAFKA_CONF_OK &&
           (strcmp(value, "earliest") == 0 || strcmp(value, "smallest") == 0 ||
            strcmp(value, "beginning") == 0);
}

enum status source_open(struct stream *stream, const struct stream_opts *opts,
                        struct error *err) {
    struct source *source = &stream->source;
    enum status status;

    atomic_store(&source->lag, -1);
    atomic_store(&source->retries_waiting, -1);
    for (size_t r = 0; r < STREAM_ROUTES_MAX; r++) {
        atomic_store(&source->behind[r], -1);
    }
    source->tables = calloc(stream->input_count, sizeof *source->tables);
    if (source->tables == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu topics",
                         stream->input_count);
    }
    status = client_conf(CLIENT_CONSUMER, opts, stream->identity.member, &stream->context,
                         &source->conf, err);
    if (status != STATUS_OK) {
        return status;
    }
    /* Waiting longer would cost us the membership that we wait for. */
    source->revoke_wait_us =
        client_number(source->conf, "session.timeout.ms", 10000) * 1000 / 3;
    if (source->revoke_wait_us > REVOKE_WAIT_MAX_US) {
        source->revoke_wait_us = REVOKE_WAIT_MAX_US;
    }
    source->from_start = starts_at_the_start(source->conf);
    source->fetched_max = fetched_max_of(source->conf);
    status = source_connect(stream, err);
    if (status != STATUS_OK) {
        return status;
    }
    return stream->input_count == opts->route_count ? subscribe(stream, err) : STATUS_OK;
}

enum status source_connect(struct stream *stream, struct error *err) {
    struct source *source = &stream->source;
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(source->conf);
    enum status status;

    rd_kafka_conf_set_rebalance_cb(conf, rebalance_cb);
    status = client_create(CLIENT_CONSUMER, &conf, &source->consumer, err);
    if (status != STATUS_OK) {
        return status;
    }
    rd_kafka_poll_set_consumer(source->consumer);
    source->subscribed = source->spoilt = source->pauses_changed = false;
    source->last_topic = NULL;
    return fetched_open(stream, err);
}

void source_disconnect(struct stream *stream) {
    struct source *source = &stream->source;

    fetched_close(stream);
    rd_kafka_destroy(source->consumer);
    source->consumer = NULL;
}

/* ---- polling ---- */

static int find_input(struct stream *stream, const rd_kafka_message_t *message) {
    struct source *source = &stream->source;
    const char *name;

    if (source->last_topic == message->rkt) {
        return source->last_input;
    }
    name = rd_kafka_topic_name(message->rkt);
    for (size_t i = 0; i < stream->input_count; i++) {
        if (strcmp(stream->inputs[i].topic, name) == 0) {
            source->last_topic = message->rkt;
            source->last_input = (int)i;
            return (int)i;
        }
    }
    return -1;
}

static struct lease *find_lease(struct stream *stream,
                                const rd_kafka_message_t *message) {
    int input = find_input(stream, message);
    const struct lease_table *table;

    if (input < 0) {
        return NULL;
    }
    table = &stream->source.tables[input];
    return message->partition >= 0 && (size_t)message->partition < table->count
               ? table->leases[message->partition]
               : NULL;
}

/* FNV-1a. */
static uint32_t hash_key(struct span key) {
    uint32_t value = 0x811c9dc5u;

    for (size_t i = 0; i < key.size; i++) {
        value = (value ^ key.data[i]) * 0x01000193u;
    }
    return value;
}

static void fill(struct stream *stream, struct slot *slot, struct lease *lease,
                 rd_kafka_message_t *message, int64_t now_us) {
    const struct stream_route *route = &stream->opts.routes[lease->route];
    int level = stream->inputs[lease->input].level;
    struct record *record = &slot->record;
    rd_kafka_timestamp_type_t type;

    *record = (struct record){
        .route = lease->route,
        .attempt = 1,
        .retries_left = route->retry_count - level,
        .partition = lease->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .received_us = now_us,
        .key = span_of(message->key, message->key_len),
        .value = span_of(message->payload, message->len),
        .message = message,
        .slot = slot,
    };
    slot->lease = lease;
    slot->link = NULL;
    slot->cut = 0;
    slot->size = message->len + message->key_len;
    slot->due_us = 0;
    slot->key_hash = route->keyed ? hash_key(slot->record.key) : 0;
    atomic_store_explicit(&slot->held, false, memory_order_relaxed);
    if (level > 0) {
        retry_read(slot, &route->retries[level - 1], clock_now_us(), clock_steady_ms());
    }
}

bool source_pass_over(struct stream *stream, struct slot *slot) {
    if (!ahead_has(&slot->lease->inherited, slot->record.offset)) {
        return false;
    }
    stream_let_go(stream, slot);
    window_untake(&stream->window, slot);
    return true;
}

void source_batch_add(struct stream *stream, struct slot *slot) {
    struct source *source = &stream->source;

    atomic_fetch_add_explicit(&slot->lease->polled, 1, memory_order_relaxed);
    slot->size += atomic_load_explicit(&slot->lease->answer_size, memory_order_relaxed);
    slot->lease->polled_size += slot->size;
    if (source->batch_last == NULL) {
        source->batch_first = slot;
    } else {
        source->batch_last->link = slot;
        source->batch_last->record.next = &slot->record;
    }
    source->batch_last = slot;
    source->batch_count++;
    source->batch_size += slot->size;
    room_take(stream, slot->record.route, slot->size);
}

/* Puts a message that is new into the batch; another one is destroyed. */
static enum status take_in(struct stream *stream, rd_kafka_message_t *message,
                           int64_t now_us, struct error *err) {
    struct lease *lease = find_lease(stream, message);
    struct slot *slot;

    /* Resuming may deliver again what we have; while draining, nothing is handed out. */
    if (lease == NULL || message->offset <= lease->last_offset ||
        atomic_load_explicit(&stream->draining, memory_order_relaxed)) {
        rd_kafka_message_destroy(message);
        return STATUS_OK;
    }
    slot = window_take(&stream->window);
    if (slot == NULL) {
        rd_kafka_message_destroy(message);
        return error_set(err, STATUS_FATAL, "no memory for a polled record");
    }
    fill(stream, slot, lease, message, now_us);
    lease->last_offset = message->offset;
    if (atomic_load_explicit(&lease->first_offset, memory_order_relaxed) < 0) {
        atomic_store(&lease->first_offset, message->offset);
        window_wake(&stream->window); /* care can mark it now */
    }
    if (waiting_must(slot, now_us)) {
        waiting_add(stream, slot);
    } else if (!source_pass_over(stream, slot)) {
        source_batch_add(stream, slot);
    }
    return STATUS_OK;
}

/* An error that the consumer hands out in place of a message. */
static enum status consume_error(struct stream *stream, const rd_kafka_message_t *message,
                                 struct error *err) {
    char reason[PROBLEM_TEXT_MAX];

    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        return STATUS_OK;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        topics_suspect(&stream->topics);
        return STATUS_OK;
    case RD_KAFKA_RESP_ERR__FATAL:
        if (rd_kafka_fatal_error(stream->source.consumer, reason, sizeof reason) ==
            RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
            stream->source.spoilt = true;
            return STATUS_OK;
        }
        return error_set(err, STATUS_FATAL, "the consumer cannot go on: %s", reason);
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
        log_plain(LOG_WARN, "max_poll_interval_exceeded");
        return STATUS_OK;
    default:
        problems_report(&stream->problems, PROBLEM_GROUP, "consuming: %s",
                        rd_kafka_message_errstr(message));
        return STATUS_OK;
    }
}

/* A message, or an error in its place. */
static enum status take(struct stream *stream, rd_kafka_message_t *message,
                        int64_t now_us, struct error *err) {
    enum status status;

    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return take_in(stream, message, now_us, err);
    }
    status = consume_error(stream, message, err);
    rd_kafka_message_destroy(message);
    return status;
}

/* Does what the group wants, waiting up to timeout_ms for something to do. */
static enum status serve_group(struct stream *stream, int timeout_ms, struct error *err) {
    enum status status = STATUS_OK;
    rd_kafka_message_t *message;

    while (status == STATUS_OK && !stream->source.spoilt &&
           (message = rd_kafka_consumer_poll(stream->source.consumer, timeout_ms)) !=
               NULL) {
        status = take(stream, message, clock_now_us(), err);
        timeout_ms = 0;
    }
    return status;
}

static bool may_take(const struct stream *stream, int route) {
    const struct source *source = &stream->source;

    return source->batch_count < POLL_RECORDS_MAX && room_has(stream, route) &&
           !source->pauses_changed && !source->spoilt;
}

static enum status take_of_route(struct stream *stream, int route, int64_t now_us,
                                 struct error *err) {
    const struct source *source = &stream->source;
    size_t count = source->batch_count, size = source->batch_size;
    enum status status = STATUS_OK;

    while (status == STATUS_OK && may_take(stream, route)) {
        rd_kafka_message_t *message = fetched_next(stream, route);
        if (message == NULL) {
            break;
        }
        status = take(stream, message, now_us, err);
    }
    fetched_refill(stream, route, source->batch_count - count, source->batch_size - size);
    return status;
}

/* Whatever has been fetched and has room, of one route after another. */
static enum status take_fetched(struct stream *stream, struct error *err) {
    struct source *source = &stream->source;
    size_t routes = stream->opts.route_count;
    int64_t now_us = clock_now_us();
    enum status status = STATUS_OK;

    for (size_t i = 0; i < routes && status == STATUS_OK; i++) {
        status =
            take_of_route(stream, (int)((source->first_route + i) % routes), now_us, err);
    }
    source->first_route = (source->first_route + 1) % routes;
    return status;
}

/* What there is to do now. */
static enum status poll_batch(struct stream *stream, struct error *err) {
    enum status status = serve_group(stream, 0, err);

    if (status != STATUS_OK || stream->source.spoilt || atomic_load(&stream->draining)) {
        return status;
    }
    room_look(stream);
    waiting_release(stream, POLL_RECORDS_MAX, clock_now_us());
    for (;;) {
        status = take_fetched(stream, err);
        if (!stream->source.pauses_changed) {
            return status;
        }
        rebalance_apply_pauses(stream); /* behind those that wait there may be more */
        if (status != STATUS_OK || stream->source.batch_count > 0) {
            return status;
        }
    }
}

/* How long it may be waited: less where a record will be due. */
static int wait_ms(const struct stream *stream, int timeout_ms) {
    int64_t now_us = clock_now_us();
    int64_t left_ms = (waiting_due_us(stream, now_us) - now_us + 999) / 1000;

    return left_ms > 0 && left_ms < timeout_ms ? (int)left_ms : timeout_ms;
}

/* A pause of all work that is over is counted; `record` is the first one after it, or
 * NULL while there is none. */
static void count_pause(struct stream *stream, const struct record *record) {
    struct counters *counters = &stream->counters;
    int64_t pause_us = pause_end(&stream->source.pause, clock_now_us(),
                                 record != NULL ? &record->timestamp_ms : NULL);

    if (pause_us < 0) {
        return;
    }
    atomic_fetch_add(&counters->rebalance_pauses, 1);
    atomic_fetch_add(&counters->rebalance_pause_us, pause_us);
    atomic_store(&counters->rebalance_pause_last_us, pause_us);
    log_event(LOG_INFO, "rebalance_pause", LOG_INT("pause_ms", pause_us / 1000));
}

/* Hands the batch over: to the window, and as a chain to the pipeline. */
static struct record *hand_out(struct stream *stream) {
    struct source *source = &stream->source;
    struct slot *first = source->batch_first;

    count_pause(stream, first != NULL ? &first->record : NULL);
    if (first == NULL) {
        return NULL;
    }
    atomic_fetch_add(&stream->counters.records_in, source->batch_count);
    window_append(&stream->window, first, source->batch_last, source->batch_count,
                  source->batch_size);
    source->batch_first = source->batch_last = NULL;
    source->batch_count = source->batch_size = 0;
    problems_clear(&stream->problems, PROBLEM_GROUP);
    return &first->record;
}

/* ---- one round ---- */

enum status source_poll(struct stream *stream, int timeout_ms, struct record **chain,
                        struct error *err) {
    struct source *source = &stream->source;
    enum status status;

    *chain = NULL;
    watchdog_check(&stream->watchdog);
    if (atomic_load(&source->fenced)) {
        window_wait_release(&stream->window, (int64_t)timeout_ms * 1000);
        atomic_fetch_add(&source->rounds, 1);
        return STATUS_OK;
    }
    status = subscribe_in_time(stream, err);
    if (status != STATUS_OK) {
        return status;
    }
    lag_refresh(stream);
    if (atomic_exchange(&source->generation_stale, false)) {
        rebalance_refresh(stream);
    }
    status = poll_batch(stream, err);
    if (status == STATUS_OK && source->batch_count == 0 && !source->spoilt) {
        status = serve_group(stream, wait_ms(stream, timeout_ms), err);
        if (status == STATUS_OK) {
            status = poll_batch(stream, err);
        }
    }
    if (status == STATUS_OK && source->spoilt) {
        status = rejoin_begin(stream, err);
    }
    if (status == STATUS_OK) {
        *chain = hand_out(stream);
    }
    atomic_fetch_add(&source->rounds, 1);
    return status;
}

/* ---- the end ---- */

static bool is_member(struct stream *stream) {
    char *member = rd_kafka_memberid(stream->source.consumer);
    bool is = member != NULL && member[0] != '\0';

    if (member != NULL) {
        rd_kafka_mem_free(stream->source.consumer, member);
    }
    return is;
}

/* Closing alone leaves the place of a member with an instance id to the next of that id,
 * and its partitions to nobody for as long; unsubscribing gives both up at once. */
static void leave_group(struct stream *stream) {
    int64_t deadline_us = clock_now_us() + LEAVE_WAIT_US;
    rd_kafka_message_t *message;

    if (rd_kafka_unsubscribe(stream->source.consumer) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    while (is_member(stream) && clock_now_us() < deadline_us) {
        message = rd_kafka_consumer_poll(stream->source.consumer, LEAVE_POLL_MS);
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
    }
}

void source_close(struct stream *stream) {
    struct source *source = &stream->source;

    if (source->consumer == NULL) {
        return;
    }
    if (!stream->opts.is_static && !source->spoilt) {
        leave_group(stream);
    }
    rd_kafka_consumer_close(source->consumer);
    source_disconnect(stream);
}

void source_release(struct stream *stream) {
    struct source *source = &stream->source;

    source_generation_drop(stream, source->generation);
    source->generation = NULL;
    if (source->conf != NULL) {
        rd_kafka_conf_destroy(source->conf);
        source->conf = NULL;
    }
    if (source->tables == NULL) {
        return;
    }
    for (size_t i = 0; i < stream->input_count; i++) {
        free(source->tables[i].leases);
    }
    free(source->tables);
    source->tables = NULL;
}
