/* submit_rows.c - rows of a file as jobs or records on a topic; see submit.h.
 *
 * How far it has come is noted at moments when all that was sent is delivered, so a run
 * that is killed sends at most the rows of --save seconds again. */
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/size.h"
#include "codec/framing.h"
#include "codec/job.h"
#include "registry/registry.h"
#include "tools/kafka_io.h"
#include "tools/part_file.h"
#include "tools/progress.h"
#include "tools/row_mapping.h"
#include "tools/submit.h"

#define POLL_EVERY 256 /* rows between two looks at delivery reports */
#define WAIT_MS 50
#define REGISTER_PATIENCE_US INT64_C(30000000)

struct sender {
    const struct submit_options *options;
    struct rows_reader *reader;
    struct rows_chunk chunk;
    struct kafka_writer *writer;
    struct part_file progress;
    char identity[PART_FILE_IDENTITY_MAX];
    /* of jobs */
    struct model *model;
    struct row_mapping mapping;
    struct mapping_rows *mapping_rows;
    struct job job;
    struct rows_buffer tensors[JOB_INPUTS_MAX];
    /* of records */
    struct framing framing;
    struct rows_buffer message;
    int64_t row, bad, resumed; /* rows that were read; of them bad, or before this run */
    uint64_t offset;           /* of the file: all before it is sent, */
    int64_t behind;            /* and so many rows behind it */
    int64_t skip;              /* rows behind it that a run before has sent */
    int64_t started_us, saved_us;
    struct error *err;
};

static volatile sig_atomic_t signalled;

static void note_signal(int number) {
    (void)number;
    signalled = 1;
}

/* ---- what is sent -------------------------------------------------------------------
 */

static enum status send_message(struct sender *s, struct span id) {
    bool keyed = s->options->as[0] == 'r' || s->options->key[0] == 'i';
    return kafka_writer_send(s->writer, keyed ? id : span_of(NULL, 0),
                             span_of(s->message.data, s->message.size), s->err);
}

static enum status send_record(struct sender *s, struct span id, struct span record) {
    if (rows_buffer_reserve(&s->message, record.size + FRAMING_SIZE_MAX, s->err) !=
        STATUS_OK) {
        return s->err->status;
    }
    s->message.size =
        (size_t)(framing_write(s->message.data, &s->framing) - s->message.data);
    return rows_buffer_add(&s->message, record.data, record.size, s->err) == STATUS_OK
               ? send_message(s, id)
               : s->err->status;
}

/* One input's elements, as the model has them. */
static enum status fill(struct sender *s, int input, struct tensor *x) {
    const struct tensor *type = &model_input(s->model, input)->type;
    size_t count;
    int unused;
    *x = (struct tensor){.dtype = type->dtype, .rank = type->rank - 1};
    if (job_shape_check(&s->job.inputs[input], &type->dims[1], x->rank, x->dims, &unused,
                        s->err) != STATUS_OK) {
        return s->err->status;
    }
    if (!tensor_dims_count(x->dims, x->rank, &count)) {
        return error_set(s->err, STATUS_POISON, "the row is too large");
    }
    s->tensors[input].size = 0;
    if (rows_buffer_reserve(&s->tensors[input], size_max(tensor_size(x), 1), s->err) !=
        STATUS_OK) {
        return s->err->status;
    }
    x->data = s->tensors[input].data;
    return job_fill(&s->job.inputs[input], x->dtype, count, x->data, s->err);
}

static enum status send_job(struct sender *s, struct span id) {
    struct tensor inputs[JOB_INPUTS_MAX];
    struct span names[JOB_INPUTS_MAX], model = span_text(s->options->model);
    int count = s->job.input_count;
    for (int i = 0; i < count; i++) {
        names[i] = s->job.inputs[i].name;
        if (fill(s, i, &inputs[i]) != STATUS_OK) {
            return s->err->status;
        }
    }
    s->message.size = 0;
    if (rows_buffer_reserve(&s->message, job_size_max(id, model, names, inputs, count),
                            s->err) != STATUS_OK ||
        job_encode(id, model, names, inputs, count, s->message.data, s->message.room,
                   &s->message.size, s->err) != STATUS_OK) {
        return s->err->status;
    }
    return send_message(s, id);
}

