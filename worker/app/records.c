/* records.c - see records.h: what is kept on the intake thread; records_make.c makes it.
 */
#include "app/records.h"

#include <assert.h>

#include "app/records_make.h"
#include "base/clock.h"

/* ---- what is known of a schema ---- */

static struct known *find_known(struct record_route *route, uint64_t key) {
    struct known *known = route->latest;
    if (known != NULL && known->key == key) {
        return known;
    }
    for (int i = 0; i < route->count; i++) {
        if (route->keys[i] == key) {
            route->latest = route->known[i];
            return route->latest;
        }
    }
    return NULL;
}

/* A free place: a new one, or that of a schema whose records are refused; -1 if none. */
static int free_place(const struct record_route *route) {
    if (route->count < RECORDS_SCHEMAS_MAX) {
        return route->count;
    }
    for (int i = 0; i < route->count; i++) {
        if (route->known[i]->state == KNOWN_REFUSED) {
            return i;
        }
    }
    return -1;
}

/* NULL after an error. */
static struct known *add_known(struct record_route *route, uint64_t key,
                               struct error *err) {
    int place = free_place(route);
    struct known *known;
    if (place < 0) {
        (void)error_set(err, STATUS_POISON,
                        "the record's schema would be one more than the %d of the route "
                        "that are kept",
                        RECORDS_SCHEMAS_MAX);
        return NULL;
    }
    known = calloc(1, sizeof(*known));
    if (known == NULL) {
        (void)error_set(err, STATUS_NO_MEMORY, "no memory for what a schema needs");
        return NULL;
    }
    known->route = route;
    known->key = key;
    known->state = KNOWN_NEW;
    if (place == route->count) {
        route->count++;
    } else {
        known_destroy(route->known[place]);
    }
    route->known[place] = known;
    route->keys[place] = key;
    route->latest = known;
    return known;
}

static void wait_for(struct records *records, struct known *known,
                     struct record *record) {
    record->next = NULL;
    *(known->waiting == NULL ? &known->waiting : known->waiting_end) = record;
    known->waiting_end = &record->next;
    (void)atomic_fetch_add(&records->waiting, 1);
    if (known->state != KNOWN_WANTED) {
        known->state = KNOWN_WANTED;
        maker_want(records, known);
    }
}

/* ---- records ---- */

static uint64_t key_of(const struct framing *framing) {
    return framing->kind == FRAMING_SINGLE_OBJECT ? framing->fingerprint : framing->id;
}

enum status records_parse(struct records *records, struct record *record, struct job *job,
                          struct batch_row *row, bool *waits, struct error *err) {
    struct record_route *route = records->routes[record->route];
    struct framing framing;
    struct known *known;
    *waits = false;
    assert(route != NULL);
    if (framing_read(record->value, (unsigned)recipe_framing(route->recipe), &framing,
                     err) != STATUS_OK) {
        return err->status;
    }
    known = find_known(route, key_of(&framing));
    if (known == NULL) {
        known = add_known(route, key_of(&framing), err);
    }
    if (known == NULL) {
        return err->status;
    }
    if (known->state == KNOWN_REFUSED && clock_now_us() < known->due_us) {
        return error_set(err, STATUS_POISON, "%s", known->why);
    }
    if (known->state != KNOWN_READY) {
        wait_for(records, known, record);
        *waits = true;
        return STATUS_OK;
    }
    row->answer = &known->answer;
    row->record = framing.record;
    return mapping_parse(known->mapping, known->rows, framing.record, job, err);
}

struct record *records_take(struct records *records) {
    struct record *chain = NULL;
    struct record **end = &chain;
    struct known *done = maker_take(records);
    while (done != NULL) {
        struct known *known = done;
        int64_t count = 0;
        done = known->next;
        known->state = known->verdict == STATUS_OK ? KNOWN_READY : KNOWN_REFUSED;
        *end = known->waiting;
        for (; *end != NULL; end = &(*end)->next) {
            count++;
        }
        known->waiting = NULL;
        (void)atomic_fetch_sub(&records->waiting, count);
    }
    return chain;
}

int64_t records_waiting(const struct records *records) {
    return records == NULL ? 0 : atomic_load(&records->waiting);
}
