#include "stream/room.h"

#include "base/size.h"
#include "stream/fetched.h"
#include "stream/internal.h"

struct used {
    size_t records, size; /* in flight */
};

/* What each route has in flight, and all of them. */
static struct used count(struct stream *stream, struct used *routes) {
    struct window *window = &stream->window;
    struct used all;

    pthread_mutex_lock(&window->lock);
    all = (struct used){.records = window->records, .size = window->size};
    for (size_t i = 0; stream->opts.route_count > 1 && i < stream->input_count; i++) {
        const struct lease_table *table = &stream->source.tables[i];
        struct used *used = &routes[stream->inputs[i].route];
        for (size_t p = 0; p < table->count; p++) {
            const struct lease *lease = table->leases[p];
            if (lease != NULL) {
                used->records += lease_in_flight(lease);
                used->size += lease->polled_size - lease->released_size;
            }
        }
    }
    pthread_mutex_unlock(&window->lock);
    return all;
}

static size_t left_of(size_t max, size_t used) {
    return max > used ? max - used : 0;
}

/* Sets the room in `most`; once there is none, it is held until `enough` is free. */
static void set(struct room *room, struct used used, struct used most,
                struct used enough) {
    room->records = left_of(most.records, used.records);
    room->size = left_of(most.size, used.size);
    room->held = room->held ? room->records < enough.records || room->size < enough.size
                            : room->records == 0 || room->size == 0;
}

static struct used part(struct used whole, size_t parts) {
    return (struct used){.records = size_max(1, whole.records / parts),
                         .size = size_max(1, whole.size / parts)};
}

void room_look(struct stream *stream) {
    struct rooms *rooms = &stream->source.rooms;
    size_t routes = stream->opts.route_count;
    struct used window = {stream->window.records_max, stream->window.size_max};
    struct used portion = part(window, size_min(routes, ROOM_PARTS_MAX));
    struct used by_route[STREAM_ROUTES_MAX] = {{0, 0}};
    bool was_full = rooms->all.held, waits;
    struct used all;

    /* Before the look: what is released after it wakes us. */
    atomic_store(&rooms->awaited, true);
    all = count(stream, by_route);
    set(&rooms->all, all, window, part(window, 8));
    waits = rooms->all.held;
    if (waits && !was_full) {
        atomic_fetch_add(&stream->counters.pauses, 1);
    }
    for (size_t r = 0; r < routes; r++) {
        set(&rooms->routes[r], routes > 1 ? by_route[r] : all, portion,
            routes > 1 ? part(portion, 2) : part(window, 8));
        waits = waits || rooms->routes[r].held;
    }
    if (!waits) {
        atomic_store(&rooms->awaited, false);
    }
}

static bool is_open(const struct room *room) {
    return !room->held && room->records > 0 && room->size > 0;
}

bool room_has(const struct stream *stream, int route) {
    const struct rooms *rooms = &stream->source.rooms;

    return is_open(&rooms->all) && is_open(&rooms->routes[route]);
}

static void take(struct room *room, size_t size) {
    room->records = left_of(room->records, 1);
    room->size = left_of(room->size, size);
}

void room_take(struct stream *stream, int route, size_t size) {
    take(&stream->source.rooms.all, size);
    take(&stream->source.rooms.routes[route], size);
}

void room_released(struct stream *stream) {
    if (atomic_exchange(&stream->source.rooms.awaited, false)) {
        fetched_wake(stream);
    }
}
