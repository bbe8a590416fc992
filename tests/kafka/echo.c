/* echo.c - the stream with a pipeline that does nothing, for tests and measurements of it
 * alone on a real Kafka.
 *
 * Every record is answered with the first bytes of its value; one that starts with "dead"
 * becomes a dead letter.  A poll thread, an echo thread, and the commit thread (main), as
 * in the worker.  Runs until SIGTERM, then drains, closes and prints one line of JSON. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/size.h"
#include "stream/stream.h"

#define POLL_MS 100
#define COMMIT_WAIT_MS 50
#define CHAINS_MAX 65536
#define DRAIN_US 10000000
#define CLOSE_MS 15000
#define PROPERTIES_MAX 32

static volatile sig_atomic_t stop_requested;

struct echo {
    struct stream *stream;
    struct queue chains;
    size_t result_size;
    atomic_bool stopping;
    atomic_int exit_code;
    int64_t first_commit_us, last_commit_us;
};

static void on_signal(int number) {
    (void)number;
    stop_requested = 1;
}

static void fail(struct echo *echo, const struct error *err) {
    log_event(LOG_ERROR, "echo_failed", LOG_TEXT("reason", err->text));
    atomic_store(&echo->exit_code, 1);
    stop_requested = 1;
}

static void *poll_main(void *opaque) {
    struct echo *echo = opaque;
    while (!atomic_load(&echo->stopping)) {
        struct record *chain;
        struct error err;
        if (stream_poll(echo->stream, POLL_MS, &chain, &err) == STATUS_FATAL) {
            fail(echo, &err);
            break;
        }
        if (chain != NULL && !queue_push(&echo->chains, chain, QUEUE_FOREVER)) {
            break;
        }
    }
    return NULL;
}

static void answer(struct echo *echo, struct record *record) {
    if (record->value.size >= 4 && memcmp(record->value.data, "dead", 4) == 0) {
        record_set_dead(record, "infer", "echo", "it says so itself");
        return;
    }
    record_set_result(
        record,
        span_of(record->value.data, size_min(record->value.size, echo->result_size)),
        NULL);
}

static void *echo_main(void *opaque) {
    struct echo *echo = opaque;
    struct record *chain;
    while ((chain = queue_pop(&echo->chains, QUEUE_FOREVER)) != NULL) {
        while (chain != NULL) {
            struct record *next = chain->next;
            answer(echo, chain);
            chain = next;
        }
        stream_wake(echo->stream);
    }
    return NULL;
}

static void commit_once(struct echo *echo) {
    size_t committed;
    struct error err;
    enum status status = stream_commit(echo->stream, COMMIT_WAIT_MS, &committed, &err);
    if (status == STATUS_FATAL) {
        fail(echo, &err);
    }
    if (committed > 0) {
        echo->last_commit_us = clock_now_us();
        if (echo->first_commit_us == 0) {
            echo->first_commit_us = echo->last_commit_us;
        }
    }
}

static bool in_flight(struct echo *echo) {
    struct stream_stats stats;
    stream_stats(echo->stream, &stats);
    return stats.records_in_flight > 0;
}

static void report(struct echo *echo) {
    struct stream_stats s;
    int64_t took_us = echo->last_commit_us - echo->first_commit_us;
    stream_stats(echo->stream, &s);
    printf("{\"in\":%" PRIu64 ",\"results\":%" PRIu64 ",\"dead\":%" PRIu64
           ",\"replayed\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"commits\":%" PRIu64
           ",\"aborts\":%" PRIu64 ",\"pauses\":%" PRIu64 ",\"rebalances\":%" PRIu64
           ",\"per_s\":%.0f}\n",
           s.records_in, s.results_out, s.dead_letters_out, s.records_replayed,
           s.records_lost, s.transactions_committed, s.transactions_aborted, s.pauses,
           s.rebalances,
           took_us > 0
               ? (double)(s.results_out + s.dead_letters_out) * 1e6 / (double)took_us
               : 0);
    fflush(stdout);
}

static void run(struct echo *echo) {
    pthread_t poll_thread, echo_thread;
    int64_t deadline_us;
    if (pthread_create(&poll_thread, NULL, poll_main, echo) != 0 ||
        pthread_create(&echo_thread, NULL, echo_main, echo) != 0) {
        fputs("echo: no threads\n", stderr);
        exit(1);
    }
    while (!stop_requested) {
        commit_once(echo);
    }
    stream_drain(echo->stream);
    deadline_us = clock_now_us() + DRAIN_US;
    while (in_flight(echo) && clock_now_us() < deadline_us) {
        commit_once(echo);
    }
    atomic_store(&echo->stopping, true);
    queue_close(&echo->chains);
    pthread_join(poll_thread, NULL);
    pthread_join(echo_thread, NULL);
}

static const char usage[] =
    "usage: echo --bootstrap B --input TOPIC --output TOPIC --dead-letter TOPIC "
    "[OPTION]\n"
    "  --group G, --instance NAME, --at-least-once, --result-size BYTES (60),\n"
    "  --commit-interval-ms N (100), --window-records N (100000), --watchdog-s N (60),\n"
    "  --set K=V  a librdkafka property\n";

struct arguments {
    struct stream_property properties[PROPERTIES_MAX];
    struct stream_route route;
    struct stream_opts opts;
    struct echo *echo;
};

static void misuse(const char *what) {
    fprintf(stderr, "echo: %s\n%s", what, usage);
    exit(2);
}

static void add_property(struct arguments *a, const char *name, const char *value) {
    if (a->opts.common_count == PROPERTIES_MAX) {
        misuse("too many properties");
    }
    a->properties[a->opts.common_count++] =
        (struct stream_property){.name = name, .value = value};
}

static void set_text(struct arguments *a, const char *name, char *value) {
    const struct {
        const char *name;
        const char **text;
    } texts[] = {
        {"--input", &a->route.input},      {"--output", &a->route.output},
        {"--group", &a->opts.group},       {"--dead-letter", &a->route.dead_letter},
        {"--instance", &a->opts.instance},
    };
    long number = strtol(value, NULL, 10);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].text = value;
            return;
        }
    }
    if (strcmp(name, "--bootstrap") == 0) {
        add_property(a, "bootstrap.servers", value);
    } else if (strcmp(name, "--set") == 0 && strchr(value, '=') != NULL) {
        char *equals = strchr(value, '=');
        *equals = '\0';
        add_property(a, value, equals + 1);
    } else if (strcmp(name, "--result-size") == 0) {
        a->echo->result_size = (size_t)number;
    } else if (strcmp(name, "--commit-interval-ms") == 0) {
        a->opts.commit_interval_us = number * 1000;
    } else if (strcmp(name, "--window-records") == 0) {
        a->opts.window_records_max = (size_t)number;
    } else if (strcmp(name, "--watchdog-s") == 0) {
        a->opts.watchdog_us = number * 1000000;
    } else {
        misuse(name);
    }
}

static void parse(struct arguments *a, int argc, char **argv) {
    a->opts = (struct stream_opts){
        .common = a->properties,
        .routes = &a->route,
        .route_count = 1,
        .group = "echo",
        .commit_interval_us = 100000,
        .window_records_max = 100000,
        .window_size_max = (size_t)512 << 20,
        .watchdog_us = 60000000,
    };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--at-least-once") == 0) {
            a->opts.delivery = STREAM_AT_LEAST_ONCE;
        } else if (i + 1 == argc) {
            misuse(argv[i]);
        } else {
            set_text(a, argv[i], argv[i + 1]);
            i++;
        }
    }
    if (a->route.input == NULL || a->route.output == NULL ||
        a->route.dead_letter == NULL) {
        misuse("three topics are needed");
    }
}

int main(int argc, char **argv) {
    static struct echo echo = {.result_size = 60};
    static struct arguments arguments = {.echo = &echo};
    struct sigaction action = {.sa_handler = on_signal};
    struct error err;

    parse(&arguments, argc, argv);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (!queue_init(&echo.chains, CHAINS_MAX)) {
        return 1;
    }
    if (stream_open(&arguments.opts, &echo.stream, &err) != STATUS_OK) {
        fprintf(stderr, "echo: %s\n", err.text);
        return 2;
    }
    run(&echo);
    report(&echo);
    stream_close(echo.stream, CLOSE_MS);
    queue_release(&echo.chains);
    /* A close that hangs leaves its thread behind. */
    _exit(atomic_load(&echo.exit_code));
}
