/* metrics.c - see metrics.h.
 *
 * A metric has one series for each combination of its labels' values.  A series takes
 * one cell, or for a histogram one cell a bucket, one for what is above the last
 * bound, and one for the sum; buckets are made cumulative when they are written. */
#include "app/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "app/metrics_table.h"
#include "app/process.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/cpu.h"

/* What serves of a model; owned texts, under lock. */
struct version {
    char *version, *path, *sha256;
};

struct metrics {
    struct arena arena;       /* owns all below, but for the versions' texts */
    pthread_mutex_t lock;     /* of the versions */
    struct version *versions; /* by model */
    size_t model_count;
    struct label_values labels[LABEL_COUNT];
    const char *version;
    int64_t start_ms;
    size_t first[METRIC_COUNT]; /* index of the metric's first cell */
    _Atomic int64_t *cells;
};

/* Cells of one series; a histogram's last one is the sum. */
static size_t cells_of(const struct metric_entry *entry) {
    return entry->type == TYPE_HISTOGRAM ? metrics_bounds(entry).count + 2 : 1;
}

static size_t series_of(const struct metrics *metrics, enum metric metric) {
    const enum label *labels = metrics_table[metric].labels;
    return metrics->labels[labels[0]].count * metrics->labels[labels[1]].count;
}

/* ---- versions ------------------------------------------------------------------- */

static void free_version(struct version *version) {
    free(version->version);
    free(version->path);
    free(version->sha256);
    *version = (struct version){NULL};
}

void metrics_set_model(struct metrics *metrics, size_t index,
                       const struct metrics_model *model) {
    struct version next = {.version = strdup(model->version),
                           .path = strdup(model->path),
                           .sha256 = strdup(model->sha256 == NULL ? "" : model->sha256)};
    struct version *place = &metrics->versions[index];
    assert(index < metrics->model_count);
    if (next.version != NULL && next.path != NULL && next.sha256 != NULL) {
        struct version before;
        (void)pthread_mutex_lock(&metrics->lock); /* fails only on misuse */
        before = *place;
        *place = next;
        (void)pthread_mutex_unlock(&metrics->lock);
        next = before;
    }
    free_version(&next);
}

/* ---- life ----------------------------------------------------------------------- */

static const char *copy(struct metrics *metrics, const char *text) {
    return arena_text(&metrics->arena, text, strlen(text));
}

static bool copy_models(struct metrics *metrics, const struct metrics_opts *opts) {
    size_t count = opts->model_count;
    const char **names = arena_alloc(&metrics->arena, count, sizeof(*names));
    metrics->versions = arena_alloc(&metrics->arena, count, sizeof(*metrics->versions));
    if (names == NULL || metrics->versions == NULL) {
        return false;
    }
    metrics->model_count = count;
    metrics->labels[LABEL_MODEL] = (struct label_values){names, count};
    for (size_t i = 0; i < count; i++) {
        names[i] = copy(metrics, opts->models[i].name);
        metrics_set_model(metrics, i, &opts->models[i]);
        if (names[i] == NULL || metrics->versions[i].version == NULL) {
            return false;
        }
    }
    return true;
}

static bool copy_routes(struct metrics *metrics, const struct metrics_opts *opts) {
    const char **names = arena_alloc(&metrics->arena, opts->route_count, sizeof(*names));
    if (names == NULL) {
        return false;
    }
    for (size_t i = 0; i < opts->route_count; i++) {
        names[i] = copy(metrics, opts->routes[i]);
        if (names[i] == NULL) {
            return false;
        }
    }
    metrics->labels[LABEL_ROUTE] = (struct label_values){names, opts->route_count};
    return true;
}

static bool make_cells(struct metrics *metrics) {
    size_t count = 0;
    for (int i = 0; i < METRIC_COUNT; i++) {
        metrics->first[i] = count;
        count += series_of(metrics, (enum metric)i) * cells_of(&metrics_table[i]);
    }
    /* Zeroed memory is a valid array of atomics here: they are plain 64-bit words. */
    _Static_assert(sizeof(_Atomic int64_t) == sizeof(int64_t), "lock-free cells");
    metrics->cells = arena_alloc(&metrics->arena, count, sizeof(*metrics->cells));
    return metrics->cells != NULL;
}

