/* submit.c - millrace submit: rows of .npy files as jobs on a topic.
 *
 * A job's id is the prefix and the job's number; the number modulo the file's rows is
 * the row, so that an answer can be held against its label (millrace collect). */
#include <assert.h>

#include "base/clock.h"
#include "codec/job.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/kafka_io.h"
#include "tools/npy.h"
#include "tools/progress.h"
#include "tools/submit.h"

#define POLL_EVERY 256 /* jobs between two looks at delivery reports */
#define WAIT_MS 100

static const struct cli_flag flags[] = {
    {.name = "--bootstrap",
     .argument = "HOST:PORT,...",
     .help = "brokers; MILLRACE_KAFKA_BOOTSTRAP_SERVERS if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, bootstrap)},
    {.name = "--topic",
     .argument = "TOPIC",
     .help = "where the jobs go",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, topic),
     .required = true},
    {.name = "--model",
     .argument = "NAME",
     .help = "the model that the jobs name; the route's own if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, model)},
    {.name = "--input",
     .argument = "NAME=FILE.npy",
     .help = "an input of the model, a job for each row; an empty NAME\n"
             "stands for the only input",
     .type = CLI_LIST,
     .offset = offsetof(struct submit_options, inputs)},
    {.name = "--rows",
     .argument = "FILE",
     .help = "instead of --input: a job or record for each row of an Avro\n"
             "container, CSV, JSON lines or .npy; -: of standard input, CSV",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, rows)},
    {.name = "--as",
     .argument = "job|record",
     .help = "what rows are sent as: jobs, or Avro records of all columns",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, as),
     .initial = "job"},
    {.name = "--model-file",
     .argument = "MODEL.onnx",
     .help = "whose inputs the jobs of --rows have",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, model_file)},
    MODEL_FLAGS(struct submit_options, how),
    {.name = "--map",
     .argument = "INPUT=COLUMN,...",
     .help = "columns that make an input, as in millrace score",
     .type = CLI_LIST,
     .offset = offsetof(struct submit_options, maps)},
    {.name = "--ignore",
     .argument = "COLUMN",
     .help = "a column that is no input, though it holds numbers",
     .type = CLI_LIST,
     .offset = offsetof(struct submit_options, ignored)},
    {.name = "--type",
     .argument = "COLUMN=TYPE",
     .help = "of a CSV column: long, double, boolean or string",
     .type = CLI_LIST,
     .offset = offsetof(struct submit_options, types)},
    {.name = "--from",
     .argument = ROWS_FORMATS,
     .help = "of --rows; its name tells if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, from)},
    REGISTRY_FLAGS(struct submit_options, registry,
                   "records are framed for a schema registry, which is given their\n"
                   "schema; without it they are bare"),
    {.name = "--subject",
     .argument = "NAME",
     .help = "of that schema; TOPIC-value if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, subject)},
    {.name = "--schema-out",
     .argument = "FILE",
     .help = "write the records' schema there, for the route's record.schema,\n"
             "before brokers are asked for",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, schema_out)},
    {.name = "--delimiter",
     .argument = "CHARACTER",
     .help = "between the columns of CSV, \\t for a tab; a comma, or a tab in .tsv",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, delimiter)},
    {.name = "--no-header",
     .help = "the first line of CSV is a row: its columns are called 1, 2, ...",
     .type = CLI_SWITCH,
     .offset = offsetof(struct submit_options, no_header)},
    {.name = "--skip-bad",
     .help = "go on without rows that cannot be read, and count them",
     .type = CLI_SWITCH,
     .offset = offsetof(struct submit_options, skip_bad)},
    {.name = "--progress",
     .argument = "FILE",
     .help = "keep there which rows are delivered, and go on behind them when\n"
             "started again; the same rows have the same ids",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, progress)},
    {.name = "--save",
     .argument = "S",
     .help = "seconds between two notes in --progress",
     .type = CLI_REAL,
     .offset = offsetof(struct submit_options, save_s),
     .initial = "2",
     .min = 0,
     .max = 86400},
    {.name = "--follow",
     .help = "wait for more rows at the file's end, until SIGTERM",
     .type = CLI_SWITCH,
     .offset = offsetof(struct submit_options, follow)},
    {.name = "--timeout",
     .argument = "S",
     .help = "of --follow: end when no row came for so many seconds; 0: never",
     .type = CLI_REAL,
     .offset = offsetof(struct submit_options, timeout_s),
     .initial = "0",
     .min = 0,
     .max = 1e6},
    {.name = "--count",
     .argument = "N",
     .help = "jobs to send, the rows over and over; 0: each row once",
     .type = CLI_INT,
     .offset = offsetof(struct submit_options, count),
     .initial = "0",
     .min = 0,
     .max = 1e12},
    {.name = "--first",
     .argument = "N",
     .help = "number of the first job",
     .type = CLI_INT,
     .offset = offsetof(struct submit_options, first),
     .initial = "0",
     .min = 0,
     .max = 1e12},
    {.name = "--id-prefix",
     .argument = "TEXT",
     .help = "what ids start with, ahead of the job's number",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, id_prefix),
     .initial = "job-"},
    {.name = "--key",
     .argument = "none|id",
     .help = "the records' key: none spreads batches over the partitions,\n"
             "id spreads jobs",
     .type = CLI_TEXT,
     .offset = offsetof(struct submit_options, key),
     .initial = "none"},
    {.name = "--rate",
     .argument = "R",
     .help = "jobs per second; 0: as fast as they go",
     .type = CLI_REAL,
     .offset = offsetof(struct submit_options, rate),
     .initial = "0",
     .min = 0,
     .max = 1e9},
    {.name = "--wait",
     .argument = "S",
     .help = "seconds to wait for the brokers and the topic",
     .type = CLI_INT,
     .offset = offsetof(struct submit_options, wait_s),
     .initial = "30",
     .min = 0,
     .max = 86400},
    {.name = "-X",
     .argument = "NAME=VALUE",
     .help = "a property of librdkafka",
     .type = CLI_LIST,
     .offset = offsetof(struct submit_options, properties)},
    {.name = "--json",
     .help = "the summary as JSON",
     .type = CLI_SWITCH,
     .offset = offsetof(struct submit_options, json)},
};

