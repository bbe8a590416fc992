/* load_send.c - loadgen fill and paced: jobs in Avro, made by hand from rows of a .npy
 * file.
 *
 * A job is its id and a rest that depends on the row alone. The rests are encoded once,
 * so that sending costs two copies. A flat record of floats is its id and the row. */
#include "tests/bench/loadgen.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DIMS_MAX = 8,
    ID_SIZE_MAX = 64,
    RUN_LENGTH = 256, /* jobs in a row to one partition when filling: fuller requests */
    PREAMBLE_SIZE = 10,
    FLUSH_TIMEOUT_MS = 60000
};

/* ---- .npy ---- */

struct rows {
    uint8_t *data;           /* owned; row-major, little-endian */
    size_t count, size;      /* rows, and the bytes of one */
    int dtype;               /* index into the schema's DType symbols */
    int64_t shape[DIMS_MAX]; /* of a row */
    int rank;
};

static const struct element_type {
    const char *descr; /* NumPy's name for it */
    int dtype;         /* as schemas/inference_job.avsc counts them */
    size_t size;
} element_types[] = {
    {"<f4", 0, 4}, {"<f8", 1, 8}, {"<i4", 6, 4}, {"<i8", 7, 8}, {"|u1", 8, 1},
};

static const struct element_type *find_type(const char *header, const char *path) {
    const char *descr = strstr(header, "'descr': '");

    for (size_t i = 0;
         descr != NULL && i < sizeof(element_types) / sizeof(*element_types); i++) {
        if (strncmp(descr + strlen("'descr': '"), element_types[i].descr, 3) == 0) {
            return &element_types[i];
        }
    }
    die("%s: of no type that can be sent", path);
}

/* Reads the shape, whose first number counts the rows. */
static void parse_shape(struct rows *rows, const char *header, const char *path) {
    const char *at = strstr(header, "'shape': (");
    int dims = 0;

    at = at == NULL ? "" : at + strlen("'shape': (");
    for (char *end; *at != ')' && *at != '\0'; at = end) {
        int64_t dim = strtoll(at, &end, 10);
        if (end == at || dim < 0 || dims > DIMS_MAX) {
            die("%s: a shape that cannot be read", path);
        }
        if (dims++ == 0) {
            rows->count = (size_t)dim;
        } else {
            rows->shape[rows->rank++] = dim;
        }
        end += strspn(end, ", ");
    }
    if (rows->count == 0) {
        die("%s: no rows", path);
    }
}

static struct rows read_rows(const char *path) {
    struct rows rows = {0};
    uint8_t preamble[PREAMBLE_SIZE];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        die("%s: %s", path, strerror(errno));
    }
    if (fread(preamble, 1, sizeof(preamble), file) != sizeof(preamble) ||
        memcmp(preamble, "\x93NUMPY\x01", 7) != 0) {
        die("%s: not a .npy file of version 1", path);
    }
    size_t header_size = (size_t)preamble[8] | (size_t)preamble[9] << 8;
    char *header = must_alloc(header_size + 1, 1);
    if (fread(header, 1, header_size, file) != header_size ||
        strstr(header, "'fortran_order': False") == NULL) {
        die("%s: cut off, or not row-major", path);
    }
    const struct element_type *type = find_type(header, path);
    rows.dtype = type->dtype;
    parse_shape(&rows, header, path);
    rows.size = type->size;
    for (int i = 0; i < rows.rank; i++) {
        rows.size *= (size_t)rows.shape[i];
    }
    rows.data = must_alloc(rows.count, rows.size);
    if (fread(rows.data, rows.size, rows.count, file) != rows.count) {
        die("%s: shorter than its shape says", path);
    }
    free(header);
    fclose(file);
    return rows;
}

/* ---- jobs ---- */

struct sender {
    rd_kafka_t *producer;
    rd_kafka_topic_t *topic;
    int partitions;
    uint8_t *tails; /* what follows the id, row after row */
    size_t tail_count, tail_size;
    uint8_t *job; /* the job being sent */
    int64_t failed;
};

static size_t put_string(uint8_t *out, const char *text) {
    size_t length = strlen(text);
    size_t used = avro_put_long(out, (int64_t)length);

    memcpy(out + used, text, length);
    return used + length;
}

/* The fields of InferenceJob after `id`, up to the tensor's data; returns the length. */
static size_t put_head(uint8_t *out, const struct load_options *o,
                       const struct rows *rows) {
    size_t used = put_string(out, o->model);

    used += avro_put_long(out + used, 0); /* version: null */
    used += avro_put_long(out + used, 0); /* deadline_ms: null */
    used += avro_put_long(out + used, 0); /* headers: none */
    used += avro_put_long(out + used, 1); /* inputs: a block of one tensor */
    used += put_string(out + used, o->input_name);
    used += avro_put_long(out + used, rows->dtype);
    if (rows->rank > 0) {
        used += avro_put_long(out + used, rows->rank);
    }
    for (int i = 0; i < rows->rank; i++) {
        used += avro_put_long(out + used, rows->shape[i]);
    }
    used += avro_put_long(out + used, 0); /* end of shape */
    used += avro_put_long(out + used, 0); /* data: bytes */
    used += avro_put_long(out + used, (int64_t)rows->size);
    return used;
}