enum status metrics_create(const struct metrics_opts *opts, struct metrics **metrics,
                           struct error *err) {
    struct metrics *m = calloc(1, sizeof(*m));
    *metrics = NULL;
    if (m == NULL) {
        goto no_memory;
    }
    (void)pthread_mutex_init(&m->lock, NULL); /* cannot fail on Linux */
    arena_init(&m->arena, 0);
    for (int i = 0; i < LABEL_COUNT; i++) {
        m->labels[i] = metrics_labels[i].values;
    }
    m->start_ms = clock_wall_ms();
    m->version = copy(m, opts->version);
    if (m->version == NULL || !copy_models(m, opts) || !copy_routes(m, opts) ||
        !make_cells(m)) {
        goto no_memory;
    }
    *metrics = m;
    return STATUS_OK;
no_memory:
    metrics_destroy(m);
    return error_set(err, STATUS_NO_MEMORY, "metrics: out of memory");
}

void metrics_destroy(struct metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->model_count; i++) {
        free_version(&metrics->versions[i]);
    }
    arena_release(&metrics->arena);
    (void)pthread_mutex_destroy(&metrics->lock); /* fails only while locked */
    free(metrics);
}

/* ---- updates -------------------------------------------------------------------- */

static _Atomic int64_t *series_at(const struct metrics *metrics, enum metric metric,
                                  size_t label) {
    assert(label < series_of(metrics, metric));
    return &metrics->cells[metrics->first[metric] +
                           label * cells_of(&metrics_table[metric])];
}

static void add(_Atomic int64_t *cell, int64_t n) {
    atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
}

static int64_t load(const _Atomic int64_t *cell) {
    return atomic_load_explicit(cell, memory_order_relaxed);
}

size_t metrics_label(const struct metrics *metrics, enum metric metric, size_t first,
                     size_t second) {
    return first * metrics->labels[metrics_table[metric].labels[1]].count + second;
}

void metrics_add(struct metrics *metrics, enum metric metric, size_t label, uint64_t n) {
    assert(metrics_table[metric].type == TYPE_COUNTER);
    add(series_at(metrics, metric, label), (int64_t)n);
}

void metrics_set(struct metrics *metrics, enum metric metric, size_t label,
                 int64_t value) {
    assert(metrics_table[metric].type != TYPE_HISTOGRAM);
    atomic_store_explicit(series_at(metrics, metric, label), value, memory_order_relaxed);
}

int64_t metrics_get(const struct metrics *metrics, enum metric metric, size_t label) {
    return load(series_at(metrics, metric, label) + cells_of(&metrics_table[metric]) - 1);
}

void metrics_observe(struct metrics *metrics, enum metric metric, size_t label,
                     int64_t value, uint64_t n) {
    struct bounds bounds = metrics_bounds(&metrics_table[metric]);
    _Atomic int64_t *cells = series_at(metrics, metric, label);
    size_t bucket = 0;
    assert(metrics_table[metric].type == TYPE_HISTOGRAM);
    value = value < 0 ? 0 : value;
    while (bucket < bounds.count && value > bounds.at[bucket]) {
        bucket++;
    }
    add(&cells[bucket], (int64_t)n);
    add(&cells[bounds.count + 1], value * (int64_t)n);
}

/* ---- the page ------------------------------------------------------------------- */

