/* submit_resume.c - how far sending has come, and how it goes on from there; see
 * submit_sender.h. */
#include <jansson.h>

#include "base/clock.h"
#include "tools/submit_sender.h"

static enum status flush(struct sender *s) {
    while (kafka_writer_pending(s->writer) > 0) {
        kafka_writer_poll(s->writer, SUBMIT_WAIT_MS);
    }
    return kafka_writer_check(s->writer, s->err);
}

enum status submit_save(struct sender *s) {
    json_t *progress;
    enum status status = flush(s);
    s->saved_us = clock_now_us();
    if (status != STATUS_OK || s->options->progress == NULL) {
        return status;
    }
    progress = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:I, s:I, s:I, s:I}", "input", s->identity,
        "topic", s->options->topic, "prefix", s->options->id_prefix, "as", s->options->as,
        "mapping", s->mapping.text, "first", (json_int_t)s->options->first, "no_header",
        s->options->no_header, "offset", (json_int_t)s->offset, "behind",
        (json_int_t)s->behind, "rows", (json_int_t)s->row, "bad", (json_int_t)s->bad);
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

enum status submit_take_up(struct sender *s) {
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
        json_is_true(json_object_get(progress, "no_header")) != s->options->no_header ||
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
