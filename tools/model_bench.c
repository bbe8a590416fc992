/* model_bench.c - millrace model bench: how fast a model runs here.
 *
 * Every thread has a session of its own and runs whole batches, as in the worker.  The
 * median is taken over the batches of all threads; rows per second follow from it, so
 * one slow moment of the machine does not count.
 *
 * --profile runs the measurement again with the first session watched, so that what the
 * watching costs is not in the figures above it. */
#include <math.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "engine/session.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/model_inputs.h"
#include "tools/model_options.h"
#include "tools/model_profile.h"

#define THREADS_MAX 256
/* A sample is as long as this, so that looking at the clock does not count. */
#define SAMPLE_NS 20000
#define SAMPLES_MAX 65536 /* kept per thread, the newest */
#define WARM_UP_SHARE 10  /* of the time, ahead of the measurement, is one in ... */
#define WARM_UP_RUNS 2    /* at least, but for batches longer than all of the time */

struct options {
    int64_t batch, threads, integers_max;
    double seconds;
    struct cli_list dims;
    bool json, profile, load;
    struct model_flags model;
};

static const struct cli_flag flags[] = {
    {.name = "--batch",
     .argument = "N",
     .help = "rows in a batch",
     .type = CLI_INT,
     .offset = offsetof(struct options, batch),
     .initial = "1",
     .min = 1,
     .max = 1e6},
    {.name = "--threads",
     .argument = "T",
     .help = "sessions that run side by side",
     .type = CLI_INT,
     .offset = offsetof(struct options, threads),
     .initial = "1",
     .min = 1,
     .max = THREADS_MAX},
    {.name = "--seconds",
     .argument = "S",
     .help = "how long to measure",
     .type = CLI_REAL,
     .offset = offsetof(struct options, seconds),
     .initial = "3",
     .min = 0.01,
     .max = 86400},
    {.name = "--dim",
     .argument = "NAME=K",
     .help = "the size of a free dimension: its symbol, or INPUT:AXIS",
     .type = CLI_LIST,
     .offset = offsetof(struct options, dims)},
    {.name = "--integers-max",
     .argument = "K",
     .help = "the largest random value of integer inputs",
     .type = CLI_INT,
     .offset = offsetof(struct options, integers_max),
     .initial = "1",
     .min = 0,
     .max = 2e9},
    {.name = "--json",
     .help = "one line of JSON",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, json)},
    {.name = "--profile",
     .help = "then tell where the time goes, by operator and node",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, profile)},
    {.name = "--load",
     .help = "also tell how long loading takes and how much memory it all took",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, load)},
    MODEL_FLAGS(struct options, model),
};

static int run(int argc, char **argv);