static void write_head(FILE *to, const char *name, const char *type, const char *help) {
    (void)fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value, with the three characters escaped that the format reserves. */
static void write_pair(FILE *to, const char *before, const char *name,
                       const char *value) {
    (void)fprintf(to, "%s%s=\"", before, name);
    for (; *value != 0; value++) {
        if (*value == '\n') {
            (void)fputs("\\n", to);
        } else {
            if (*value == '"' || *value == '\\') {
                (void)fputc('\\', to);
            }
            (void)fputc(*value, to);
        }
    }
    (void)fputc('"', to);
}

/* "{route="a",stage="decode",le="0.1"}", or nothing; `le` may be NULL. */
static void write_labels(const struct metrics *metrics, const struct metric_entry *entry,
                         size_t label, const char *le, FILE *to) {
    size_t second = metrics->labels[entry->labels[1]].count;
    size_t indexes[] = {label / second, label % second};
    const char *before = "{";
    for (size_t i = 0; i < ARRAY_COUNT(indexes); i++) {
        if (entry->labels[i] != LABEL_NONE) {
            const struct label_values *values = &metrics->labels[entry->labels[i]];
            write_pair(to, before, metrics_labels[entry->labels[i]].name,
                       values->names[indexes[i]]);
            before = ",";
        }
    }
    if (le != NULL) {
        write_pair(to, before, "le", le);
        before = ",";
    }
    if (before[0] == ',') {
        (void)fputc('}', to);
    }
}

/* " 1.500000\n", or " 3\n". */
static void write_value(const struct metric_entry *entry, int64_t value, FILE *to) {
    if (entry->unit == UNIT_NANOSECONDS) {
        (void)fprintf(to, " %lld.%09lld\n", (long long)(value / 1000000000),
                      (long long)(value % 1000000000));
    } else if (entry->unit != UNIT_ONE) {
        (void)fprintf(to, " %lld.%06lld\n", (long long)(value / 1000000),
                      (long long)(value % 1000000));
    } else {
        (void)fprintf(to, " %lld\n", (long long)value);
    }
}

static void write_histogram(const struct metrics *metrics,
                            const struct metric_entry *entry, size_t label,
                            const _Atomic int64_t *cells, FILE *to) {
    struct bounds bounds = metrics_bounds(entry);
    double scale = entry->unit == UNIT_ONE ? 1.0 : 1e-6;
    int64_t total = 0;
    int64_t sum = load(&cells[bounds.count + 1]);
    for (size_t i = 0; i <= bounds.count; i++) {
        char le[32] = "+Inf";
        total += load(&cells[i]);
        if (i < bounds.count) {
            (void)snprintf(le, sizeof(le), "%g", (double)bounds.at[i] * scale);
        }
        (void)fprintf(to, "%s_bucket", entry->name);
        write_labels(metrics, entry, label, le, to);
        (void)fprintf(to, " %lld\n", (long long)total);
    }
    (void)fprintf(to, "%s_sum", entry->name);
    write_labels(metrics, entry, label, NULL, to);
    write_value(entry, sum, to);
    (void)fprintf(to, "%s_count", entry->name);
    write_labels(metrics, entry, label, NULL, to);
    (void)fprintf(to, " %lld\n", (long long)total);
}

static void write_metric(const struct metrics *metrics, enum metric metric, FILE *to) {
    const struct metric_entry *entry = &metrics_table[metric];
    write_head(to, entry->name, metrics_type_name(entry->type), entry->help);
    for (size_t label = 0; label < series_of(metrics, metric); label++) {
        const _Atomic int64_t *cells = series_at(metrics, metric, label);
        if (entry->type == TYPE_HISTOGRAM) {
            write_histogram(metrics, entry, label, cells, to);
            continue;
        }
        if (load(cells) < 0) {
            continue; /* unknown */
        }
        (void)fputs(entry->name, to);
        write_labels(metrics, entry, label, NULL, to);
        write_value(entry, load(cells), to);
    }
}

static void write_info(struct metrics *metrics, FILE *to) {
    write_head(to, "millrace_build_info", "gauge", "What runs; always 1.");
    (void)fputs("millrace_build_info", to);
    write_pair(to, "{", "version", metrics->version);
    write_pair(to, ",", "cpu", cpu_level_name(cpu_level()));
    (void)fputs("} 1\n", to);
    write_head(to, "millrace_model_info", "gauge", "The models served; always 1.");
    (void)pthread_mutex_lock(&metrics->lock); /* fails only on misuse */
    for (size_t i = 0; i < metrics->model_count; i++) {
        const struct version *version = &metrics->versions[i];
        (void)fputs("millrace_model_info", to);
        write_pair(to, "{", "model", metrics->labels[LABEL_MODEL].names[i]);
        write_pair(to, ",", "version", version->version);
        write_pair(to, ",", "path", version->path);
        write_pair(to, ",", "sha256", version->sha256);
        (void)fputs("} 1\n", to);
    }
    (void)pthread_mutex_unlock(&metrics->lock);
}

void metrics_write(struct metrics *metrics, FILE *to) {
    write_info(metrics, to);
    for (int i = 0; i < METRIC_COUNT; i++) {
        write_metric(metrics, (enum metric)i, to);
    }
    process_write(to, metrics->start_ms);
}
