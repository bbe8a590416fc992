#include "stream/portion.h"

#include "base/size.h"
#include "stream/internal.h"
#include "stream/waiting.h"

struct portion {
    size_t records, size; /* in flight */
};

/* What each route has in flight. */
static void count(struct stream *stream, struct portion *portions) {
    pthread_mutex_lock(&stream->window.lock);
    for (size_t i = 0; i < stream->input_count; i++) {
        const struct lease_table *table = &stream->source.tables[i];
        struct portion *portion = &portions[stream->inputs[i].route];
        for (size_t p = 0; p < table->count; p++) {
            const struct lease *lease = table->leases[p];
            if (lease != NULL) {
                portion->records += (size_t)(lease->polled - lease->released);
                portion->size += lease->polled_size - lease->released_size;
            }
        }
    }
    pthread_mutex_unlock(&stream->window.lock);
}

static bool is_over(const struct stream *stream, const struct portion *portion,
                    size_t parts) {
    return portion->records > stream->window.records_max / parts ||
           portion->size > stream->window.size_max / parts;
}

static size_t parts_of(const struct stream *stream) {
    return stream->opts.route_count < PORTION_PARTS_MAX ? stream->opts.route_count
                                                        : PORTION_PARTS_MAX;
}

void portion_bound_poll(const struct stream *stream, size_t *records, size_t *size) {
    size_t halves = 2 * parts_of(stream);

    if (stream->opts.route_count < 2) {
        return;
    }
    *records = size_min(*records, size_max(1, stream->window.records_max / halves));
    *size = size_min(*size, stream->window.size_max / halves);
}

static void hold(struct stream *stream, size_t route, bool held) {
    stream->source.held[route] = held;
    stream->source.held_count += held ? 1 : -1;
    waiting_hold(stream, (int)route);
}

bool portion_crowded(struct stream *stream) {
    struct portion portions[STREAM_ROUTES_MAX] = {{0, 0}};
    size_t parts = parts_of(stream);
    bool crowded = false;

    if (stream->opts.route_count < 2) {
        return false;
    }
    count(stream, portions);
    for (size_t r = 0; r < stream->opts.route_count; r++) {
        if (stream->source.held[r] && !is_over(stream, &portions[r], 2 * parts)) {
            hold(stream, r, false);
        }
        crowded =
            crowded || (!stream->source.held[r] && is_over(stream, &portions[r], parts));
    }
    return crowded;
}

bool portion_hold(struct stream *stream) {
    struct portion portions[STREAM_ROUTES_MAX] = {{0, 0}};
    bool any = false;

    if (stream->opts.route_count < 2) {
        return false;
    }
    count(stream, portions);
    for (size_t r = 0; r < stream->opts.route_count; r++) {
        if (!stream->source.held[r] && is_over(stream, &portions[r], parts_of(stream))) {
            hold(stream, r, true);
            any = true;
        }
    }
    return any;
}