static void encode_tails(struct sender *sender, const struct load_options *o) {
    struct rows rows = read_rows(o->input_path);
    /* Lengths and shape take at most 10 bytes each. */
    uint8_t *head = must_alloc(strlen(o->model) + strlen(o->input_name) + 200, 1);
    size_t head_size = o->records ? 0 : put_head(head, o, &rows);

    sender->tail_count = rows.count;
    sender->tail_size = head_size + rows.size;
    if (!o->records) {
        sender->tail_size++; /* the 0 that ends the inputs */
    }
    sender->tails = must_alloc(rows.count, sender->tail_size);
    sender->job = must_alloc(ID_SIZE_MAX + 2 + sender->tail_size, 1);
    for (size_t i = 0; i < rows.count; i++) {
        uint8_t *tail = sender->tails + i * sender->tail_size;
        memcpy(tail, head, head_size);
        memcpy(tail + head_size, rows.data + i * rows.size, rows.size);
    }
    free(head);
    free(rows.data);
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message,
                        void *opaque) {
    struct sender *sender = opaque;

    (void)producer;
    if (message->err != 0 && sender->failed++ == 0) {
        fprintf(stderr, "a job was not delivered: %s\n", rd_kafka_err2str(message->err));
    }
}

static void sender_open(struct sender *sender, const struct load_options *o,
                        const char *linger_ms) {
    const struct setting defaults[] = {
        {"linger.ms", linger_ms},
        {"batch.size", "1000000"},
        {"batch.num.messages", "10000"},
        {"queue.buffering.max.messages", "100000"},
        {"delivery.report.only.error", "true"},
        {NULL, NULL},
    };

    if (o->input_path == NULL) {
        misuse("--input is needed");
    }
    encode_tails(sender, o);
    rd_kafka_conf_t *conf = make_conf("producer", o->bootstrap, defaults, &o->properties);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, sender);
    sender->producer = make_client(RD_KAFKA_PRODUCER, conf);
    sender->topic = rd_kafka_topic_new(sender->producer, o->topic, NULL);
    if (sender->topic == NULL) {
        die("topic %s: no handle", o->topic);
    }
    sender->partitions = load_partition_count(sender->producer, o->topic);
}

static void send_job(struct sender *sender, int64_t seq, int64_t due_us, int partition) {
    char id[ID_SIZE_MAX];
    const uint8_t *tail =
        sender->tails + ((size_t)seq % sender->tail_count) * sender->tail_size;

    snprintf(id, sizeof(id), "%" PRId64 "-%" PRId64, seq, due_us);
    size_t used = put_string(sender->job, id);
    memcpy(sender->job + used, tail, sender->tail_size);
    while (rd_kafka_produce(sender->topic, partition, RD_KAFKA_MSG_F_COPY, sender->job,
                            used + sender->tail_size, NULL, 0, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
        }
        rd_kafka_poll(sender->producer, 10);
    }
}

static void sender_close(struct sender *sender) {
    rd_kafka_resp_err_t code = rd_kafka_flush(sender->producer, FLUSH_TIMEOUT_MS);

    if (code != 0) {
        die("flush: %s", rd_kafka_err2str(code));
    }
    if (sender->failed > 0) {
        die("%" PRId64 " jobs were not delivered", sender->failed);
    }
    rd_kafka_topic_destroy(sender->topic);
    rd_kafka_destroy(sender->producer);
    free(sender->tails);
    free(sender->job);
}

/* ---- the subcommands ---- */

int load_fill(const struct load_options *o) {
    struct sender sender = {0};
    int64_t start_us = monotonic_us(), seq;

    if (o->count == 0) {
        misuse("--count is needed");
    }
    sender_open(&sender, o, "50");
    for (seq = 0; seq < o->count && !stop_requested; seq++) {
        int partition = (int)(seq / RUN_LENGTH % sender.partitions);
        send_job(&sender, seq, 0, partition);
        if (seq % RUN_LENGTH == 0) {
            rd_kafka_poll(sender.producer, 0);
        }
    }
    sender_close(&sender);
    printf("{\"sent\":%" PRId64 ",\"seconds\":%.3f}\n", seq,
           (double)(monotonic_us() - start_us) / 1e6);
    return seq == o->count ? 0 : 1;
}

static void sleep_us(int64_t us) {
    struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

    nanosleep(&pause, NULL);
}

/* Every job carries the time at which it was due, not the time at which a late sender got
 * round to it: a stall that holds the sender up counts as the latency it is. */
int load_paced(const struct load_options *o) {
    struct sender sender = {0};
    int64_t seq = 0, late_max_us = 0;

    if (o->rate == 0 || o->seconds == 0) {
        misuse("--rate and --seconds are needed");
    }
    /* Without a linger every job is a request, and the broker's work on them, not the
     * worker's, is what would be measured. */
    sender_open(&sender, o, "5");
    int64_t total = o->rate * o->seconds, start_us = wall_us();
    while (seq < total && !stop_requested) {
        int64_t due_us = start_us + seq * 1000000 / o->rate;
        int64_t late_us = wall_us() - due_us;
        if (late_us < 0) {
            rd_kafka_poll(sender.producer, 0);
            sleep_us(-late_us);
            continue;
        }
        if (late_us > late_max_us) {
            late_max_us = late_us;
        }
        send_job(&sender, seq, due_us, (int)(seq % sender.partitions));
        seq++;
    }
    int64_t took_us = wall_us() - start_us;
    sender_close(&sender);
    printf("{\"sent\":%" PRId64 ",\"seconds\":%.3f,\"late_max_ms\":%.3f}\n", seq,
           (double)took_us / 1e6, (double)late_max_us / 1e3);
    return seq == total ? 0 : 1;
}
