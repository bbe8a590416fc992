#include "stream/side.h"

#include <librdkafka/rdkafka.h>

#include "stream/client.h"
#include "stream/problems.h"

#define NAME_MAX 512

/* Bounds on what it may hold; the user's properties are for the work's own producer. */
static const struct {
    const char *name, *value;
} bounds[] = {
    {"queue.buffering.max.messages", "20000"},
    {"queue.buffering.max.kbytes", "32768"},
    {"message.timeout.ms", "30000"},
};

struct side {
    rd_kafka_t *producer;
    struct client_context context;
    struct problems problems;
    uint64_t failed; /* since the last side_poll */
};

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message,
                        void *opaque) {
    struct client_context *context = opaque;
    struct side *side = (struct side *)(void *)context->owner;

    (void)client;
    side->failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static enum status make_conf(const struct stream_opts *opts, struct side *side,
                             rd_kafka_conf_t **conf, struct error *err) {
    struct stream_opts plain = *opts;
    char name[NAME_MAX];
    enum status status;

    plain.delivery = STREAM_AT_LEAST_ONCE; /* no transactions */
    snprintf(name, sizeof name, "%s.side", opts->group);
    status = client_conf(CLIENT_PRODUCER, &plain, name, &side->context, conf, err);
    for (size_t i = 0; i < ARRAY_COUNT(bounds) && status == STATUS_OK; i++) {
        char reason[256];
        if (rd_kafka_conf_set(*conf, bounds[i].name, bounds[i].value, reason,
                              sizeof reason) != RD_KAFKA_CONF_OK) {
            rd_kafka_conf_destroy(*conf);
            status =
                error_set(err, STATUS_INVALID, "property %s: %s", bounds[i].name, reason);
        }
    }
    return status;
}

enum status side_open(const struct stream_opts *opts, struct side **out,
                      struct error *err) {
    struct side *side = calloc(1, sizeof *side);
    rd_kafka_conf_t *conf;
    enum status status;

    *out = NULL;
    if (side == NULL || !problems_init(&side->problems)) {
        free(side);
        return error_set(err, STATUS_NO_MEMORY, "no memory for a producer");
    }
    side->context.problems = &side->problems;
    side->context.owner = (void *)side;
    status = make_conf(opts, side, &conf, err);
    if (status == STATUS_OK) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        status = client_create(CLIENT_PRODUCER, &conf, &side->producer, err);
    }
    if (status != STATUS_OK) {
        side_close(side, 0);
        return status;
    }
    *out = side;
    return STATUS_OK;
}

bool side_send(struct side *side, const char *topic, struct span key, struct span value) {
    return rd_kafka_producev(side->producer, RD_KAFKA_V_TOPIC(topic),
                             RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_KEY(key.data, key.size),
                             RD_KAFKA_V_VALUE((void *)(uintptr_t)value.data, value.size),
                             RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

uint64_t side_poll(struct side *side) {
    uint64_t failed;

    rd_kafka_poll(side->producer, 0);
    failed = side->failed;
    side->failed = 0;
    return failed;
}

void side_close(struct side *side, int timeout_ms) {
    if (side == NULL) {
        return;
    }
    if (side->producer != NULL) {
        (void)rd_kafka_flush(side->producer, timeout_ms); /* the rest is given up */
        (void)rd_kafka_purge(side->producer, RD_KAFKA_PURGE_F_QUEUE |
                                                 RD_KAFKA_PURGE_F_INFLIGHT |
                                                 RD_KAFKA_PURGE_F_NON_BLOCKING);
        rd_kafka_poll(side->producer, 0);
        rd_kafka_destroy(side->producer);
    }
    problems_release(&side->problems);
    free(side);
}