/* Parses the row where it becomes a job; an open one is told how long it is. */
static enum status measure(struct sender *s, struct rows_row *row) {
    struct error damage;
    enum status status = STATUS_OK;
    size_t size = row->record.size;
    if (s->model != NULL && !row->open) {
        return mapping_parse(s->mapping.mapping, s->mapping_rows, row->record, &s->job,
                             s->err);
    }
    if (s->model != NULL) {
        status = mapping_parse_next(s->mapping.mapping, s->mapping_rows, row->record,
                                    &s->job, &size, s->err);
    }
    if (row->open && (s->model == NULL || status == STATUS_POISON) &&
        rows_measure(s->reader, row->record, &size, &damage) != STATUS_OK) {
        *s->err = damage;
        return STATUS_INVALID;
    }
    if (row->open) {
        row->record.size = size;
        rows_took(&s->chunk, size);
    }
    return status;
}

static enum status send_row(struct sender *s, struct rows_row *row) {
    char id[JOB_ID_SIZE_MAX + 1];
    size_t size =
        submit_id(s->options->id_prefix, s->options->first + s->row, id, sizeof(id));
    enum status status;
    if (size == 0) {
        return error_set(s->err, STATUS_INVALID, "--id-prefix: ids have %d bytes at most",
                         JOB_ID_SIZE_MAX);
    }
    status = row->bad != NULL ? error_set(s->err, STATUS_POISON, "%.200s", row->bad)
                              : measure(s, row);
    if (status == STATUS_OK) {
        status = s->model == NULL ? send_record(s, span_of(id, size), row->record)
                                  : send_job(s, span_of(id, size));
    }
    s->row++;
    if (status != STATUS_POISON) {
        return status;
    }
    s->bad++;
    return s->options->skip_bad ? STATUS_OK
                                : error_prefix(s->err, "%s: row %lld", s->options->rows,
                                               (long long)s->row);
}

/* ---- how far it has come ------------------------------------------------------------
 */

static enum status flush(struct sender *s) {
    while (kafka_writer_pending(s->writer) > 0) {
        kafka_writer_poll(s->writer, WAIT_MS);
    }
    return kafka_writer_check(s->writer, s->err);
}

static enum status save(struct sender *s) {
    json_t *progress;
    enum status status = flush(s);
    s->saved_us = clock_now_us();
    if (status != STATUS_OK || s->options->progress == NULL) {
        return status;
    }
    progress = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "input",
                         s->identity, "topic", s->options->topic, "prefix",
                         s->options->id_prefix, "as", s->options->as, "mapping",
                         s->mapping.text, "first", (json_int_t)s->options->first,
                         "offset", (json_int_t)s->offset, "behind", (json_int_t)s->behind,
                         "rows", (json_int_t)s->row, "bad", (json_int_t)s->bad);
    status = progress == NULL ? error_set(s->err, STATUS_NO_MEMORY, "no memory")
                              : part_file_save(&s->progress, progress, s->err);
    json_decref(progress);
    return status;
}

static bool says(const json_t *progress, const char *name, const char *text) {
    const char *said = json_string_value(json_object_get(progress, name));
    return said != NULL && strcmp(said, text) == 0;
}

/* A file that grows is the same as long as it has not become shorter. */
static bool same_input(const struct sender *s, const json_t *progress,
                       json_int_t offset) {
    return s->options->follow
               ? offset >= 0 && (uint64_t)offset <= rows_reader_size(s->reader)
               : says(progress, "input", s->identity);
}

