#include "stream/lag.h"

#include "base/clock.h"
#include "stream/internal.h"

#define INTERVAL_US 1000000

/* The first record that has not come, -1 where that is not known yet.  Where nothing was
 * ever committed it is what auto.offset.reset says. */
static int64_t next_of(const struct source *source, const struct lease *lease,
                       int64_t low, int64_t high) {
    int64_t committed = atomic_load(&lease->committed_offset);

    if (lease->last_offset >= 0) {
        return lease->last_offset + 1;
    }
    if (committed >= 0) {
        return committed > low ? committed : low;
    }
    if (!atomic_load(&lease->care.asked)) {
        return -1;
    }
    return source->from_start ? low : high;
}

/* Records behind the high watermark, -1 where that is not known yet. */
static int64_t lag_of(struct stream *stream, const struct lease *lease) {
    int64_t low, high, next;

    if (rd_kafka_get_watermark_offsets(
            stream->source.consumer, stream->inputs[lease->input].topic, lease->partition,
            &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0) {
        return -1;
    }
    next = next_of(&stream->source, lease, low, high);
    if (next < 0) {
        return -1;
    }
    return (high > next ? high - next : 0) + (int64_t)lease->waiting_count;
}

/* The lag of the partitions of one topic that are ours; -1 where one is not known. */
static int64_t lag_of_input(struct stream *stream, size_t input) {
    const struct lease_table *table = &stream->source.tables[input];
    int64_t sum = 0;

    for (size_t p = 0; p < table->count && sum >= 0; p++) {
        int64_t lag = table->leases[p] != NULL ? lag_of(stream, table->leases[p]) : 0;
        sum = lag < 0 ? -1 : sum + lag;
    }
    return sum;
}

/* What was polled of a topic and has not been let go of. */
static int64_t in_flight_of_input(struct stream *stream, size_t input) {
    const struct lease_table *table = &stream->source.tables[input];
    int64_t sum = 0;

    pthread_mutex_lock(&stream->window.lock);
    for (size_t p = 0; p < table->count; p++) {
        const struct lease *lease = table->leases[p];
        sum += lease != NULL ? (int64_t)lease_in_flight(lease) : 0;
    }
    pthread_mutex_unlock(&stream->window.lock);
    return sum;
}

void lag_refresh(struct stream *stream) {
    struct source *source = &stream->source;
    int64_t sums[2] = {0, 0}; /* of the inputs, and of the retry topics */
    int64_t behind[STREAM_ROUTES_MAX] = {0};
    int64_t now_us = clock_now_us();

    if (now_us < source->lag_due_us) {
        return;
    }
    source->lag_due_us = now_us + INTERVAL_US;
    for (size_t i = 0; i < stream->input_count; i++) {
        int64_t lag = lag_of_input(stream, i), *sum = &sums[stream->inputs[i].level > 0];
        int64_t *of_route = &behind[stream->inputs[i].route];
        *sum = lag < 0 || *sum < 0 ? -1 : *sum + lag;
        lag = stream->inputs[i].level > 0 ? 0 : lag; /* those may wait for long yet */
        *of_route = lag < 0 || *of_route < 0
                        ? -1
                        : *of_route + lag + in_flight_of_input(stream, i);
    }
    for (size_t r = 0; r < stream->opts.route_count; r++) {
        atomic_store(&source->behind[r], behind[r]);
    }
    atomic_store(&source->lag, sums[0]);
    atomic_store(&source->retries_waiting, sums[1]);
}
