/* kafka_broker.c - see kafka_broker.h. */
#include "tools/kafka_broker.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "tools/topic_spec.h"

#define RDKAFKA_TEXT_MAX 512

struct kafka_broker {
    rd_kafka_t *client; /* the mock cluster lives inside a client */
    rd_kafka_mock_cluster_t *cluster;
};

/* What the mock cluster says of its clients' comings and goings is of no use here. */
static void drop_log(const rd_kafka_t *client, int level, const char *facility,
                     const char *text) {
    (void)client;
    (void)level;
    (void)facility;
    (void)text;
}

enum status kafka_broker_open(int brokers, struct kafka_broker **broker,
                              struct error *err) {
    char why[RDKAFKA_TEXT_MAX];
    struct kafka_broker *made = calloc(1, sizeof(*made));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    *broker = NULL;
    if (made == NULL) {
        rd_kafka_conf_destroy(conf);
        return error_set(err, STATUS_NO_MEMORY, "no memory for a broker");
    }
    rd_kafka_conf_set_log_cb(conf, drop_log);
    made->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (made->client == NULL) {
        rd_kafka_conf_destroy(conf);
        kafka_broker_close(made);
        return error_set(err, STATUS_FATAL, "%s", why);
    }
    made->cluster = rd_kafka_mock_cluster_new(made->client, brokers);
    if (made->cluster == NULL) {
        kafka_broker_close(made);
        return error_set(err, STATUS_FATAL, "librdkafka's mock cluster does not start");
    }
    *broker = made;
    return STATUS_OK;
}

void kafka_broker_close(struct kafka_broker *broker) {
    if (broker == NULL) {
        return;
    }
    if (broker->cluster != NULL) {
        rd_kafka_mock_cluster_destroy(broker->cluster);
    }
    if (broker->client != NULL) {
        rd_kafka_destroy(broker->client);
    }
    free(broker);
}

enum status kafka_broker_add_topics(struct kafka_broker *broker, const char *topics,
                                    struct error *err) {
    while (*topics != 0) {
        struct topic_spec spec;
        enum status status = topic_spec_take(&topics, &spec, err);
        if (status != STATUS_OK) {
            return status;
        }
        rd_kafka_resp_err_t code =
            rd_kafka_mock_topic_create(broker->cluster, spec.name, spec.partitions, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return error_set(err, STATUS_INVALID, "topic '%s': %s", spec.name,
                             rd_kafka_err2str(code));
        }
    }
    return STATUS_OK;
}

const char *kafka_broker_address(const struct kafka_broker *broker) {
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}