static int run(int argc, char **argv);

const struct cli_command submit_cli = {
    .name = "submit",
    .operands = "",
    .summary = "Sends rows of files as inference jobs and waits for their delivery.",
    .details =
        "Job K takes row K modulo the number of rows, and its id is the prefix and K\n"
        "with at least six digits: digits-000123. --input reads .npy files whole and\n"
        "may repeat them; --rows reads a file of any size once, its rows numbered from\n"
        "--first on. Records have their id as the Kafka key.\n"
        "With --progress a run that was killed goes on: every row is sent at least\n"
        "once, the last seconds' perhaps twice, under the same id; collect keeps the\n"
        "first answer of each.",
    .operands_min = 0,
    .operands_max = 0,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* What the jobs are made of. */
struct source {
    struct span names[JOB_INPUTS_MAX];
    struct npy_array arrays[JOB_INPUTS_MAX];
    int count;
    int64_t rows;
    uint8_t *message; /* owned; room for the largest job so far */
    size_t room;
};

static enum status source_add(struct source *source, const char *argument,
                              struct error *err) {
    const char *equals = strchr(argument, '=');
    assert(equals != NULL); /* cli_parse has seen to it */
    if (source->count == JOB_INPUTS_MAX) {
        return error_set(err, STATUS_INVALID, "a job has %d inputs at most",
                         JOB_INPUTS_MAX);
    }
    struct npy_array *array = &source->arrays[source->count];
    source->names[source->count] = span_of(argument, (size_t)(equals - argument));
    enum status status = npy_read(equals + 1, array, err);
    if (status != STATUS_OK) {
        return status;
    }
    source->count++;
    if (array->tensor.rank == 0 || array->tensor.dims[0] == 0) {
        return error_set(err, STATUS_INVALID, "%s: it has no rows", equals + 1);
    }
    if (source->count > 1 && array->tensor.dims[0] != source->rows) {
        return error_set(err, STATUS_INVALID, "%s: it has %lld rows, the first file %lld",
                         equals + 1, (long long)array->tensor.dims[0],
                         (long long)source->rows);
    }
    source->rows = array->tensor.dims[0];
    return STATUS_OK;
}

/* Row `row` of an array, without its first dimension. */
static struct tensor row_of(const struct npy_array *array, int64_t row) {
    struct tensor x = array->tensor;
    x.rank--;
    memmove(x.dims, x.dims + 1, (size_t)x.rank * sizeof(x.dims[0]));
    x.data = (uint8_t *)array->elements + (size_t)row * tensor_size(&x);
    return x;
}

static enum status source_open(struct source *source,
                               const struct submit_options *options, struct error *err) {
    enum status status = STATUS_OK;
    for (int i = 0; i < options->inputs.count && status == STATUS_OK; i++) {
        status = source_add(source, options->inputs.items[i], err);
    }
    return status;
}

static void source_release(struct source *source) {
    for (int i = 0; i < source->count; i++) {
        npy_release(&source->arrays[i]);
    }
    free(source->message);
    *source = (struct source){.count = 0};
}

/* Sees to it that `message` has room for `size` bytes. */
static enum status make_room(struct source *source, size_t size, struct error *err) {
    if (size <= source->room) {
        return STATUS_OK;
    }
    uint8_t *grown = realloc(source->message, size);
    if (grown == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a job of %zu bytes", size);
    }
    source->message = grown;
    source->room = size;
    return STATUS_OK;
}

size_t submit_id(const char *prefix, int64_t number, char *id, size_t size) {
    int used = snprintf(id, size, "%s%06lld", prefix, (long long)number);
    return used < 0 || (size_t)used >= size ? 0 : (size_t)used;
}

static enum status send_job(struct kafka_writer *writer, struct source *source,
                            const struct submit_options *options, int64_t number,
                            struct error *err) {
    struct tensor inputs[JOB_INPUTS_MAX];
    char id[JOB_ID_SIZE_MAX + 1];
    size_t size = 0;
    size_t used = submit_id(options->id_prefix, number, id, sizeof(id));
    if (used == 0) {
        return error_set(err, STATUS_INVALID, "--id-prefix: ids have %d bytes at most",
                         JOB_ID_SIZE_MAX);
    }
    struct span name = span_of(id, used);
    struct span key = options->key[0] == 'i' ? name : span_of(NULL, 0);
    for (int i = 0; i < source->count; i++) {
        inputs[i] = row_of(&source->arrays[i], number % source->rows);
    }
    struct span model = span_text(options->model);
    enum status status = make_room(
        source, job_size_max(name, model, source->names, inputs, source->count), err);
    if (status == STATUS_OK) {
        status = job_encode(name, model, source->names, inputs, source->count,
                            source->message, source->room, &size, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    return kafka_writer_send(writer, key, span_of(source->message, size), err);
}

/* Serves delivery reports until job `index` is due at the wanted rate. */
static void pace(struct kafka_writer *writer, double rate, int64_t index,
                 int64_t start_us) {
    if (rate <= 0.0) {
        if (index % POLL_EVERY == 0) {
            kafka_writer_poll(writer, 0);
        }
        return;
    }
    int64_t due_us = start_us + (int64_t)((double)index / rate * 1e6);
    int64_t wait_us = due_us - clock_now_us();
    while (wait_us > 0) {
        kafka_writer_poll(writer, (int)(wait_us / 1000) + 1);
        wait_us = due_us - clock_now_us();
    }
}

static enum status send_all(struct kafka_writer *writer, struct source *source,
                            const struct submit_options *options, int64_t count,
                            struct error *err) {
    struct progress progress;
    int64_t start_us = clock_now_us();
    enum status status = STATUS_OK;
    progress_start(&progress, "submit", "jobs", count);
    for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
        pace(writer, options->rate, i, start_us);
        status = send_job(writer, source, options, options->first + i, err);
        if (options->rate > 0.0 || i % POLL_EVERY == 0) {
            progress_update(&progress, kafka_writer_delivered(writer));
        }
    }
    /* Ends by itself: librdkafka gives every record up after message.timeout.ms. */
    while (status == STATUS_OK && kafka_writer_pending(writer) > 0) {
        kafka_writer_poll(writer, WAIT_MS);
        progress_update(&progress, kafka_writer_delivered(writer));
    }
    progress_end(&progress);
    return status == STATUS_OK ? kafka_writer_check(writer, err) : status;
}

static void report(const struct submit_options *options, int64_t delivered,
                   double seconds) {
    double rate = seconds > 0.0 ? (double)delivered / seconds : 0.0;
    if (options->json) {
        printf("{\"delivered\":%lld,\"seconds\":%.3f,\"jobs_per_s\":%.1f}\n",
               (long long)delivered, seconds, rate);
    } else {
        printf("%lld jobs delivered to %s in %.2f s (%.0f jobs/s)\n",
               (long long)delivered, options->topic, seconds, rate);
    }
}

static enum status submit(const struct submit_options *options, struct source *source,
                          struct kafka_writer **writer, struct error *err) {
    struct kafka_io_opts kafka = {.bootstrap = kafka_io_bootstrap(options->bootstrap),
                                  .properties = &options->properties,
                                  .wait_s = options->wait_s};
    enum status status = source_open(source, options, err);
    if (status == STATUS_OK) {
        status = kafka_writer_open(&kafka, options->topic, writer, err);
    }
    if (status == STATUS_OK) {
        int64_t start_us = clock_now_us();
        int64_t count = options->count > 0 ? options->count : source->rows;
        status = send_all(*writer, source, options, count, err);
        report(options, kafka_writer_delivered(*writer),
               (double)(clock_now_us() - start_us) / 1e6);
    }
    return status;
}

static int run(int argc, char **argv) {
    struct submit_options options = {0};
    struct source source = {.count = 0};
    struct kafka_writer *writer = NULL;
    struct error err = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&submit_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (kafka_io_bootstrap(options.bootstrap) == NULL) {
        return kafka_io_no_bootstrap(&submit_cli);
    }
    if ((options.inputs.count == 0) == (options.rows == NULL)) {
        return cli_misuse(&submit_cli, "--input or --rows is needed, and not both");
    }
    if (options.rows == NULL &&
        (options.as[0] == 'r' || options.follow || options.progress != NULL ||
         options.no_header || options.delimiter != NULL)) {
        return cli_misuse(&submit_cli,
                          "--as record, --follow, --progress, --delimiter and "
                          "--no-header are of --rows, not of --input");
    }
    if (options.rows != NULL && options.as[0] == 'j' && options.model_file == NULL) {
        return cli_misuse(&submit_cli,
                          "--model-file MODEL.onnx is needed to make jobs of "
                          "rows; --as record sends them as they are");
    }
    if (options.schema_out != NULL && options.as[0] != 'r') {
        return cli_misuse(&submit_cli, "--schema-out: it is of --as record");
    }
    options.model = options.model == NULL ? "" : options.model;
    if (options.rows != NULL && rows_is_stream(options.rows) &&
        (options.follow || options.progress != NULL)) {
        return cli_misuse(&submit_cli,
                          "--rows -: standard input is read once and to its end; "
                          "--follow and --progress need a file");
    }
    if (options.rows != NULL) {
        return submit_rows(&submit_cli, &options);
    }
    enum status status = submit(&options, &source, &writer, &err);
    kafka_writer_close(writer);
    source_release(&source);
    return status == STATUS_OK ? EXIT_FINE : cli_fail(&submit_cli, &err);
}