static enum status take_up(struct sender *s) {
    json_t *progress;
    json_int_t offset;
    if (s->options->progress == NULL) {
        return STATUS_OK;
    }
    if (part_file_init_progress(&s->progress, s->options->progress, s->err) !=
            STATUS_OK ||
        part_file_identity(s->options->rows, s->identity, s->err) != STATUS_OK) {
        return s->err->status;
    }
    progress = part_file_progress(&s->progress);
    if (progress == NULL) {
        return STATUS_OK;
    }
    offset = json_integer_value(json_object_get(progress, "offset"));
    if (!same_input(s, progress, offset) || !says(progress, "topic", s->options->topic) ||
        !says(progress, "prefix", s->options->id_prefix) ||
        !says(progress, "as", s->options->as) ||
        !says(progress, "mapping", s->mapping.text) ||
        json_integer_value(json_object_get(progress, "first")) != s->options->first) {
        json_decref(progress);
        return error_set(
            s->err, STATUS_INVALID,
            "%s is of another file, topic or choice of columns: remove it to "
            "send all rows, again",
            s->options->progress);
    }
    s->offset = (uint64_t)offset;
    s->skip = json_integer_value(json_object_get(progress, "behind"));
    s->row = json_integer_value(json_object_get(progress, "rows"));
    s->bad = json_integer_value(json_object_get(progress, "bad"));
    s->resumed = s->row;
    rows_reader_seek(s->reader, s->offset);
    fprintf(stderr, "millrace submit: goes on behind row %lld\n", (long long)s->row);
    json_decref(progress);
    return STATUS_OK;
}

/* ---- opening ------------------------------------------------------------------------
 */

static enum status open_registry(struct sender *s) {
    const struct registry_opts opts = {.http = {.urls = s->options->registry}};
    char subject[REGISTRY_SUBJECT_SIZE_MAX];
    struct registry *registry = NULL;
    int64_t deadline_us = clock_now_us() + REGISTER_PATIENCE_US;
    char *json =
        json_dumps(avro_schema_json(rows_reader_schema(s->reader)), JSON_COMPACT);
    enum status status = json == NULL ? error_set(s->err, STATUS_NO_MEMORY, "no memory")
                                      : registry_create(&opts, &registry, s->err);
    (void)snprintf(subject, sizeof(subject), "%s%s",
                   s->options->subject == NULL ? s->options->topic : s->options->subject,
                   s->options->subject == NULL ? "-value" : "");
    while (status == STATUS_OK) {
        status = registry_register(registry, subject, json, NULL, &s->framing.id, s->err);
        if (status != STATUS_AGAIN || clock_now_us() >= deadline_us || signalled) {
            break;
        }
        status = STATUS_OK;
        kafka_writer_poll(s->writer, WAIT_MS); /* a pause */
    }
    registry_destroy(registry);
    free(json);
    return status;
}

static enum status open_jobs(struct sender *s) {
    struct row_mapping_opts opts = {.maps = &s->options->maps,
                                    .ignored = &s->options->ignored,
                                    .types = &s->options->types,
                                    .reader = s->reader,
                                    .needed_only = true};
    enum status status = model_open(s->options->model_file, &s->model, s->err);
    for (int i = 0; status == STATUS_OK && i < model_input_count(s->model); i++) {
        if (model_input(s->model, i)->type.rank < 1) {
            status = error_set(s->err, STATUS_UNSUPPORTED,
                               "%s: input '%s' has no dimension for the batch",
                               s->options->model_file, model_input(s->model, i)->name);
        }
    }
    if (status != STATUS_OK) {
        return status;
    }
    opts.model = s->model;
    status = row_mapping_create(&opts, &s->mapping, s->err);
    if (status != STATUS_OK) {
        return status;
    }
    fprintf(stderr, "%s\n", s->mapping.text);
    s->mapping_rows = mapping_rows_create(s->mapping.mapping);
    return s->mapping_rows == NULL ? error_set(s->err, STATUS_NO_MEMORY, "no memory")
                                   : STATUS_OK;
}

static enum status open_records(struct sender *s) {
    enum status status = row_mapping_types(s->reader, &s->options->types, s->err);
    return status == STATUS_OK ? rows_reader_bind(s->reader, s->err) : status;
}

