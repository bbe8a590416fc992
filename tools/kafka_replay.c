/* kafka_replay.c - see kafka_letters.h: sending letters back. */
#include <inttypes.h>

#include "tools/kafka_client.h"
#include "tools/kafka_letters.h"
#include "tools/ranges.h"

#define NAME_MAX_SIZE 300
#define CALL_TIMEOUT_MS 30000
#define LETTERS_PER_TRANSACTION 500

static const struct kafka_setting consumer_settings[] = {
    {"enable.auto.commit", "false"},
    {"isolation.level", "read_committed"}, /* waits for open transactions' offsets */
    {"allow.auto.create.topics", "false"},
};

struct position {
    struct ranges done;
    bool changed; /* in the open transaction */
};

struct replay {
    rd_kafka_t *consumer, *producer;
    struct kafka_report report;
    const char *topic;
    char name[NAME_MAX_SIZE]; /* of the group, and the transactional id */
    struct position *positions;
    int partitions;
    int pending; /* letters in the open transaction */
    bool open;
};

static enum status judge(rd_kafka_error_t *error, const char *call, struct error *err) {
    if (error == NULL) {
        return STATUS_OK;
    }
    error_set(err, STATUS_AGAIN, "%s: %s; run it again: nothing is sent twice", call,
              rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return STATUS_AGAIN;
}

/* ---- opening ------------------------------------------------------------------------
 */

static enum status open_clients(struct replay *replay, const struct kafka_io_opts *opts,
                                struct error *err) {
    struct kafka_setting consumer[ARRAY_COUNT(consumer_settings) + 1];
    const struct kafka_setting producer[] = {{"transactional.id", replay->name}};
    enum status status;
    memcpy(consumer, consumer_settings, sizeof(consumer_settings));
    consumer[ARRAY_COUNT(consumer_settings)] =
        (struct kafka_setting){"group.id", replay->name};
    status = kafka_client_open(opts, RD_KAFKA_CONSUMER, consumer, ARRAY_COUNT(consumer),
                               &replay->report, &replay->consumer, err);
    if (status == STATUS_OK) {
        status =
            kafka_client_open(opts, RD_KAFKA_PRODUCER, producer, ARRAY_COUNT(producer),
                              &replay->report, &replay->producer, err);
    }
    if (status == STATUS_OK) {
        (void)rd_kafka_poll_set_consumer(replay->consumer); /* cannot fail here */
        status = kafka_client_await(replay->consumer, opts, &replay->report,
                                    replay->topic, &replay->partitions, err);
    }
    return status;
}

static enum status read_position(struct replay *replay,
                                 const rd_kafka_topic_partition_t *partition,
                                 struct error *err) {
    struct ranges *done = &replay->positions[partition->partition].done;
    if (partition->offset < 0 || partition->metadata_size == 0) {
        return STATUS_OK;
    }
    if (ranges_parse(partition->metadata, partition->metadata_size, done, err) !=
        STATUS_OK) {
        return error_prefix(err, "the position of group '%s', partition %d", replay->name,
                            (int)partition->partition);
    }
    return STATUS_OK;
}

static enum status read_positions(struct replay *replay, struct error *err) {
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(replay->partitions);
    enum status status = STATUS_OK;
    rd_kafka_resp_err_t code;
    for (int p = 0; p < replay->partitions; p++) {
        rd_kafka_topic_partition_list_add(list, replay->topic, p);
    }
    code = rd_kafka_committed(replay->consumer, list, CALL_TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = error_set(err, STATUS_AGAIN, "what was replayed already: %s",
                           rd_kafka_err2str(code));
    }
    for (int p = 0; p < replay->partitions && status == STATUS_OK; p++) {
        status = read_position(replay, &list->elems[p], err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

enum status replay_open(const struct kafka_io_opts *opts, const char *topic,
                        struct replay **replay, struct error *err) {
    struct replay *made = calloc(1, sizeof(*made));
    enum status status;
    *replay = NULL;
    if (made == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a replay");
    }
    made->topic = topic;
    (void)snprintf(made->name, sizeof(made->name), "millrace-dlq.%s", topic);
    status = open_clients(made, opts, err);
    if (status == STATUS_OK) {
        made->positions = calloc((size_t)made->partitions, sizeof(*made->positions));
        status = made->positions == NULL
                     ? error_set(err, STATUS_NO_MEMORY, "no memory for positions")
                     : judge(rd_kafka_init_transactions(made->producer, CALL_TIMEOUT_MS),
                             "init_transactions", err);
    }
    if (status == STATUS_OK) { /* only now is an older replay's transaction over */
        status = read_positions(made, err);
    }
    if (status != STATUS_OK) {
        replay_close(made);
        return status;
    }
    *replay = made;
    return STATUS_OK;
}

void replay_close(struct replay *replay) {
    if (replay == NULL) {
        return;
    }
    if (replay->open) { /* where it fails, the broker ends it in time */
        rd_kafka_error_t *error =
            rd_kafka_abort_transaction(replay->producer, CALL_TIMEOUT_MS);
        if (error != NULL) {
            rd_kafka_error_destroy(error);
        }
    }
    if (replay->producer != NULL) {
        rd_kafka_destroy(replay->producer);
    }
    if (replay->consumer != NULL) {
        (void)rd_kafka_consumer_close(replay->consumer); /* it is in no group */
        rd_kafka_destroy(replay->consumer);
    }
    free(replay->positions);
    free(replay);
}

bool replay_knows(const struct replay *replay, const struct letter *letter) {
    return letter->partition < replay->partitions &&
           ranges_hold(&replay->positions[letter->partition].done, letter->offset);
}

/* ---- sending ------------------------------------------------------------------------
 */

static bool is_ours(const char *name) {
    static const char *const prefixes[] = {"__connect.errors.", "millrace."};
    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static rd_kafka_headers_t *plain_headers(const struct letter *letter, int64_t count) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    char text[24];
    const char *name;
    struct span value;
    for (size_t i = 0; letter_header_at(letter, i, &name, &value); i++) {
        if (!is_ours(name)) {
            (void)rd_kafka_header_add(headers, name, -1, value.data,
                                      (ssize_t)value.size); /* the list is ours */
        }
    }
    (void)snprintf(text, sizeof(text), "%" PRId64, count);
    (void)rd_kafka_header_add(headers, "millrace.replay.count", -1, text, -1);
    return headers;
}

static enum status begin(struct replay *replay, struct error *err) {
    enum status status = STATUS_OK;
    if (!replay->open) {
        status =
            judge(rd_kafka_begin_transaction(replay->producer), "begin_transaction", err);
        replay->open = status == STATUS_OK;
    }
    return status;
}

enum status replay_send(struct replay *replay, const struct letter *letter,
                        const char *to, int32_t partition, int64_t count,
                        struct error *err) {
    struct position *position = &replay->positions[letter->partition];
    /* librdkafka takes a pointer that is not const, and copies all the same. */
    void *value = (void *)(uintptr_t)letter->value.data;
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t code;
    enum status status = begin(replay, err);
    if (status != STATUS_OK) {
        return status;
    }
    status = ranges_add(&position->done, letter->offset, err);
    if (status != STATUS_OK) {
        return error_prefix(err, "too many gaps between the letters that are sent back");
    }
    headers = plain_headers(letter, count);
    code = rd_kafka_producev(
        replay->producer, RD_KAFKA_V_TOPIC(to), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(letter->key.data, letter->key.size),
        RD_KAFKA_V_VALUE(value, letter->value.size),
        RD_KAFKA_V_TIMESTAMP(letter->timestamp_ms > 0 ? letter->timestamp_ms : 0),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
        return error_set(err, STATUS_AGAIN, "sending to topic '%s', partition %d: %s", to,
                         (int)partition, rd_kafka_err2str(code));
    }
    position->changed = true;
    replay->pending++;
    return replay->pending < LETTERS_PER_TRANSACTION ? STATUS_OK
                                                     : replay_finish(replay, err);
}

/* ---- positions ----------------------------------------------------------------------
 */

/* The offset is where the first gap begins; the metadata has the whole story. */
static enum status add_position(struct replay *replay, int p,
                                rd_kafka_topic_partition_list_t *list,
                                struct error *err) {
    struct position *position = &replay->positions[p];
    char text[RANGES_TEXT_MAX];
    rd_kafka_topic_partition_t *partition;
    enum status status = ranges_print(&position->done, text, sizeof(text), err);
    if (status != STATUS_OK) {
        return error_prefix(err, "too many gaps between the letters that are sent back");
    }
    partition = rd_kafka_topic_partition_list_add(list, replay->topic, p);
    partition->offset = position->done.items[0].first == 0
                            ? position->done.items[0].last + 1
                            : position->done.items[0].first;
    partition->metadata = strdup(text); /* librdkafka frees it with the list */
    partition->metadata_size = partition->metadata != NULL ? strlen(text) : 0;
    return partition->metadata != NULL ? STATUS_OK
                                       : error_set(err, STATUS_NO_MEMORY, "no memory");
}

static enum status send_positions(struct replay *replay, struct error *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    rd_kafka_consumer_group_metadata_t *group =
        rd_kafka_consumer_group_metadata(replay->consumer);
    enum status status = STATUS_OK;
    for (int p = 0; p < replay->partitions && status == STATUS_OK; p++) {
        if (replay->positions[p].changed) {
            status = add_position(replay, p, list, err);
        }
    }
    if (status == STATUS_OK) {
        status = judge(rd_kafka_send_offsets_to_transaction(replay->producer, list, group,
                                                            CALL_TIMEOUT_MS),
                       "send_offsets_to_transaction", err);
    }
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

enum status replay_finish(struct replay *replay, struct error *err) {
    enum status status;
    if (!replay->open) {
        return STATUS_OK;
    }
    status = send_positions(replay, err);
    if (status == STATUS_OK) {
        status = judge(rd_kafka_commit_transaction(replay->producer, CALL_TIMEOUT_MS),
                       "commit_transaction", err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    for (int p = 0; p < replay->partitions; p++) {
        replay->positions[p].changed = false;
    }
    replay->pending = 0;
    replay->open = false;
    return STATUS_OK;
}