const struct cli_command model_bench_cli = {
    .name = "model bench",
    .operands = "MODEL.onnx",
    .summary = "Runs a model on random inputs and reports the median time of a batch.",
    .details =
        "A free first dimension of an input becomes the batch unless --dim says\n"
        "otherwise. Rows per second are batch * threads / median. --profile watches\n"
        "one session once more after that; nodes may stand for several that were\n"
        "fused. Loading is from the file to sessions that are ready to run; memory\n"
        "is what was resident at most, and what of it came by the model.",
    .operands_min = 1,
    .operands_max = 1,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* Shared by the threads; read-only once they run, but for the barrier. */
struct bench {
    struct model *model;
    struct model_inputs inputs;
    double load_ms;               /* until the sessions are ready */
    int64_t before_kib, peak_kib; /* resident before loading, and at most */
    int64_t warm_up_us, measure_us;
    pthread_barrier_t barrier; /* all are warm before one is measured */
};

struct runner {
    struct bench *bench;
    struct session *session; /* owned */
    double *samples_ms;      /* owned; SAMPLES_MAX entries, the newest */
    size_t run_count;        /* samples taken */
    int64_t sample_runs;     /* batches of a sample: one, but of the smallest models */
    pthread_t thread;
    bool started;
    enum status status;
    struct error err;
};

static void run_once(struct runner *runner) {
    if (runner->status == STATUS_OK) {
        runner->status =
            session_run(runner->session, runner->bench->inputs.tensors, &runner->err);
    }
}

/* Runs for warm_up_us at least, and finds out how many runs make a sample. */
static void warm_up(struct runner *runner) {
    const int64_t start_ns = clock_now_ns();
    int64_t took_ns = 0, runs = 0;
    bool enough = false;
    while (runner->status == STATUS_OK &&
           (took_ns < runner->bench->warm_up_us * 1000 || !enough)) {
        run_once(runner);
        took_ns = clock_now_ns() - start_ns;
        enough = ++runs >= WARM_UP_RUNS || took_ns >= runner->bench->measure_us * 1000;
    }
    runner->sample_runs = 1 + SAMPLE_NS * runs / (took_ns + 1);
}

/* Runs until the time is over and keeps the times. */
static void take_samples(struct runner *runner) {
    const int64_t start_ns = clock_now_ns();
    int64_t now_ns = start_ns;
    do {
        const int64_t before_ns = now_ns;
        for (int64_t i = 0; i < runner->sample_runs; i++) {
            run_once(runner);
        }
        now_ns = clock_now_ns();
        runner->samples_ms[runner->run_count++ % SAMPLES_MAX] =
            (double)(now_ns - before_ns) / 1e6 / (double)runner->sample_runs;
    } while (runner->status == STATUS_OK &&
             now_ns - start_ns < runner->bench->measure_us * 1000);
}

static void *runner_main(void *argument) {
    struct runner *runner = argument;
    warm_up(runner);
    pthread_barrier_wait(&runner->bench->barrier);
    take_samples(runner);
    return NULL;
}

static enum status runner_open(struct runner *runner, struct bench *bench,
                               struct error *err) {
    runner->bench = bench;
    runner->samples_ms = calloc(SAMPLES_MAX, sizeof(double));
    if (runner->samples_ms == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for samples");
    }
    enum status status = session_create(bench->model, 0, &runner->session, err);
    if (status == STATUS_OK) {
        status = session_prepare(runner->session, bench->inputs.tensors, err);
    }
    return status;
}

static int compare_reals(const void *a, const void *b) {
    double x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static double median_of(double *values, size_t count) {
    qsort(values, count, sizeof(double), compare_reals);
    return count % 2 == 1 ? values[count / 2]
                          : (values[count / 2 - 1] + values[count / 2]) / 2.0;
}

/* The median over all threads' samples. */
static enum status gather(const struct runner *runners, size_t count, double *median_ms,
                          struct error *err) {
    size_t used = 0;
    double *all = calloc(count * SAMPLES_MAX, sizeof(double));
    if (all == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for samples");
    }
    for (size_t i = 0; i < count; i++) {
        size_t kept =
            runners[i].run_count < SAMPLES_MAX ? runners[i].run_count : SAMPLES_MAX;
        memcpy(all + used, runners[i].samples_ms, kept * sizeof(double));
        used += kept;
    }
    *median_ms = median_of(all, used);
    free(all);
    return STATUS_OK;
}

/* Starts every thread, waits for them, and takes over the first failure. */
static enum status measure(struct bench *bench, struct runner *runners, size_t count,
                           struct error *err) {
    enum status status = STATUS_OK;
    if (pthread_barrier_init(&bench->barrier, NULL, (unsigned)count) != 0) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a barrier");
    }
    for (size_t i = 0; i < count; i++) {
        if (pthread_create(&runners[i].thread, NULL, runner_main, &runners[i]) != 0) {
            /* The others wait at the barrier for ever: there is nothing to join. */
            fprintf(stderr, "millrace model bench: cannot start thread %zu\n", i);
            exit(EXIT_FAILED);
        }
        runners[i].started = true;
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(runners[i].thread, NULL);
        if (status == STATUS_OK && runners[i].status != STATUS_OK) {
            status = runners[i].status;
            *err = runners[i].err;
        }
    }
    pthread_barrier_destroy(&bench->barrier);
    return status;
}

/* A figure of /proc/self/status in KiB, 0 where it is not there. */
static int64_t resident_kib(const char *key) {
    char line[128];
    long long kib = 0;
    size_t length = strlen(key);
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, key, length) == 0 && line[length] == ':' &&
            sscanf(line + length + 1, "%lld", &kib) == 1) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file); /* was only read from */
    }
    return kib;
}

static void report_load(const struct bench *bench, bool json) {
    int64_t grown_kib = bench->peak_kib - bench->before_kib;
    if (json) {
        printf(",\"load_ms\":%.6g,\"peak_kib\":%lld,\"grown_kib\":%lld", bench->load_ms,
               (long long)bench->peak_kib, (long long)grown_kib);
        return;
    }
    printf("loaded in %.4g ms; %.1f MiB resident at most, %.1f of them by the model\n",
           bench->load_ms, (double)bench->peak_kib / 1024, (double)grown_kib / 1024);
}

