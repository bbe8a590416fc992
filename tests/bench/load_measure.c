/* load_measure.c - loadgen measure: read committed results, and say how fast they came.
 *
 * Two clocks tell it. The records' own timestamps (made by the broker, if the topic has
 * message.timestamp.type=LogAppendTime) show the rate even when measured afterwards, so
 * that a throughput run is not slowed by somebody who watches. The time of receipt less
 * the time in the id shows the latency of jobs from `loadgen paced`, measured while they
 * run. */
#include "tests/bench/loadgen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 10000, POLL_MS = 100, ID_SIZE_MAX = 64 };

/* More ids than this are not ours; keeps the bitmap at 128 MiB. */
static const int64_t SEQ_MAX = INT64_C(1) << 30;

struct sample {
    int64_t received_us, timestamp_ms, sent_us; /* sent_us is 0 for a job of fill */
};

struct measurement {
    struct sample *samples; /* owned; grows */
    size_t count, capacity;
    uint8_t *seen; /* owned bitmap of sequence numbers; grows */
    size_t seen_size;
    int64_t distinct, duplicates, foreign; /* foreign: no id of ours */
    int at_end;                            /* partitions read to their end */
};

/* Grows `block` to hold at least `need` items; new ones are zero. */
static void *grow(void *block, size_t *capacity, size_t need, size_t item_size) {
    size_t wanted = *capacity > 0 ? *capacity : 4096;

    while (wanted < need) {
        wanted *= 2;
    }
    if (wanted == *capacity) {
        return block;
    }
    uint8_t *bigger = realloc(block, wanted * item_size);
    if (bigger == NULL) {
        die("out of memory for %zu items", wanted);
    }
    memset(bigger + *capacity * item_size, 0, (wanted - *capacity) * item_size);
    *capacity = wanted;
    return bigger;
}

static void mark_seen(struct measurement *m, int64_t seq) {
    size_t byte = (size_t)seq / 8;
    uint8_t bit = (uint8_t)(1 << (seq % 8));

    m->seen = grow(m->seen, &m->seen_size, byte + 1, 1);
    if ((m->seen[byte] & bit) != 0) {
        m->duplicates++;
    } else {
        m->seen[byte] |= bit;
        m->distinct++;
    }
}

/* Splits "SEQ-TIME". */
static bool parse_id(const char *text, size_t length, int64_t *seq, int64_t *sent_us) {
    char id[ID_SIZE_MAX], *end;

    if (length == 0 || length >= sizeof(id)) {
        return false;
    }
    memcpy(id, text, length);
    id[length] = '\0';
    *seq = strtoll(id, &end, 10);
    if (end == id || *end != '-' || *seq < 0 || *seq >= SEQ_MAX) {
        return false;
    }
    *sent_us = strtoll(end + 1, &end, 10);
    return *end == '\0';
}

static void take_result(struct measurement *m, const rd_kafka_message_t *message,
                        int64_t received_us) {
    struct sample sample = {.received_us = received_us};
    const char *id;
    size_t length;
    int64_t seq;

    if (!avro_leading_string(message->payload, message->len, &id, &length) ||
        !parse_id(id, length, &seq, &sample.sent_us)) {
        m->foreign++;
        return;
    }
    mark_seen(m, seq);
    sample.timestamp_ms = rd_kafka_message_timestamp(message, NULL);
    m->samples = grow(m->samples, &m->capacity, m->count + 1, sizeof(*m->samples));
    m->samples[m->count++] = sample;
}

