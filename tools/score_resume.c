/* score_resume.c - how millrace score goes on where a run before was stopped. */

#include "app/digest.h"
#include "base/clock.h"
#include "tools/score_run.h"

json_t *score_setup(const struct score_plan *plan, struct error *err) {
    const struct score_opts *opts = plan->opts;
    char input[PART_FILE_IDENTITY_MAX], model[DIGEST_TEXT_SIZE];
    char route[DIGEST_TEXT_SIZE] = "";
    uint8_t digest[DIGEST_SIZE];
    struct span schema = record_out_json(plan->out);
    if (part_file_identity(opts->input, input, err) != STATUS_OK ||
        digest_file(opts->model, digest, err) != STATUS_OK) {
        return NULL;
    }
    digest_text(digest, model);
    if (opts->mapping != NULL) {
        if (digest_file(opts->mapping, digest, err) != STATUS_OK) {
            return NULL;
        }
        digest_text(digest, route);
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s%, s:s, s:s, s:s, s:b, s:b, s:b, s:b}",
                     "input", input, "route", route, "model", model, "mapping",
                     plan->mapping.text, "schema", (const char *)schema.data,
                     (size_t)schema.size, "from", rows_format_name(plan->from), "to",
                     rows_format_name(plan->to), "codec", rows_codec_name(plan->codec),
                     "raw", plan->raw, "no_header", plan->opts->no_header,
                     "missing_refused", opts->missing_refused, "errors",
                     opts->on_error[0] != 0 && strcmp(opts->on_error, "fail") != 0 &&
                         strcmp(opts->on_error, "skip") != 0);
}

static int64_t number_of(const json_t *object, const char *name) {
    return (int64_t)json_integer_value(json_object_get(object, name));
}

/* The sync marker of the container that is there: 32 digits. */
static bool take_sync(struct score_plan *plan, const char *text) {
    if (text == NULL || strlen(text) != 2 * ROWS_SYNC_SIZE) {
        return false;
    }
    for (size_t i = 0; i < ROWS_SYNC_SIZE; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        plan->sync[i] = (uint8_t)byte;
    }
    return true;
}

static void put_sync(const struct score_plan *plan, char text[2 * ROWS_SYNC_SIZE + 1]) {
    for (size_t i = 0; i < ROWS_SYNC_SIZE; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", plan->sync[i]);
    }
}

void score_take_up(struct score_runner *run, uint64_t keep[2]) {
    json_t *progress = run->plan->goes_on ? part_file_progress(&run->output) : NULL;
    struct score_result *result = run->result;
    keep[0] = keep[1] = 0;
    if (progress == NULL) {
        return;
    }
    if (run->plan->opts->restart) {
        fprintf(stderr, "millrace score: begun anew, as was asked for\n");
    } else if (json_equal(json_object_get(progress, "setup"), run->setup) == 0 ||
               !take_sync(run->plan,
                          json_string_value(json_object_get(progress, "sync")))) {
        fprintf(stderr, "millrace score: what a run before has left is of another input, "
                        "model or choice of columns: begun anew\n");
    } else {
        keep[0] = (uint64_t)number_of(progress, "written");
        keep[1] = (uint64_t)number_of(progress, "errors_written");
        run->offset = (uint64_t)number_of(progress, "offset");
        result->rows = number_of(progress, "rows");
        result->good = number_of(progress, "good");
        result->bad = number_of(progress, "bad");
        result->resumed = result->rows;
        rows_reader_seek(run->plan->reader, run->offset);
        fprintf(stderr, "millrace score: goes on behind row %lld\n",
                (long long)result->rows);
    }
    json_decref(progress);
}

enum status score_save(struct score_runner *run) {
    char sync[2 * ROWS_SYNC_SIZE + 1];
    json_t *progress;
    enum status status;
    if (!run->plan->goes_on) {
        run->saved_us = clock_now_us();
        return STATUS_OK;
    }
    put_sync(run->plan, sync);
    progress = json_pack(
        "{s:O, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "setup", run->setup, "sync", sync,
        "offset", (json_int_t)run->offset, "rows", (json_int_t)run->result->rows, "good",
        (json_int_t)run->result->good, "bad", (json_int_t)run->result->bad, "written",
        (json_int_t)run->output.size, "errors_written",
        (json_int_t)(run->has_errors ? run->errors.size : 0));
    if (progress == NULL) {
        return error_set(&run->err, STATUS_NO_MEMORY, "no memory for progress");
    }
    status = part_file_sync(&run->output, &run->err);
    if (status == STATUS_OK && run->has_errors) {
        status = part_file_sync(&run->errors, &run->err);
    }
    if (status == STATUS_OK) {
        status = part_file_save(&run->output, progress, &run->err);
    }
    json_decref(progress);
    run->saved_us = clock_now_us();
    return status;
}