static enum status open_all(struct sender *s) {
    const struct submit_options *o = s->options;
    const struct kafka_io_opts kafka = {.bootstrap = kafka_io_bootstrap(o->bootstrap),
                                        .properties = &o->properties,
                                        .wait_s = o->wait_s};
    struct rows_reader_opts rows = {.path = o->rows, .growing = o->follow};
    enum status status;
    rows.format = o->from == NULL ? rows_format_of(o->rows) : rows_format_parse(o->from);
    if (rows.format == ROWS_FORMAT_COUNT) {
        return error_set(s->err, STATUS_INVALID,
                         "%s: --from FORMAT is needed, and one of " ROWS_FORMATS_TEXT,
                         o->rows);
    }
    if (o->follow && rows.format != ROWS_CSV && rows.format != ROWS_JSONL) {
        return error_set(s->err, STATUS_INVALID,
                         "--follow: only CSV and JSON lines can grow row by row");
    }
    status = rows_reader_open(&rows, &s->reader, s->err);
    if (status == STATUS_OK) {
        status = o->as[0] == 'j' ? open_jobs(s) : open_records(s);
    }
    s->offset = status == STATUS_OK ? rows_reader_offset(s->reader) : 0;
    if (status == STATUS_OK) {
        status = take_up(s);
    }
    if (status == STATUS_OK) {
        status = kafka_writer_open(&kafka, o->topic, &s->writer, s->err);
    }
    s->framing.kind = o->registry == NULL ? FRAMING_BARE : FRAMING_CONFLUENT;
    return status == STATUS_OK && o->registry != NULL ? open_registry(s) : status;
}

static void close_all(struct sender *s) {
    kafka_writer_close(s->writer);
    mapping_rows_destroy(s->mapping_rows);
    row_mapping_release(&s->mapping);
    if (s->model != NULL) {
        model_close(s->model);
    }
    rows_reader_close(s->reader);
    rows_chunk_release(&s->chunk);
    rows_buffer_release(&s->message);
    for (int i = 0; i < JOB_INPUTS_MAX; i++) {
        rows_buffer_release(&s->tensors[i]);
    }
    part_file_close(&s->progress);
}

/* ---- sending ------------------------------------------------------------------------
 */

/* Serves delivery reports until the row is due at the wanted rate. */
static void pace(struct sender *s) {
    int64_t sent = s->row - s->resumed;
    if (s->options->rate <= 0.0) {
        if (sent % POLL_EVERY == 0) {
            kafka_writer_poll(s->writer, 0);
        }
        return;
    }
    int64_t due_us = s->started_us + (int64_t)((double)sent / s->options->rate * 1e6);
    for (int64_t wait_us = due_us - clock_now_us(); wait_us > 0 && !signalled;
         wait_us = due_us - clock_now_us()) {
        kafka_writer_poll(s->writer, (int)(wait_us / 1000) + 1);
    }
}

/* A row that a run before has sent. */
static enum status pass_over(struct sender *s, const struct rows_row *row) {
    size_t size = 0;
    s->skip--;
    s->behind++;
    if (!row->open) {
        return STATUS_OK;
    }
    if (rows_measure(s->reader, row->record, &size, s->err) != STATUS_OK) {
        return s->err->status;
    }
    rows_took(&s->chunk, size);
    return STATUS_OK;
}

static void show(struct sender *s, struct progress *progress) {
    double share = (double)s->chunk.end / (double)rows_reader_size(s->reader);
    progress->total = (int64_t)((double)s->row / share) - s->resumed;
    progress_update(progress, kafka_writer_delivered(s->writer));
}

