#include "stream/fence.h"

#include "base/log.h"
#include "stream/care.h"
#include "stream/internal.h"
#include "stream/mark.h"

/* Most owners that are looked for in one go. */
#define OWNERS_MAX 16
#define REASON_TEXT_MAX 256

struct owners {
    char names[OWNERS_MAX][IDENTITY_NAME_MAX];
    size_t count;
};

static void add_owner(struct owners *owners, const char *name) {
    for (size_t i = 0; i < owners->count; i++) {
        if (strcmp(owners->names[i], name) == 0) {
            return;
        }
    }
    if (owners->count < OWNERS_MAX) {
        snprintf(owners->names[owners->count++], IDENTITY_NAME_MAX, "%s", name);
    }
}

static rd_kafka_t *client(rd_kafka_type_t type, const rd_kafka_conf_t *pattern,
                          const char *name, const char *value) {
    char reason[REASON_TEXT_MAX];
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(pattern);
    rd_kafka_t *made = NULL;

    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK) {
        made = rd_kafka_new(type, conf, reason, sizeof reason);
    }
    if (made == NULL) {
        log_event(LOG_WARN, "fence_failed", LOG_TEXT("reason", reason));
        rd_kafka_conf_destroy(conf);
    }
    return made;
}

/* The owners named by the marks of what is committed, whatever is open above. */
static void find_owners(struct stream *stream, rd_kafka_topic_partition_list_t *list,
                        struct owners *owners) {
    rd_kafka_t *peeper = client(RD_KAFKA_CONSUMER, stream->source.conf, "isolation.level",
                                "read_uncommitted");

    if (peeper == NULL) {
        return;
    }
    if (rd_kafka_committed(peeper, list, CARE_LOOK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        for (int i = 0; i < list->cnt; i++) {
            struct mark mark;

            mark_parse(list->elems[i].metadata, list->elems[i].metadata_size, &mark);
            if (mark.state == 'o' && mark.owner[0] != '\0' &&
                strcmp(mark.owner, stream->identity.name) != 0) {
                add_owner(owners, mark.owner);
            }
        }
    }
    rd_kafka_destroy(peeper);
}

static void fence(struct stream *stream, const char *owner) {
    rd_kafka_t *producer =
        client(RD_KAFKA_PRODUCER, stream->producer.conf, "transactional.id", owner);
    rd_kafka_error_t *error;

    if (producer == NULL) {
        return;
    }
    error = rd_kafka_init_transactions(producer, stream->txn.call_timeout_ms);
    log_event(LOG_WARN, "owner_fenced", LOG_TEXT("transactional_id", owner),
              LOG_TEXT("outcome", error != NULL ? rd_kafka_error_string(error) : "ok"));
    if (error != NULL) {
        rd_kafka_error_destroy(error);
    }
    rd_kafka_destroy(producer);
}

void fence_owners(struct stream *stream, const rd_kafka_topic_partition_list_t *hidden) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(hidden);
    struct owners owners = {.count = 0};

    watchdog_enter(&stream->watchdog, "reading the marks of hidden offsets");
    find_owners(stream, list, &owners);
    watchdog_leave(&stream->watchdog);
    for (size_t i = 0; i < owners.count; i++) {
        watchdog_enter(&stream->watchdog, "ending a dead worker's transaction");
        fence(stream, owners.names[i]);
        watchdog_leave(&stream->watchdog);
    }
    rd_kafka_topic_partition_list_destroy(list);
}