static rd_kafka_t *open_consumer(const struct load_options *o, int *partitions) {
    const struct setting defaults[] = {
        /* The group is never joined; assign() only needs a name. */
        {"group.id", "loadgen-measure"},
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {"enable.partition.eof", "true"},
        {"fetch.wait.max.ms", "20"},
        {"fetch.min.bytes", "1"},
        {NULL, NULL},
    };
    rd_kafka_t *consumer = make_client(
        RD_KAFKA_CONSUMER, make_conf("consumer", o->bootstrap, defaults, &o->properties));

    *partitions = load_partition_count(consumer, o->topic);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(*partitions);
    for (int i = 0; i < *partitions; i++) {
        rd_kafka_topic_partition_list_add(list, o->topic, i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(consumer, list);
    if (code != 0) {
        die("assign: %s", rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(list);
    return consumer;
}

/* Takes the next results; false if there were none. */
static bool take_batch(struct measurement *m, rd_kafka_queue_t *queue,
                       rd_kafka_message_t **batch) {
    ssize_t count = rd_kafka_consume_batch_queue(queue, POLL_MS, batch, BATCH_MAX);
    int64_t now_us = wall_us();
    size_t before = m->count;

    for (ssize_t i = 0; i < count; i++) {
        if (batch[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            m->at_end++;
        } else if (batch[i]->err != 0) {
            die("consume: %s", rd_kafka_message_errstr(batch[i]));
        } else {
            take_result(m, batch[i], now_us);
        }
        rd_kafka_message_destroy(batch[i]);
    }
    return m->count > before;
}

static bool finished(const struct measurement *m, const struct load_options *o,
                     int partitions) {
    if (o->count > 0 && m->distinct >= o->count && !o->to_end) {
        return true;
    }
    /* Nobody writes any more when --to-end is used, so that each partition says so once.
     */
    return o->to_end && m->at_end >= partitions;
}

static void consume(struct measurement *m, const struct load_options *o) {
    int partitions;
    rd_kafka_t *consumer = open_consumer(o, &partitions);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    rd_kafka_message_t **batch = must_alloc(BATCH_MAX, sizeof(*batch));
    int64_t last_us = monotonic_us();

    while (!stop_requested && !finished(m, o, partitions)) {
        if (take_batch(m, queue, batch)) {
            last_us = monotonic_us();
        } else if (monotonic_us() - last_us > o->timeout_seconds * 1000000) {
            break;
        }
    }
    free(batch);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

static int compare(const void *a, const void *b) {
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Events per second after the first `skip` units of time, but at most the first third of
 * them all, from sorted times in units of which `per_second` make a second; 0 if nothing
 * is left. */
static double rate_after(const int64_t *times, size_t count, int64_t skip,
                         double per_second) {
    size_t first = 0;

    if (count == 0) {
        return 0;
    }
    int64_t last = times[count - 1], third = (last - times[0]) / 3;
    int64_t cut = times[0] + (skip < third ? skip : third);
    while (first < count && times[first] <= cut) {
        first++;
    }
    return last > cut ? (double)(count - first) * per_second / (double)(last - cut) : 0;
}

/* The latencies of the jobs sent after the warm-up, sorted into `out`; returns how many.
 */
static size_t latencies_after(const struct measurement *m, int64_t skip_us,
                              int64_t *out) {
    int64_t first_us = INT64_MAX;
    size_t count = 0;

    for (size_t i = 0; i < m->count; i++) {
        if (m->samples[i].sent_us > 0 && m->samples[i].sent_us < first_us) {
            first_us = m->samples[i].sent_us;
        }
    }
    for (size_t i = 0; i < m->count; i++) {
        const struct sample *sample = &m->samples[i];
        if (sample->sent_us > 0 && sample->sent_us >= first_us + skip_us) {
            out[count++] = sample->received_us - sample->sent_us;
        }
    }
    qsort(out, count, sizeof(*out), compare);
    return count;
}

/* The value that `percent` of the sorted values do not exceed (nearest rank). */
static double percentile_ms(const int64_t *sorted, size_t count, size_t percent) {
    size_t rank = (count * percent + 99) / 100;

    return (double)sorted[rank > 0 ? rank - 1 : 0] / 1e3;
}

static void report(const struct measurement *m, const struct load_options *o) {
    int64_t *times = must_alloc(m->count, sizeof(*times));
    int64_t skip_us = o->skip_seconds * 1000000;

    printf("{\"results\":%zu,\"distinct\":%" PRId64 ",\"duplicates\":%" PRId64
           ",\"foreign\":%" PRId64,
           m->count, m->distinct, m->duplicates, m->foreign);
    for (size_t i = 0; i < m->count; i++) {
        times[i] = m->samples[i].timestamp_ms;
    }
    qsort(times, m->count, sizeof(*times), compare);
    double rate = rate_after(times, m->count, o->skip_seconds * 1000, 1e3);
    double span_s = m->count > 0 ? (double)(times[m->count - 1] - times[0]) / 1e3 : 0;
    printf(",\"jobs_per_s\":%.1f,\"span_s\":%.3f", rate, span_s);
    for (size_t i = 0; i < m->count; i++) {
        times[i] = m->samples[i].received_us;
    }
    if (m->count > 0) {
        /* Received in order: no need to sort. */
        printf(",\"first_wall_us\":%" PRId64 ",\"last_wall_us\":%" PRId64, times[0],
               times[m->count - 1]);
    }
    printf(",\"received_per_s\":%.1f", rate_after(times, m->count, skip_us, 1e6));
    size_t count = latencies_after(m, skip_us, times);
    if (count > 0) {
        printf(",\"latency_p50_ms\":%.3f,\"latency_p99_ms\":%.3f,\"latency_max_ms\":%.3f",
               percentile_ms(times, count, 50), percentile_ms(times, count, 99),
               (double)times[count - 1] / 1e3);
    }
    puts("}");
    free(times);
}

int load_measure(const struct load_options *o) {
    struct measurement m = {0};

    if (o->count == 0 && !o->to_end) {
        misuse("--count or --to-end is needed");
    }
    consume(&m, o);
    report(&m, o);
    free(m.samples);
    free(m.seen);
    return m.distinct >= o->count ? 0 : 1;
}
