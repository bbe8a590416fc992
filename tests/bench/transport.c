/* transport.c - how fast the transport alone can be: what a worker would do if decoding,
 * inference and encoding cost nothing.
 *
 * It consumes a topic and answers every record with a small one that starts with the
 * job's id (the first field of both schemas), so that `loadgen measure` can read it; the
 * rest is zeros. Results and offsets go out in one transaction per interval, as the
 * worker does it. One thread; librdkafka's own threads fetch while it commits. At the end
 * it prints one line of JSON.
 *
 * It is made for one process per group: a rebalance in the middle of a run ends the
 * transaction with what it has, and an error ends the program. */
#include "tests/bench/common.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_MAX = 10000,    /* records taken from librdkafka at once */
    PARTITIONS_MAX = 256, /* of the input topic */
    RESULT_SIZE_MAX = 4096,
    POLL_MS = 20, /* the longest wait with nothing to do */
    CALL_TIMEOUT_MS = 60000,
    TRACED_TRANSACTIONS = 3 /* the first ones, of which --trace tells */
};

struct options {
    const char *bootstrap, *group, *input, *output, *transactional_id;
    int64_t commit_interval_ms;
    size_t result_size;
    bool transactions, trace;
    struct properties properties;
};

struct transport {
    struct options options;
    rd_kafka_t *consumer, *producer;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *output;
    rd_kafka_message_t **batch;   /* borrowed from librdkafka until destroyed */
    rd_kafka_message_t *results;  /* arguments of the next produce call */
    uint8_t *payloads;            /* their bytes: BATCH_MAX times the result size */
    int64_t next[PARTITIONS_MAX]; /* offset to commit; -1: nothing new */
    bool open;                    /* results wait for a commit */
    int64_t jobs, commits, start_us, commit_us_sum, commit_us_max;
};

static void trace(const struct transport *t, const char *what) {
    if (!t->options.trace || t->commits >= TRACED_TRANSACTIONS) {
        return;
    }
    fprintf(stderr, "%9.1f ms  %s\n", (double)(monotonic_us() - t->start_us) / 1e3, what);
}

static void check(rd_kafka_error_t *error, const char *what) {
    if (error == NULL) {
        return;
    }
    die("%s: %s", what, rd_kafka_error_string(error));
}

/* The offsets that are not committed yet, owned by the caller; the slate is clean after.
 */
static rd_kafka_topic_partition_list_t *take_offsets(struct transport *t) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
        if (t->next[p] < 0) {
            continue;
        }
        rd_kafka_topic_partition_list_add(list, t->options.input, p)->offset = t->next[p];
        t->next[p] = -1;
    }
    return list;
}

static void commit_transaction(struct transport *t,
                               const rd_kafka_topic_partition_list_t *offsets) {
    rd_kafka_consumer_group_metadata_t *metadata =
        rd_kafka_consumer_group_metadata(t->consumer);

    check(rd_kafka_send_offsets_to_transaction(t->producer, offsets, metadata,
                                               CALL_TIMEOUT_MS),
          "send_offsets_to_transaction");
    trace(t, "offsets sent");
    check(rd_kafka_commit_transaction(t->producer, CALL_TIMEOUT_MS),
          "commit_transaction");
    trace(t, "transaction committed");
    rd_kafka_consumer_group_metadata_destroy(metadata);
}

/* At least once: the offsets follow when the results have arrived. */
static void commit_plainly(struct transport *t,
                           const rd_kafka_topic_partition_list_t *offsets) {
    rd_kafka_resp_err_t code = rd_kafka_flush(t->producer, CALL_TIMEOUT_MS);

    if (code != 0) {
        die("flush: %s", rd_kafka_err2str(code));
    }
    code = rd_kafka_commit(t->consumer, offsets, 0);
    if (code != 0) {
        die("commit: %s", rd_kafka_err2str(code));
    }
}

static void commit(struct transport *t) {
    if (!t->open) {
        return;
    }
    rd_kafka_topic_partition_list_t *offsets = take_offsets(t);
    int64_t start_us = monotonic_us();

    trace(t, "commit begins");
    if (t->options.transactions) {
        commit_transaction(t, offsets);
    } else {
        commit_plainly(t, offsets);
    }
    rd_kafka_topic_partition_list_destroy(offsets);
    int64_t took_us = monotonic_us() - start_us;
    t->commit_us_sum += took_us;
    if (took_us > t->commit_us_max) {
        t->commit_us_max = took_us;
    }
    t->commits++;
    t->open = false;
}

static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct transport *t = opaque;

    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        trace(t, "partitions assigned");
        rd_kafka_assign(consumer, partitions);
    } else {
        commit(t);
        rd_kafka_assign(consumer, NULL);
    }
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message,
                        void *opaque) {
    (void)producer;
    (void)opaque;
    die("a result was not delivered: %s", rd_kafka_err2str(message->err));
}

