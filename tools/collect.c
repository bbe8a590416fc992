/* collect.c - millrace collect: results read back and held against what was sent. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>

#include "base/clock.h"
#include "tools/answers.h"
#include "tools/cli.h"
#include "tools/collect_state.h"
#include "tools/commands.h"
#include "tools/expect.h"
#include "tools/kafka_io.h"
#include "tools/progress.h"
#include "tools/result_json.h"
#include "tools/rows.h"

#define POLL_MS 100
#define ARENA_SIZE_MAX ((size_t)256 << 20) /* bytes of one result's outputs */

struct options {
    const char *bootstrap, *id_prefix, *labels, *output;
    struct cli_list topics, expects, properties;
    int64_t count, first, wait_s;
    double timeout_s, settle_s;
    bool json;
    /* of --answers */
    const char *answers, *as, *to, *codec, *registry, *schema;
    double save_s;
    bool follow, restart;
};

static const struct cli_flag flags[] = {
    {.name = "--bootstrap",
     .argument = "HOST:PORT,...",
     .help = "brokers; MILLRACE_KAFKA_BOOTSTRAP_SERVERS if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, bootstrap)},
    {.name = "--topic",
     .argument = "TOPIC",
     .help = "where results come",
     .type = CLI_LIST,
     .offset = offsetof(struct options, topics),
     .required = true},
    {.name = "--expect",
     .argument = "PREFIX=N[:FILE]",
     .help = "wait for ids PREFIX000000 up to N-1; rows of FILE, a .npy,\n"
             "are their labels",
     .type = CLI_LIST,
     .offset = offsetof(struct options, expects)},
    {.name = "--count",
     .argument = "N",
     .help = "wait for N ids: --expect in parts",
     .type = CLI_INT,
     .offset = offsetof(struct options, count),
     .initial = "0",
     .min = 0,
     .max = 1e9},
    {.name = "--first",
     .argument = "N",
     .help = "number of the first of --count",
     .type = CLI_INT,
     .offset = offsetof(struct options, first),
     .initial = "0",
     .min = 0,
     .max = 1e12},
    {.name = "--id-prefix",
     .argument = "TEXT",
     .help = "what the ids of --count start with",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, id_prefix),
     .initial = "job-"},
    {.name = "--labels",
     .argument = "FILE.npy",
     .help = "labels of the rows behind --count",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, labels)},
    {.name = "--output",
     .argument = "FILE.jsonl",
     .help = "write every result there, as lines of JSON",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, output)},
    {.name = "--answers",
     .argument = "FILE",
     .help = "write the first answer to each job as a row there: an Avro\n"
             "container, CSV, JSON lines or .npy; the file appears when all are in",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, answers)},
    {.name = "--to",
     .argument = "FORMAT",
     .help = "of --answers: " ROWS_FORMATS_TEXT "; its name tells if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, to)},
    {.name = "--codec",
     .argument = "CODEC",
     .help = "of an Avro container: null, deflate (if not given), snappy or\n"
             "zstandard",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, codec)},
    {.name = "--as",
     .argument = "job|record",
     .help = "what is read: answers to jobs, or records, whose key is the id",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, as),
     .initial = "job"},
    {.name = "--registry",
     .argument = "URL,...",
     .help = "where the schemas of records are",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, registry)},
    {.name = "--schema",
     .argument = "FILE.avsc",
     .help = "the schema of records that are bare",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, schema)},
    {.name = "--save",
     .argument = "S",
     .help = "seconds of work that a kill may cost --answers",
     .type = CLI_REAL,
     .offset = offsetof(struct options, save_s),
     .initial = "2",
     .min = 0,
     .max = 86400},
    {.name = "--restart",
     .help = "begin --answers anew, whatever a run before has left",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, restart)},
    {.name = "--follow",
     .help = "read on until SIGTERM, whatever has come",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, follow)},
    {.name = "--timeout",
     .argument = "S",
     .help = "give up when no new answer came for so many seconds",
     .type = CLI_REAL,
     .offset = offsetof(struct options, timeout_s),
     .initial = "60",
     .min = 0.1,
     .max = 1e6},
    {.name = "--settle",
     .argument = "S",
     .help = "read on for so long after the last answer, for duplicates",
     .type = CLI_REAL,
     .offset = offsetof(struct options, settle_s),
     .initial = "1",
     .min = 0,
     .max = 1e6},
    {.name = "--wait",
     .argument = "S",
     .help = "seconds to wait for the brokers and the topics",
     .type = CLI_INT,
     .offset = offsetof(struct options, wait_s),
     .initial = "30",
     .min = 0,
     .max = 86400},
    {.name = "-X",
     .argument = "NAME=VALUE",
     .help = "a property of librdkafka",
     .type = CLI_LIST,
     .offset = offsetof(struct options, properties)},
    {.name = "--json",
     .help = "the summary as JSON",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, json)},
};