static void report(const struct bench *bench, const struct options *options,
                   double median_ms) {
    double rows_per_s = median_ms > 0.0 ? (double)options->batch *
                                              (double)options->threads * 1e3 / median_ms
                                        : 0.0;
    if (options->json) {
        printf("{\"batch\":%lld,\"threads\":%lld,\"median_ms\":%.6g,"
               "\"rows_per_s\":%.6g",
               (long long)options->batch, (long long)options->threads, median_ms,
               rows_per_s);
        if (options->load) {
            report_load(bench, true);
        }
        puts("}");
        return;
    }
    printf("batch %lld, %lld thread%s: median %.4g ms a batch, %.0f rows/s (%s)\n",
           (long long)options->batch, (long long)options->threads,
           options->threads == 1 ? "" : "s", median_ms, rows_per_s,
           cpu_level_name(cpu_level()));
    if (options->load) {
        report_load(bench, false);
    }
}

/* Runs session 0 under watch, as long as before. */
static enum status run_profile(struct bench *bench, struct runner *runner, bool json,
                               struct error *err) {
    struct profile profile = {.session = NULL};
    int64_t end_us = clock_now_us() + bench->measure_us;
    enum status status = profile_open(&profile, runner->session, err);
    do {
        if (status == STATUS_OK) {
            profile_start(&profile);
            status = session_run(runner->session, bench->inputs.tensors, err);
        }
    } while (status == STATUS_OK && clock_now_us() < end_us);
    if (status == STATUS_OK) {
        profile_print(&profile, json);
    }
    profile_close(&profile);
    return status;
}

/* Loads the model and makes every thread's session ready. */
static enum status load(struct bench *bench, struct runner *runners,
                        const struct options *options, const char *path,
                        struct error *err) {
    size_t count = (size_t)options->threads;
    bench->before_kib = resident_kib("VmRSS");
    int64_t start_ns = clock_now_ns();
    const struct model_options how = model_options_of(&options->model);
    enum status status = model_open_with(path, &how, &bench->model, err);
    if (status == STATUS_OK) {
        status = model_inputs_shape(bench->model, options->batch, &options->dims,
                                    &bench->inputs, err);
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = runner_open(&runners[i], bench, err);
    }
    bench->load_ms = (double)(clock_now_ns() - start_ns) / 1e6;
    if (status == STATUS_OK) {
        status = model_inputs_random(&bench->inputs, options->integers_max, 1, err);
    }
    return status;
}

static enum status run_bench(struct bench *bench, struct runner *runners,
                             const struct options *options, const char *path,
                             struct error *err) {
    double median_ms = 0.0;
    size_t count = (size_t)options->threads;
    enum status status = load(bench, runners, options, path, err);
    if (status == STATUS_OK) {
        status = measure(bench, runners, count, err);
        bench->peak_kib = resident_kib("VmHWM");
    }
    if (status == STATUS_OK) {
        status = gather(runners, count, &median_ms, err);
    }
    if (status == STATUS_OK) {
        report(bench, options, median_ms);
    }
    if (status == STATUS_OK && options->profile) {
        status = run_profile(bench, &runners[0], options->json, err);
    }
    return status;
}

static int run(int argc, char **argv) {
    struct options options = {0};
    struct bench bench = {.model = NULL};
    struct error err = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&model_bench_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    struct runner *runners = calloc((size_t)options.threads, sizeof(*runners));
    bench.measure_us = (int64_t)(options.seconds * 1e6);
    bench.warm_up_us = bench.measure_us / WARM_UP_SHARE;
    enum status status = runners == NULL
                             ? error_set(&err, STATUS_NO_MEMORY, "no memory for threads")
                             : run_bench(&bench, runners, &options, argv[1], &err);
    for (int64_t i = 0; runners != NULL && i < options.threads; i++) {
        if (runners[i].session != NULL) {
            session_destroy(runners[i].session);
        }
        free(runners[i].samples_ms);
    }
    free(runners);
    model_inputs_release(&bench.inputs);
    if (bench.model != NULL) {
        model_close(bench.model);
    }
    return status == STATUS_OK ? EXIT_FINE : cli_fail(&model_bench_cli, &err);
}