static void connect_consumer(struct transport *t) {
    const struct options *o = &t->options;
    const struct setting defaults[] = {
        {"group.id", o->group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "earliest"},
        {"partition.assignment.strategy", "range"},
        /* Large fetches, and enough of them ahead to last through a commit. */
        {"max.partition.fetch.bytes", "4194304"},
        {"fetch.wait.max.ms", "20"},
        {"queued.min.messages", "1000000"},
        {"queued.max.messages.kbytes", "65536"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = make_conf("consumer", o->bootstrap, defaults, &o->properties);

    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_opaque(conf, t);
    t->consumer = make_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(t->consumer);
    t->queue = rd_kafka_queue_get_consumer(t->consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, o->input, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(t->consumer, topics);
    if (code != 0) {
        die("subscribe: %s", rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(topics);
}

/* Waits until the topic's leaders are known and a broker is connected. A first record
 * would else wait up to a second for librdkafka's timer, and init_transactions() half a
 * second. Asked twice: the first answer may come over a bootstrap connection that newer
 * versions then close. */
static void await_topic(struct transport *t) {
    const struct rd_kafka_metadata *metadata;

    for (int i = 0; i < 2; i++) {
        rd_kafka_resp_err_t code =
            rd_kafka_metadata(t->producer, 0, t->output, &metadata, CALL_TIMEOUT_MS);
        if (code != 0) {
            die("metadata: %s", rd_kafka_err2str(code));
        }
        rd_kafka_metadata_destroy(metadata);
    }
}

static void connect_producer(struct transport *t) {
    const struct options *o = &t->options;
    const struct setting defaults[] = {
        {"linger.ms", "5"},
        {"batch.num.messages", "100000"},
        {"batch.size", "1000000"},
        {"queue.buffering.max.messages", "2000000"},
        {"queue.buffering.max.kbytes", "1048576"},
        /* Only failures come back; a transaction says itself whether all arrived. */
        {"delivery.report.only.error", "true"},
        {"enable.idempotence", "true"},
        /* The coordinator refuses a new transaction while it ends the last one: ask again
         * soon, not after the default 100 ms. */
        {"retry.backoff.ms", "10"},
        {"reconnect.backoff.ms", "20"},
        {o->transactions ? "transactional.id" : NULL, o->transactional_id},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = make_conf("producer", o->bootstrap, defaults, &o->properties);

    if (!o->transactions) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    }
    t->producer = make_client(RD_KAFKA_PRODUCER, conf);
    t->output = rd_kafka_topic_new(t->producer, o->output, NULL);
    if (t->output == NULL) {
        die("topic %s: no handle", o->output);
    }
    await_topic(t);
    trace(t, "clients connected");
    if (o->transactions) {
        check(rd_kafka_init_transactions(t->producer, CALL_TIMEOUT_MS),
              "init_transactions");
        trace(t, "init_transactions done");
    }
}

/* Result number `index` of a produce call: the job's id, and zeros. */
static void fill_result(struct transport *t, int index, const rd_kafka_message_t *job) {
    size_t size = t->options.result_size, length;
    uint8_t *payload = t->payloads + (size_t)index * size;
    const char *id;

    memset(payload, 0, size);
    if (avro_leading_string(job->payload, job->len, &id, &length)) {
        size_t used = avro_put_long(payload, (int64_t)length);
        if (used + length <= size) {
            memcpy(payload + used, id, length);
        }
    }
    t->results[index] = (rd_kafka_message_t){.payload = payload, .len = size};
}

/* Answers `count` jobs of one partition: a lock and a wake-up per run, not per job. */
static void produce_run(struct transport *t, rd_kafka_message_t **jobs, int count) {
    int32_t partition = jobs[0]->partition;

    if (partition >= PARTITIONS_MAX) {
        die("more than %d partitions", PARTITIONS_MAX);
    }
    for (int i = 0; i < count; i++) {
        fill_result(t, i, jobs[i]);
    }
    int sent = rd_kafka_produce_batch(t->output, partition, RD_KAFKA_MSG_F_COPY,
                                      t->results, count);
    /* The queue holds more than one interval's results, so that there is no full queue to
     * wait for. */
    for (int i = 0; sent < count && i < count; i++) {
        if (t->results[i].err != 0) {
            die("produce: %s", rd_kafka_err2str(t->results[i].err));
        }
    }
    t->next[partition] = jobs[count - 1]->offset + 1;
}

/* Takes what has come and answers it. The records of a fetch stand together, so that runs
 * of one partition are long. */
static void forward(struct transport *t) {
    ssize_t count = rd_kafka_consume_batch_queue(t->queue, POLL_MS, t->batch, BATCH_MAX);
    int start = 0;

    if (count <= 0) {
        return;
    }
    for (int i = 0; i < (int)count; i++) {
        if (t->batch[i]->err != 0) {
            die("consume: %s", rd_kafka_message_errstr(t->batch[i]));
        }
    }
    if (!t->open && t->options.transactions) {
        check(rd_kafka_begin_transaction(t->producer), "begin_transaction");
    }
    if (!t->open) {
        trace(t, "first jobs of a transaction");
    }
    t->open = true;
    for (int i = 1; i <= (int)count; i++) {
        if (i < (int)count && t->batch[i]->partition == t->batch[start]->partition) {
            continue;
        }
        produce_run(t, t->batch + start, i - start);
        start = i;
    }
    for (int i = 0; i < (int)count; i++) {
        rd_kafka_message_destroy(t->batch[i]);
    }
    t->jobs += count;
}

static void run(struct transport *t) {
    int64_t interval_us = t->options.commit_interval_ms * 1000;
    int64_t due_us = monotonic_us() + interval_us;

    while (!stop_requested) {
        bool was_open = t->open;
        forward(t);
        rd_kafka_poll(t->producer, 0);
        int64_t now_us = monotonic_us();
        if (t->open && !was_open) {
            due_us = now_us + interval_us;
        }
        if (t->open && now_us >= due_us) {
            commit(t);
        }
    }
    commit(t);
}

static void report(const struct transport *t) {
    double commits = t->commits > 0 ? (double)t->commits : 1;

    printf("{\"jobs\":%" PRId64 ",\"commits\":%" PRId64
           ",\"commit_mean_ms\":%.2f,\"commit_max_ms\":%.2f}\n",
           t->jobs, t->commits, (double)t->commit_us_sum / commits / 1e3,
           (double)t->commit_us_max / 1e3);
}

static const char usage[] =
    "usage: transport --bootstrap B --group G --input TOPIC --output TOPIC\n"
    "Consumes INPUT and answers every record on OUTPUT until SIGTERM.\n"
    "  --transactional-id ID     (default transport)\n"
    "  --commit-interval-ms N    (default 100)\n"
    "  --no-transactions         at least once: flush, then commit the offsets\n"
    "  --result-size BYTES       (default 60)\n"
    "  --set K=V                 a librdkafka property (consumer.K or producer.K: of "
    "one)\n"
    "  --trace                   tell the times of the first transactions on stderr\n";

/* Takes an option with a value; false if there is none of that name. */
static bool set_option(struct options *o, const char *name, const char *value) {
    const struct {
        const char *name;
        const char **text;
    } texts[] = {
        {"--bootstrap", &o->bootstrap},
        {"--group", &o->group},
        {"--input", &o->input},
        {"--output", &o->output},
        {"--transactional-id", &o->transactional_id},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].text = value;
            return true;
        }
    }
    if (strcmp(name, "--commit-interval-ms") == 0) {
        o->commit_interval_ms = parse_number(name, value, 1);
    } else if (strcmp(name, "--result-size") == 0) {
        o->result_size = (size_t)parse_number(name, value, 4);
    } else if (strcmp(name, "--set") == 0) {
        properties_add(&o->properties, value);
    } else {
        return false;
    }
    return true;
}

static struct options parse(int argc, char **argv) {
    struct options o = {.transactional_id = "transport",
                        .commit_interval_ms = 100,
                        .result_size = 60,
                        .transactions = true};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        } else if (strcmp(argv[i], "--no-transactions") == 0) {
            o.transactions = false;
        } else if (strcmp(argv[i], "--trace") == 0) {
            o.trace = true;
        } else if (i + 1 == argc || !set_option(&o, argv[i], argv[i + 1])) {
            misuse("%s: unknown option, or no value\n%s", argv[i], usage);
        } else {
            i++;
        }
    }
    if (!o.bootstrap || !o.group || !o.input || !o.output) {
        misuse("%s", usage);
    }
    if (o.result_size > RESULT_SIZE_MAX) {
        misuse("--result-size: %d at most", RESULT_SIZE_MAX);
    }
    return o;
}

int main(int argc, char **argv) {
    static struct transport transport;
    struct transport *t = &transport;

    t->options = parse(argc, argv);
    t->start_us = monotonic_us();
    t->batch = must_alloc(BATCH_MAX, sizeof *t->batch);
    t->results = must_alloc(BATCH_MAX, sizeof *t->results);
    t->payloads = must_alloc(BATCH_MAX, t->options.result_size);
    for (int p = 0; p < PARTITIONS_MAX; p++) {
        t->next[p] = -1;
    }
    stop_on_signals();
    /* The group is joined while the transactions are initialised. */
    connect_consumer(t);
    connect_producer(t);
    run(t);
    rd_kafka_consumer_close(t->consumer);
    report(t);
    rd_kafka_queue_destroy(t->queue);
    rd_kafka_destroy(t->consumer);
    rd_kafka_topic_destroy(t->output);
    rd_kafka_destroy(t->producer);
    free(t->payloads);
    free(t->results);
    free(t->batch);
    return 0;
}