static int run(int argc, char **argv);

const struct cli_command collect_cli = {
    .name = "collect",
    .operands = "",
    .summary = "Reads results until every job that was sent is answered.",
    .details =
        "Topics are read from their start, committed records only. Every id must be\n"
        "answered exactly once: exit code 1 if one is missing or came twice. Ids that\n"
        "nobody waits for are counted and passed over.\n"
        "With --answers, answers that come twice are counted and written once, and a\n"
        "run that was killed or timed out goes on when it is started again.\n"
        "With labels, answers are judged: the largest of several values against the\n"
        "label, a single one against 0.5; labels with a value for each step, step by\n"
        "step; -1 is not judged.",
    .operands_min = 0,
    .operands_max = 0,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* Everything that one run of the command holds. */
struct collect {
    const struct options *options;
    struct kafka_reader *reader;
    FILE *output;                            /* NULL for none */
    struct expect expects[CLI_LIST_MAX + 1]; /* of --expect, and --count's */
    int expect_count;
    int64_t wanted, answered, duplicates, unknown, malformed;
    struct answers_opts answers_opts;
    struct answers *answers; /* NULL for none */
    struct collect_state state;
    int64_t saved_us;
};

static volatile sig_atomic_t signalled;

static void note_signal(int number) {
    (void)number;
    signalled = 1;
}

static enum status open_expects(struct collect *collect, struct error *err) {
    const struct options *options = collect->options;
    enum status status = STATUS_OK;
    for (int i = 0; i < options->expects.count && status == STATUS_OK; i++) {
        status = expect_parse(options->expects.items[i],
                              &collect->expects[collect->expect_count++], err);
    }
    if (status == STATUS_OK && options->count > 0) {
        status =
            expect_make(span_text(options->id_prefix), options->first, options->count,
                        options->labels, &collect->expects[collect->expect_count++], err);
    }
    for (int i = 0; i < collect->expect_count; i++) {
        collect->wanted += collect->expects[i].count;
    }
    return status;
}

/* Takes up what a run before has left: what it has seen, and where it was. */
static enum status open_answers(struct collect *collect, struct error *err) {
    const struct options *options = collect->options;
    json_t *state;
    collect->answers_opts = (struct answers_opts){.path = options->answers,
                                                  .to = options->to,
                                                  .codec = options->codec,
                                                  .records = options->as[0] == 'r',
                                                  .registry = options->registry,
                                                  .schema = options->schema,
                                                  .rows = collect->wanted,
                                                  .restart = options->restart};
    enum status status =
        answers_open(&collect->answers_opts, &collect->answers, &state, err);
    if (status != STATUS_OK || state == NULL) {
        return status;
    }
    status = collect_state_load(&collect->state, state, collect->expects,
                                collect->expect_count, err);
    for (int i = 0; i < collect->expect_count; i++) {
        collect->answered += collect->expects[i].answered;
    }
    fprintf(stderr, "millrace collect: goes on with %lld answers that are there\n",
            (long long)collect->answered);
    return status;
}

static enum status save(struct collect *collect, struct error *err) {
    json_t *state =
        collect_state_json(&collect->state, collect->expects, collect->expect_count);
    enum status status = state == NULL
                             ? error_set(err, STATUS_NO_MEMORY, "no memory for progress")
                             : answers_save(collect->answers, state, err);
    json_decref(state);
    collect->saved_us = clock_now_us();
    return status;
}

static enum status open_all(struct collect *collect, struct error *err) {
    const struct options *options = collect->options;
    struct kafka_io_opts kafka = {.bootstrap = kafka_io_bootstrap(options->bootstrap),
                                  .properties = &options->properties,
                                  .wait_s = options->wait_s};
    enum status status = open_expects(collect, err);
    if (status == STATUS_OK && options->output != NULL) {
        collect->output = fopen(options->output, "w");
        if (collect->output == NULL) {
            status = error_set(err, STATUS_INVALID, "%s: %s", options->output,
                               strerror(errno));
        }
    }
    if (status == STATUS_OK && options->answers != NULL) {
        status = open_answers(collect, err);
        kafka.starts = collect->state.starts;
        kafka.start_count = collect->state.count;
    }
    if (status == STATUS_OK) {
        status = kafka_reader_open(&kafka, &options->topics, &collect->reader, err);
    }
    return status;
}

static enum status close_all(struct collect *collect, struct error *err) {
    enum status status = STATUS_OK;
    kafka_reader_close(collect->reader);
    answers_close(collect->answers);
    collect_state_release(&collect->state);
    for (int i = 0; i < collect->expect_count; i++) {
        expect_release(&collect->expects[i]);
    }
    if (collect->output != NULL &&
        (ferror(collect->output) | fclose(collect->output)) != 0) {
        status = error_set(err, STATUS_INVALID, "%s: %s", collect->options->output,
                           strerror(errno));
    }
    return status;
}

static struct expect *find_expect(struct collect *collect, struct span id,
                                  int64_t *number) {
    for (int i = 0; i < collect->expect_count; i++) {
        *number = expect_number(&collect->expects[i], id);
        if (*number >= 0) {
            return &collect->expects[i];
        }
    }
    return NULL;
}

/* What an answer consists of; of a record, the id alone. */
struct answer {
    struct result result;
    struct job_tensor outputs[JOB_INPUTS_MAX];
    struct tensor tensors[JOB_INPUTS_MAX];
    int count;
};

static enum status read_answer(const struct collect *collect,
                               const struct kafka_io_record *record,
                               struct answer *answer, struct arena *arena,
                               struct error *err) {
    enum status status;
    answer->count = 0;
    answer->result = (struct result){.id = record->key, .batch_size = 0};
    if (collect->options->as[0] == 'r') {
        return record->key.data != NULL
                   ? STATUS_OK
                   : error_set(err, STATUS_POISON, "a record has no key");
    }
    status = result_parse(record->value, &answer->result, answer->outputs, &answer->count,
                          err);
    for (int i = 0; i < answer->count && status == STATUS_OK; i++) {
        status = result_tensor(&answer->outputs[i], arena, &answer->tensors[i], err);
    }
    return status;
}

/* The first answer to a job into --answers; `row` is its place among those waited for. */
static enum status write_answer(struct collect *collect, const struct answer *answer,
                                const struct kafka_io_record *record, int64_t number,
                                int64_t row, struct error *err) {
    return collect->options->as[0] == 'r'
               ? answers_take_record(collect->answers, row, record->value, err)
               : answers_take_result(collect->answers, number, row, &answer->result,
                                     answer->outputs, answer->tensors, answer->count,
                                     err);
}

static void write_line(struct collect *collect, const struct kafka_io_record *record,
                       const struct answer *answer) {
    json_t *line = result_json(&answer->result, record->timestamp_ms, answer->outputs,
                               answer->tensors, answer->count);
    json_dumpf(line, collect->output, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', collect->output);
    json_decref(line);
}

/* Places of the expectations before this one. */
static int64_t rows_before(const struct collect *collect, const struct expect *expect) {
    int64_t rows = 0;
    for (const struct expect *e = collect->expects; e != expect; e++) {
        rows += e->count;
    }
    return rows;
}

/* Notes an answer that can be read, and writes it where it is the first one. */
static enum status note_answer(struct collect *collect,
                               const struct kafka_io_record *record,
                               const struct answer *answer, struct error *err) {
    int64_t number = -1;
    struct expect *expect = find_expect(collect, answer->result.id, &number);
    int64_t row =
        expect == NULL ? -1 : rows_before(collect, expect) + number - expect->first;
    bool seen = expect != NULL && expect->seen[number - expect->first];
    enum status status = STATUS_OK;
    if (collect->answers != NULL && !seen && (expect != NULL || collect->wanted == 0)) {
        status = write_answer(collect, answer, record, number, row, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (expect == NULL) {
        collect->unknown++;
    } else {
        expect_answer(expect, number, &answer->result, record->timestamp_ms,
                      answer->count > 0 ? &answer->tensors[0] : NULL);
        collect->answered += !seen;
        collect->duplicates += seen;
    }
    if (collect->output != NULL) {
        write_line(collect, record, answer);
    }
    return STATUS_OK;
}

/* One record; one that cannot be read is counted, and the rest go on. */
static enum status take_record(struct collect *collect,
                               const struct kafka_io_record *record, struct error *err) {
    struct answer answer;
    struct arena arena;
    arena_init(&arena, ARENA_SIZE_MAX);
    enum status status = read_answer(collect, record, &answer, &arena, err);
    if (status == STATUS_OK) {
        status = note_answer(collect, record, &answer, err);
    }
    if (status == STATUS_POISON) {
        collect->malformed++;
        status = STATUS_OK;
    }
    arena_release(&arena);
    if (status == STATUS_OK && collect->answers != NULL) {
        status = collect_state_note(&collect->state, record, err);
    }
    return status;
}

/* Reads until all have been answered and the topics were quiet, or nothing comes. */
static enum status read_all(struct collect *collect, struct error *err) {
    const struct options *options = collect->options;
    struct progress progress;
    int64_t last_us = clock_now_us(); /* when the last new answer came */
    enum status status = STATUS_AGAIN;
    progress_start(&progress, "collect", "answers", collect->wanted);
    while (status == STATUS_OK || status == STATUS_AGAIN) {
        struct kafka_io_record record;
        int64_t answered = collect->answered;
        status = kafka_reader_next(collect->reader, POLL_MS, &record, err);
        if (status == STATUS_OK && take_record(collect, &record, err) != STATUS_OK) {
            status = STATUS_FATAL;
            break;
        }
        int64_t now_us = clock_now_us();
        if (collect->answers != NULL &&
            (double)(now_us - collect->saved_us) >= options->save_s * 1e6 &&
            save(collect, err) != STATUS_OK) {
            status = STATUS_FATAL;
            break;
        }
        bool complete = collect->answered == collect->wanted;
        double patience_s = complete ? options->settle_s : options->timeout_s;
        last_us = collect->answered > answered ? now_us : last_us;
        if (signalled ||
            (!options->follow && (double)(now_us - last_us) >= patience_s * 1e6)) {
            status = STATUS_OK;
            break;
        }
        progress_update(&progress, collect->answered);
    }
    progress_end(&progress);
    return status;
}

/* ---- the summary ------------------------------------------------------------------ */

static const char *latency_text(int32_t latency_ms, char *text, size_t size) {
    (void)snprintf(text, size, latency_ms < 0 ? "-" : "%d", (int)latency_ms);
    return text;
}

static void print_row(struct expect *expect) {
    char accuracy[16] = "-", p50[16], p99[16];
    double batch =
        expect->answered > 0 ? (double)expect->batch_sum / (double)expect->answered : 0.0;
    if (expect->judged > 0) {
        (void)snprintf(accuracy, sizeof(accuracy), "%.2f %%",
                       100.0 * (double)expect->right / (double)expect->judged);
    }
    printf("%-16s %9lld %9lld %10s %9.0f %7.1f %8s %8s\n",
           expect->model[0] != 0 ? expect->model : "(none)", (long long)expect->count,
           (long long)expect->answered, accuracy, expect_rate(expect), batch,
           latency_text(expect_latency_ms(expect, 0.50), p50, sizeof(p50)),
           latency_text(expect_latency_ms(expect, 0.99), p99, sizeof(p99)));
}

static void print_table(struct collect *collect) {
    puts("Latency is from the job's Kafka timestamp to the result's, in ms: waiting in "
         "the\n"
         "topic, for the batch, and computing. Jobs sent in a burst mostly wait for "
         "those\n"
         "ahead of them.\n");
    printf("%-16s %9s %9s %10s %9s %7s %8s %8s\n", "model", "jobs", "answered",
           "accuracy", "jobs/s", "batch", "p50", "p99");
    for (int i = 0; i < collect->expect_count; i++) {
        print_row(&collect->expects[i]);
    }
    printf("\nevery id answered once: %lld of %lld", (long long)(collect->answered),
           (long long)collect->wanted);
    if (collect->duplicates > 0) {
        printf(", and %lld answers too many", (long long)collect->duplicates);
    }
    if (collect->unknown > 0) {
        printf("; %lld answers to unknown ids", (long long)collect->unknown);
    }
    if (collect->malformed > 0) {
        printf("; %lld records are no results", (long long)collect->malformed);
    }
    putchar('\n');
}

static void print_json(struct collect *collect) {
    json_t *models = json_array();
    for (int i = 0; i < collect->expect_count; i++) {
        struct expect *expect = &collect->expects[i];
        double answered = expect->answered > 0 ? (double)expect->answered : 1.0;
        json_t *accuracy = expect->judged > 0
                               ? json_real((double)expect->right / (double)expect->judged)
                               : json_null();
        json_array_append_new(
            models, json_pack("{s:s, s:I, s:I, s:I, s:o, s:f, s:f, s:i, s:i}", "model",
                              expect->model, "jobs", (json_int_t)expect->count,
                              "answered", (json_int_t)expect->answered, "duplicates",
                              (json_int_t)expect->duplicates, "accuracy", accuracy,
                              "jobs_per_s", expect_rate(expect), "batch_mean",
                              (double)expect->batch_sum / answered, "latency_p50_ms",
                              (int)expect_latency_ms(expect, 0.50), "latency_p99_ms",
                              (int)expect_latency_ms(expect, 0.99)));
    }
    json_t *summary = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:o}", "jobs", (json_int_t)collect->wanted, "answered",
        (json_int_t)collect->answered, "duplicates", (json_int_t)collect->duplicates,
        "unknown", (json_int_t)collect->unknown, "malformed",
        (json_int_t)collect->malformed, "models", models);
    json_dumpf(summary, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(summary);
}

/* The file appears when all are in; until then, what has come is kept for the next run.
 */
static enum status end_answers(struct collect *collect, struct error *err) {
    if (collect->answered == collect->wanted) {
        return answers_finish(collect->answers, err);
    }
    fprintf(stderr,
            "millrace collect: the answers so far are kept; the same command goes on "
            "with them\n");
    return save(collect, err);
}

static int run(int argc, char **argv) {
    struct sigaction action = {.sa_handler = note_signal};
    struct options options = {0};
    struct error err = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&collect_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (kafka_io_bootstrap(options.bootstrap) == NULL) {
        return kafka_io_no_bootstrap(&collect_cli);
    }
    if (strcmp(options.as, "job") != 0 && strcmp(options.as, "record") != 0) {
        return cli_misuse(&collect_cli, "--as %s: job or record is needed", options.as);
    }
    if (options.as[0] == 'r' && options.answers == NULL) {
        return cli_misuse(&collect_cli, "--as record: --answers FILE is needed");
    }
    if (options.expects.count == 0 && options.count == 0 && !options.follow) {
        return cli_misuse(&collect_cli, "--expect or --count is needed");
    }
    struct collect *collect = calloc(1, sizeof(*collect)); /* too large for the stack */
    if (collect == NULL) {
        (void)error_set(&err, STATUS_NO_MEMORY, "no memory");
        return cli_fail(&collect_cli, &err);
    }
    collect->options = &options;
    if (options.answers != NULL || options.follow) {
        (void)sigaction(SIGINT, &action, NULL); /* fails on misuse alone */
        (void)sigaction(SIGTERM, &action, NULL);
    }
    enum status status = open_all(collect, &err);
    if (status == STATUS_OK) {
        status = read_all(collect, &err);
    }
    bool complete = collect->answered == collect->wanted &&
                    (collect->duplicates == 0 || collect->answers != NULL);
    if (status == STATUS_OK && collect->answers != NULL) {
        status = end_answers(collect, &err);
    }
    if (status == STATUS_OK && options.json) {
        print_json(collect);
    } else if (status == STATUS_OK) {
        print_table(collect);
    }
    enum status closed = close_all(collect, &err);
    free(collect);
    if (status != STATUS_OK || closed != STATUS_OK) {
        return cli_fail(&collect_cli, &err);
    }
    return complete ? EXIT_FINE : EXIT_FAILED;
}
