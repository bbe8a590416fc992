/* rows_jsonl.c - JSON lines: an object on each line.
 *
 * Types are those that the first ROWS_SAMPLE_MAX lines show.  A member that only later
 * lines have stays in the text, but is no field of the records. */
#include <jansson.h>

#include "base/size.h"
#include "codec/writer.h"
#include "tools/rows_impl.h"

static size_t last_row(const struct rows_reader *reader, struct span text) {
    (void)reader;
    return rows_text_last_line(text);
}

/* The next line that is not blank, trimmed; false behind the last. */
static bool next_line(struct span *left, struct span *line) {
    while (left->size > 0) {
        const uint8_t *end = memchr(left->data, '\n', left->size);
        size_t size = end == NULL ? left->size : (size_t)(end - left->data);
        *line = span_of(left->data, size);
        size += end != NULL;
        *left = span_of(left->data + size, left->size - size);
        while (line->size > 0 && strchr(" \t\r", line->data[line->size - 1]) != NULL &&
               line->data[line->size - 1] != 0) {
            line->size--;
        }
        while (line->size > 0 && (*line->data == ' ' || *line->data == '\t')) {
            *line = span_of(line->data + 1, line->size - 1);
        }
        if (line->size > 0) {
            return true;
        }
    }
    return false;
}

/* jansson's own texts quote what they meet, which may be a value. */
static json_t *parse(struct span line, char *bad) {
    json_error_t why;
    json_t *row = json_loadb((const char *)line.data, line.size,
                             JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (row == NULL) {
        (void)snprintf(bad, ROWS_BAD_TEXT_MAX, "it is not JSON from its byte %d on",
                       why.position);
    } else if (!json_is_object(row)) {
        (void)snprintf(bad, ROWS_BAD_TEXT_MAX, "it is no JSON object");
        json_decref(row);
        row = NULL;
    }
    return row;
}

static enum status learn_row(struct rows_reader *reader, const json_t *row,
                             struct error *err) {
    const char *title;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)row, title, value) {
        struct rows_column *column = rows_reader_column(reader, title);
        if (column == NULL &&
            (rows_column_add(reader, span_text(title), &column, err) != STATUS_OK ||
             rows_shape_create(reader, &column->shape, err) != STATUS_OK)) {
            return err->status;
        }
        if (rows_shape_learn(reader, column->shape, value, 1, err) != STATUS_OK) {
            return err->status;
        }
    }
    return STATUS_OK;
}

static enum status open_jsonl(struct rows_reader *reader, struct error *err) {
    struct rows_chunk chunk = {.begin = 0};
    struct span left = {0}, line;
    char bad[ROWS_BAD_TEXT_MAX];
    int rows = 0, fine = 0;
    enum status status = rows_text_read(reader, last_row, &chunk, err);
    reader->offset = 0;
    if (status == STATUS_OK) {
        left = span_of(chunk.raw.data, chunk.raw.size);
        if (left.size >= 3 && memcmp(left.data, "\xEF\xBB\xBF", 3) == 0) {
            left = span_of(left.data + 3, left.size - 3);
            reader->offset = 3;
        }
    }
    while (status == STATUS_OK && rows < ROWS_SAMPLE_MAX && next_line(&left, &line)) {
        json_t *row = parse(line, bad);
        rows++;
        if (row != NULL) {
            fine++;
            status = learn_row(reader, row, err);
            json_decref(row);
        }
    }
    if (status == STATUS_OK && fine == 0) {
        status = error_set(
            err, STATUS_INVALID, "%s: %s%s", reader->path,
            rows == 0 ? "it is empty" : "its first line: ", rows == 0 ? "" : bad);
    }
    for (int i = 0; i < reader->column_count; i++) {
        reader->columns[i].kind = reader->columns[i].shape->kind;
    }
    rows_chunk_release(&chunk);
    return status;
}

static enum status read_jsonl(struct rows_reader *reader, struct rows_chunk *chunk,
                              struct error *err) {
    return rows_text_read(reader, last_row, chunk, err);
}

