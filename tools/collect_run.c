/* collect_run.c - see collect_run.h. */
#include "tools/collect_run.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>

#include "base/clock.h"
#include "tools/progress.h"
#include "tools/result_json.h"

#define POLL_MS 100
#define ARENA_SIZE_MAX ((size_t)256 << 20) /* bytes of one result's outputs */

static volatile sig_atomic_t signalled;

void collect_stop(void) {
    signalled = 1;
}

static enum status open_expects(struct collect *collect, struct error *err) {
    const struct collect_options *options = collect->options;
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
    const struct collect_options *options = collect->options;
    json_t *state;
    collect->answers_opts = (struct answers_opts){.path = options->answers,
                                                  .to = options->to,
                                                  .codec = options->codec,
                                                  .records = options->as[0] == 'r',
                                                  .registry = &options->registry,
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

enum status collect_open(struct collect *collect, struct error *err) {
    const struct collect_options *options = collect->options;
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

enum status collect_close(struct collect *collect, struct error *err) {
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

enum status collect_read(struct collect *collect, struct error *err) {
    const struct collect_options *options = collect->options;
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

enum status collect_end(struct collect *collect, struct error *err) {
    if (collect->answered == collect->wanted) {
        return answers_finish(collect->answers, err);
    }
    fprintf(stderr,
            "millrace collect: the answers so far are kept; the same command goes on "
            "with them\n");
    return save(collect, err);
}