static enum status send_chunk(struct sender *s, struct progress *progress) {
    struct rows_row row;
    enum status status = rows_decode(s->reader, &s->chunk, s->err);
    s->offset = s->chunk.begin;
    s->behind = 0;
    while (status == STATUS_OK && !signalled && rows_next(s->reader, &s->chunk, &row)) {
        if (s->skip > 0) {
            status = pass_over(s, &row);
            continue;
        }
        pace(s);
        status = send_row(s, &row);
        s->behind++;
        if (status == STATUS_OK && (s->row % POLL_EVERY == 0 || s->options->rate > 0.0)) {
            show(s, progress);
            if ((double)(clock_now_us() - s->saved_us) >= s->options->save_s * 1e6) {
                status = save(s);
            }
        }
    }
    if (status == STATUS_OK && !signalled) {
        s->offset = s->chunk.end;
        s->behind = 0;
    }
    return status;
}

/* Nothing more to read: is that the end?  Waits a little where it is not. */
static bool is_end(struct sender *s, int64_t last_us) {
    double idle_s = (double)(clock_now_us() - last_us) / 1e6;
    if (!s->options->follow || signalled ||
        (s->options->timeout_s > 0.0 && idle_s >= s->options->timeout_s)) {
        return true;
    }
    kafka_writer_poll(s->writer, WAIT_MS);
    return false;
}

static enum status send_all(struct sender *s) {
    struct progress progress;
    int64_t last_us = clock_now_us();
    enum status status = STATUS_OK;
    s->started_us = s->saved_us = last_us;
    progress_start(&progress, "submit", "rows", 0);
    while (status == STATUS_OK && !signalled) {
        status = rows_reader_read(s->reader, &s->chunk, s->err);
        if (status != STATUS_OK) {
            break;
        }
        if (s->chunk.begin == s->chunk.end) {
            if (is_end(s, last_us)) {
                break;
            }
        } else {
            status = send_chunk(s, &progress);
            last_us = clock_now_us();
        }
    }
    progress_end(&progress);
    return status == STATUS_OK ? save(s) : status;
}

static void report(const struct sender *s, double seconds) {
    const struct submit_options *o = s->options;
    int64_t delivered = s->writer == NULL ? 0 : kafka_writer_delivered(s->writer);
    double rate = seconds > 0.0 ? (double)delivered / seconds : 0.0;
    if (o->json) {
        printf("{\"rows\":%lld,\"delivered\":%lld,\"bad\":%lld,\"resumed\":%lld,"
               "\"seconds\":%.3f,\"jobs_per_s\":%.1f}\n",
               (long long)s->row, (long long)delivered, (long long)s->bad,
               (long long)s->resumed, seconds, rate);
        return;
    }
    printf("%lld rows delivered to %s in %.2f s (%.0f rows/s)", (long long)delivered,
           o->topic, seconds, rate);
    if (s->bad > 0) {
        printf("; %lld bad ones left out", (long long)s->bad);
    }
    if (s->resumed > 0) {
        printf("; %lld were before", (long long)s->resumed);
    }
    putchar('\n');
}

int submit_rows(const struct cli_command *command, const struct submit_options *options) {
    struct sigaction action = {.sa_handler = note_signal};
    struct error err = {0};
    struct sender *s = calloc(1, sizeof(*s)); /* too large for the stack */
    enum status status;
    if (s == NULL) {
        (void)error_set(&err, STATUS_NO_MEMORY, "no memory");
        return cli_fail(command, &err);
    }
    s->options = options;
    s->err = &err;
    s->progress.fd = -1;
    (void)sigaction(SIGINT, &action, NULL); /* fails on misuse alone */
    (void)sigaction(SIGTERM, &action, NULL);
    status = open_all(s);
    if (status == STATUS_OK) {
        status = send_all(s);
        report(s, (double)(clock_now_us() - s->started_us) / 1e6);
    }
    bool stopped = signalled && !options->follow;
    close_all(s);
    free(s);
    if (status != STATUS_OK) {
        return cli_fail(command, &err);
    }
    if (stopped) {
        fprintf(stderr, "millrace submit: stopped before the file's end\n");
    }
    return stopped ? EXIT_FAILED : EXIT_FINE;
}