static enum status encode_row(const struct rows_reader *reader, const json_t *row,
                              struct rows_buffer *to, char *bad, struct error *err) {
    for (int i = 0; i < reader->column_count && bad[0] == 0; i++) {
        const struct rows_column *column = &reader->columns[i];
        const json_t *value = json_object_get(row, column->title);
        const char *wrong;
        uint8_t branch;
        if (column->kind == ROWS_SKIP) {
            continue;
        }
        branch = value == NULL || json_is_null(value) ? 0 : 2;
        if (rows_buffer_add(to, &branch, 1, err) != STATUS_OK) {
            return err->status;
        }
        wrong = branch == 0 ? NULL
                            : rows_shape_encode(column->kind, column->shape, value, to);
        if (wrong != NULL) {
            (void)snprintf(bad, ROWS_BAD_TEXT_MAX, "'%.100s' %s", column->title, wrong);
        }
    }
    return STATUS_OK;
}

static enum status decode_jsonl(const struct rows_reader *reader,
                                struct rows_chunk *chunk, struct error *err) {
    struct span left = span_of(chunk->raw.data, chunk->raw.size), line;
    char bad[ROWS_BAD_TEXT_MAX];
    enum status status = STATUS_OK;
    while (status == STATUS_OK && next_line(&left, &line)) {
        size_t record = chunk->records.size;
        bad[0] = 0;
        json_t *row = parse(line, bad);
        if (row != NULL) {
            status = encode_row(reader, row, &chunk->records, bad, err);
            json_decref(row);
        }
        if (status == STATUS_OK) {
            status = rows_place_add(chunk, record, line, bad[0] == 0 ? NULL : bad, err);
        }
    }
    return status;
}

/* ---- writing ------------------------------------------------------------------------
 */

static enum status jsonl_header(const struct rows_writer *writer, int64_t rows,
                                struct rows_buffer *to, struct error *err) {
    (void)writer, (void)rows, (void)to, (void)err;
    return STATUS_OK;
}

/* The object's text up to its closing brace; false where it has no members. */
static bool open_object(struct span raw, struct span *begin) {
    size_t size = raw.size - 1; /* it is an object, trimmed: it has been parsed */
    while (size > 0 && strchr(" \t\r", raw.data[size - 1]) != NULL) {
        size--;
    }
    *begin = span_of(raw.data, size);
    return raw.data[size - 1] != '{';
}

static enum status jsonl_row(const struct rows_writer *writer, struct span raw,
                             struct span record, struct rows_buffer *body,
                             struct error *err) {
    struct reader r;
    struct span begin = span_of("{", 1);
    bool comma = writer->opts.raw && open_object(raw, &begin), fine;
    reader_init(&r, record, err);
    err->status = STATUS_OK;
    fine = rows_buffer_add(body, begin.data, begin.size, err) == STATUS_OK;
    for (int i = 0; i < writer->record->count && fine; i++) {
        const struct avro_field *field = &writer->record->fields[i];
        r.field = field->name;
        fine = (!comma || rows_buffer_add(body, ",", 1, err) == STATUS_OK) &&
               rows_json_text(span_text(rows_field_title(writer, i)), body) &&
               rows_buffer_add(body, ":", 1, err) == STATUS_OK &&
               rows_json_value(&r, field->type, body);
        comma = true;
    }
    if (!fine) {
        return err->status == STATUS_OK
                   ? error_set(err, STATUS_NO_MEMORY, "no memory for a row")
                   : err->status;
    }
    return rows_buffer_add(body, "}\n", 2, err);
}

static const char *const extensions[] = {"jsonl", "ndjson", "json", NULL};
const struct rows_ops rows_jsonl_ops = {
    .name = "jsonl",
    .extensions = extensions,
    .open = open_jsonl,
    .bind = rows_bind_columns,
    .read = read_jsonl,
    .decode = decode_jsonl,
    .header = jsonl_header,
    .row = jsonl_row,
};
