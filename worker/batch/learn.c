/* learn.c - see learn.h. */
#include "batch/learn.h"

#include <assert.h>
#include <pthread.h>

#define SHARE_OF_NEW 0.125 /* in the mean of a size */
#define TELL_EVERY 16      /* batches of a kind */

/* Batches of 1 << i rows and more, but fewer than the next one's. */
struct point {
    int runs;
    double rows, ns; /* means */
};

struct kind {
    struct point points[COST_POINTS_MAX];
    struct cost cost; /* of those that were run */
    struct batch_aim aim;
    bool complete; /* the climb has ended */
    int64_t begun; /* batches since then */
    int64_t noted; /* batches that were run */
};

struct learn {
    struct learn_opts opts;
    pthread_mutex_t lock;
    struct kind kinds[LEARN_KINDS]; /* under lock */
    int usual;                      /* under lock; the kind of most batches */
};

static int size_of(int rows) {
    int i = 0;
    while (rows >> (i + 1) > 0) {
        i++;
    }
    assert(i < COST_POINTS_MAX);
    return i;
}

int learn_kind(size_t row_size) {
    int kind = 0;
    while (row_size >> (kind + 1) > 0 && kind < LEARN_KINDS - 1) {
        kind++;
    }
    return kind;
}

static bool is_too_long(const struct learn *learn, const struct kind *kind, int rows) {
    int longest_ms = learn->opts.slice_ms > 0 ? learn->opts.slice_ms : LEARN_LONGEST_MS;
    return cost_ns(&kind->cost, rows) > (int64_t)longest_ms * 1000000;
}

/* The size that is to be tried now; 0: none is left. */
static int next_rows(const struct learn *learn, const struct kind *kind) {
    int last = COST_POINTS_MAX - 1, rows;
    while (last >= 0 && kind->points[last].runs == 0) {
        last--;
    }
    if (last < 0) {
        return 1;
    }
    if (kind->points[last].runs < LEARN_RUNS) {
        return 1 << last;
    }
    rows = 1 << (last + 1);
    return rows > learn->opts.rows_max || is_too_long(learn, kind, rows) ? 0 : rows;
}

/* Makes curve and aim of the points. */
static void draw(const struct learn *learn, struct kind *kind) {
    const struct learn_opts *opts = &learn->opts;
    int next;
    kind->cost.count = 0;
    for (int i = 0; i < COST_POINTS_MAX; i++) {
        const struct point *point = &kind->points[i];
        if (point->runs > 0) {
            cost_add(&kind->cost, (int)(point->rows + 0.5), (int64_t)point->ns);
        }
    }
    batch_aim_by(&kind->aim, &kind->cost, opts->rows_max, opts->batch_size,
                 opts->slice_ms);
    next = kind->complete ? 0 : next_rows(learn, kind);
    kind->complete = next == 0;
    if (opts->batch_size == 0 && next > 0) {
        kind->aim.rows = next;
        kind->aim.early_rows = kind->aim.early_rows < next ? kind->aim.early_rows : next;
        kind->aim.reason = BATCH_FULL;
    }
}

enum status learn_create(const struct learn_opts *opts, struct learn **out,
                         struct error *err) {
    struct learn *learn = calloc(1, sizeof(*learn));
    *out = NULL;
    if (learn == NULL || pthread_mutex_init(&learn->lock, NULL) != 0) {
        free(learn);
        return error_set(err, STATUS_NO_MEMORY, "no memory for a curve of costs");
    }
    learn->opts = *opts;
    for (int i = 0; i < LEARN_KINDS; i++) {
        draw(learn, &learn->kinds[i]);
    }
    *out = learn;
    return STATUS_OK;
}

void learn_destroy(struct learn *learn) {
    if (learn != NULL) {
        (void)pthread_mutex_destroy(&learn->lock); /* fails only while locked */
        free(learn);
    }
}

struct batch_aim learn_aim(struct learn *learn, int index) {
    struct kind *kind = &learn->kinds[index];
    struct batch_aim aim;
    (void)pthread_mutex_lock(&learn->lock); /* fails only on misuse */
    aim = kind->aim;
    if (learn->opts.batch_size == 0 && kind->complete &&
        ++kind->begun % LEARN_PROBE == 0) {
        int rows = aim.rows * 2;
        rows = rows < learn->opts.rows_max ? rows : learn->opts.rows_max;
        aim.rows = is_too_long(learn, kind, rows) ? aim.rows : rows;
    }
    (void)pthread_mutex_unlock(&learn->lock);
    return aim;
}

int64_t learn_ns(struct learn *learn, int kind, int rows) {
    int64_t ns;
    (void)pthread_mutex_lock(&learn->lock); /* fails only on misuse */
    ns = cost_ns(&learn->kinds[kind].cost, rows);
    (void)pthread_mutex_unlock(&learn->lock);
    return ns;
}

/* The first run of a size finds caches cold, and plans to be made. */
static void add(struct point *point, int rows, int64_t ns) {
    double share = point->runs == 0 ? 1 : SHARE_OF_NEW;
    if (point->runs == 1) {
        share = (double)ns / rows < point->ns / point->rows ? 1 : 0;
    }
    point->rows += share * ((double)rows - point->rows);
    point->ns += share * ((double)ns - point->ns);
    point->runs++;
}

bool learn_note(struct learn *learn, int index, int rows, int64_t ns,
                struct learned *learned) {
    struct kind *kind = &learn->kinds[index];
    bool climbed, tells;
    (void)pthread_mutex_lock(&learn->lock); /* fails only on misuse */
    climbed = !kind->complete;
    add(&kind->points[size_of(rows)], rows, ns);
    draw(learn, kind);
    *learned = (struct learned){.complete = climbed && kind->complete};
    kind->noted++;
    if (kind->noted > learn->kinds[learn->usual].noted) {
        learn->usual = index;
    }
    learned->usual = index == learn->usual;
    tells =
        learned->complete ||
        (learned->usual && (kind->noted < TELL_EVERY || kind->noted % TELL_EVERY == 0));
    if (tells) {
        learned->row_size = (int64_t)2 << index;
        learned->cost = kind->cost;
        learned->aim = kind->aim;
    }
    (void)pthread_mutex_unlock(&learn->lock);
    return tells;
}
