/* rows.c - see rows.h; the formats are in rows_*.c. */
#include "tools/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "tools/rows_impl.h"
#include "tools/spool.h"

static const struct rows_ops *const formats[] = {
    [ROWS_AVRO] = &rows_avro_ops,
    [ROWS_CSV] = &rows_csv_ops,
    [ROWS_JSONL] = &rows_jsonl_ops,
    [ROWS_NPY] = &rows_npy_ops,
};
_Static_assert(ARRAY_COUNT(formats) == ROWS_FORMAT_COUNT, "every format is there");

static const char *const kind_names[] = {
    [ROWS_SKIP] = "nothing but null", [ROWS_LONG] = "long",     [ROWS_DOUBLE] = "double",
    [ROWS_BOOLEAN] = "boolean",       [ROWS_STRING] = "string", [ROWS_NESTED] = "nested",
    [ROWS_MIXED] = "mixed",
};
_Static_assert(ARRAY_COUNT(kind_names) == ROWS_KIND_COUNT, "every kind has a name");

const char *rows_format_name(enum rows_format format) {
    return formats[format]->name;
}

const char *rows_kind_name(enum rows_kind kind) {
    return kind_names[kind];
}

/* The format of a name ("csv"); ROWS_FORMAT_COUNT if none. */
static enum rows_format format_parse(const char *name) {
    for (int i = 0; i < ROWS_FORMAT_COUNT; i++) {
        const char *const *extension = formats[i]->extensions;
        for (; *extension != NULL; extension++) {
            if (strcmp(name, *extension) == 0) {
                return (enum rows_format)i;
            }
        }
    }
    return ROWS_FORMAT_COUNT;
}

static enum rows_format format_of(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot == NULL || strchr(dot, '/') != NULL ? ROWS_FORMAT_COUNT
                                                   : format_parse(dot + 1);
}

bool rows_is_stream(const char *path) {
    return strcmp(path, "-") == 0;
}

enum status rows_format_choose(const char *flag, const char *given, const char *path,
                               enum rows_format *format, struct error *err) {
    *format = given != NULL          ? format_parse(given)
              : rows_is_stream(path) ? ROWS_CSV
                                     : format_of(path);
    return *format != ROWS_FORMAT_COUNT
               ? STATUS_OK
               : error_set(err, STATUS_INVALID,
                           "%s " ROWS_FORMATS " is needed: the name %s does not end with "
                           "a format that is known",
                           flag, path);
}

enum status rows_delimiter_choose(const char *given, char *delimiter, struct error *err) {
    bool tab = given != NULL && strcmp(given, "\\t") == 0;
    if (given != NULL && !tab &&
        (strlen(given) != 1 || strchr("\"\n\r", *given) != NULL)) {
        return error_set(err, STATUS_INVALID,
                         "--delimiter: one character is needed, and no quote");
    }
    *delimiter = tab ? '\t' : given == NULL ? 0 : *given;
    return STATUS_OK;
}

/* ---- the reader ---------------------------------------------------------------------
 */

static enum status open_file(struct rows_reader *reader, struct error *err) {
    struct stat info;
    if (rows_is_stream(reader->path)) {
        reader->path = "standard input";
        if (spool_standard_input(&reader->fd, err) != STATUS_OK) {
            return err->status;
        }
    } else {
        reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC);
    }
    if (reader->fd < 0 || fstat(reader->fd, &info) != 0) {
        return error_set(err, STATUS_INVALID, "%s: %s", reader->path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return error_set(err, STATUS_INVALID, "%s: it is no regular file", reader->path);
    }
    reader->size = (uint64_t)info.st_size;
    return STATUS_OK;
}

enum status rows_reader_open(const struct rows_reader_opts *opts,
                             struct rows_reader **out, struct error *err) {
    struct rows_reader *reader = calloc(1, sizeof(*reader));
    const char *dot = strrchr(opts->path, '.');
    enum status status;
    *out = NULL;
    if (reader == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a file's reader");
    }
    reader->fd = -1;
    reader->path = opts->path;
    reader->growing = opts->growing;
    reader->no_header = opts->no_header;
    reader->ops = formats[opts->format];
    reader->delimiter = opts->delimiter != 0                      ? opts->delimiter
                        : dot != NULL && strcmp(dot, ".tsv") == 0 ? '\t'
                                                                  : ',';
    status = open_file(reader, err);
    if (status == STATUS_OK) {
        status = reader->ops->open(reader, err);
    }
    if (status != STATUS_OK) {
        rows_reader_close(reader);
        return status;
    }
    *out = reader;
    return STATUS_OK;
}

void rows_reader_close(struct rows_reader *reader) {
    if (reader == NULL) {
        return;
    }
    for (int i = 0; i < reader->column_count; i++) {
        free(reader->columns[i].title);
        free(reader->columns[i].name);
    }
    free(reader->columns);
    rows_shapes_release(reader);
    rows_buffer_release(&reader->header);
    plan_destroy(reader->walk);
    avro_schema_destroy(reader->schema);
    if (reader->fd >= 0) {
        (void)close(reader->fd); /* was only read from */
    }
    free(reader);
}

enum status rows_pread(const struct rows_reader *reader, uint64_t offset, size_t size,
                       struct rows_buffer *to, struct error *err) {
    if (rows_buffer_reserve(to, size, err) != STATUS_OK) {
        return err->status;
    }
    while (size > 0) {
        ssize_t got = pread(reader->fd, to->data + to->size, size, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_set(err, STATUS_INVALID, "%s: cannot read: %s", reader->path,
                             strerror(errno));
        }
        if (got == 0) {
            break;
        }
        to->size += (size_t)got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return STATUS_OK;
}

/* ---- columns ------------------------------------------------------------------------
 */

static bool name_taken(const struct rows_reader *reader, const char *name) {
    for (int i = 0; i < reader->column_count; i++) {
        if (strcmp(reader->columns[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What Avro takes for a name: other characters become _. */
static char *make_name(const struct rows_reader *reader, const char *title) {
    size_t size = strlen(title) + 24;
    char *name = malloc(size);
    size_t used = 0;
    if (name == NULL) {
        return NULL;
    }
    if (title[0] == 0 || (title[0] >= '0' && title[0] <= '9')) {
        name[used++] = '_';
    }
    for (const char *c = title; *c != 0; c++) {
        bool fine = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                    (*c >= '0' && *c <= '9') || *c == '_';
        name[used++] = fine ? *c : '_';
    }
    name[used] = 0;
    for (int i = 2; name_taken(reader, name); i++) {
        (void)snprintf(name + used, size - used, "_%d", i);
    }
    return name;
}

enum status rows_column_add(struct rows_reader *reader, struct span title,
                            struct rows_column **out, struct error *err) {
    struct rows_column *column;
    *out = NULL;
    if (reader->column_count == ROWS_COLUMNS_MAX || title.size > AVRO_NAME_SIZE_MAX / 2) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: more than %d columns, or a name of %zu bytes", reader->path,
                         ROWS_COLUMNS_MAX, title.size);
    }
    if (reader->column_count == reader->column_room) {
        int room = reader->column_room * 2 + 16;
        column = realloc(reader->columns, (size_t)room * sizeof(*column));
        if (column == NULL) {
            return error_set(err, STATUS_NO_MEMORY, "no memory for %d columns", room);
        }
        reader->columns = column;
        reader->column_room = room;
    }
    column = &reader->columns[reader->column_count];
    *column = (struct rows_column){.title = malloc(title.size + 1)};
    if (column->title != NULL) {
        memcpy(column->title, title.data, title.size);
        column->title[title.size] = 0;
        column->name = make_name(reader, column->title);
    }
    if (column->name == NULL) {
        free(column->title);
        return error_set(err, STATUS_NO_MEMORY, "no memory for a column");
    }
    reader->column_count++;
    *out = column;
    return STATUS_OK;
}

struct rows_column *rows_reader_columns(struct rows_reader *reader, int *count) {
    *count = reader->column_count;
    return reader->columns;
}

struct rows_column *rows_reader_column(struct rows_reader *reader, const char *title) {
    for (int i = 0; i < reader->column_count; i++) {
        if (strcmp(reader->columns[i].title, title) == 0) {
            return &reader->columns[i];
        }
    }
    return NULL;
}

enum status rows_bind_columns(struct rows_reader *reader, struct error *err) {
    json_t *fields = json_array();
    json_t *record =
        json_pack("{s:s, s:s, s:O}", "type", "record", "name", "Row", "fields", fields);
    char *text = NULL;
    enum status status;
    for (int i = 0; i < reader->column_count; i++) {
        const struct rows_column *column = &reader->columns[i];
        if (column->kind != ROWS_SKIP) {
            char path[AVRO_NAME_SIZE_MAX]; /* of records within, which need names, too */
            (void)snprintf(path, sizeof(path), "Row__%s", column->name);
            json_t *type = rows_shape_type(column->kind, column->shape, path);
            (void)json_array_append_new(fields, json_pack("{s:s, s:[s, o], s:n}", "name",
                                                          column->name, "type", "null",
                                                          type, "default"));
        }
    }
    text = record == NULL ? NULL : json_dumps(record, JSON_COMPACT);
    status = text == NULL
                 ? error_set(err, STATUS_NO_MEMORY, "no memory for a schema")
                 : avro_schema_parse(span_text(text), NULL, &reader->schema, err);
    free(text);
    json_decref(record);
    json_decref(fields);
    return status == STATUS_OK ? status : error_prefix(err, "%s", reader->path);
}

enum status rows_reader_bind(struct rows_reader *reader, struct error *err) {
    enum status status = STATUS_OK;
    if (reader->schema == NULL) {
        status = reader->ops->bind(reader, err);
    }
    if (status == STATUS_OK && reader->walk == NULL) {
        status = plan_create(avro_schema_root(reader->schema), NULL, NULL, 0,
                             &reader->walk, err);
    }
    return status;
}

const struct avro_schema *rows_reader_schema(const struct rows_reader *reader) {
    return reader->schema;
}

enum rows_codec rows_reader_codec(const struct rows_reader *reader) {
    return reader->codec;
}

char rows_reader_delimiter(const struct rows_reader *reader) {
    return reader->delimiter;
}

struct span rows_reader_header(const struct rows_reader *reader) {
    return span_of(reader->header.data, reader->header.size);
}

uint64_t rows_reader_size(const struct rows_reader *reader) {
    return reader->size;
}

uint64_t rows_reader_offset(const struct rows_reader *reader) {
    return reader->offset;
}

void rows_reader_seek(struct rows_reader *reader, uint64_t offset) {
    reader->offset = offset;
}

/* ---- chunks -------------------------------------------------------------------------
 */

void rows_chunk_release(struct rows_chunk *chunk) {
    rows_buffer_release(&chunk->raw);
    rows_buffer_release(&chunk->records);
    rows_buffer_release(&chunk->notes);
    rows_buffer_release(&chunk->places);
    rows_buffer_release(&chunk->blocks);
    rows_buffer_release(&chunk->scratch);
}

enum status rows_reader_read(struct rows_reader *reader, struct rows_chunk *chunk,
                             struct error *err) {
    return reader->ops->read(reader, chunk, err);
}

enum status rows_decode(const struct rows_reader *reader, struct rows_chunk *chunk,
                        struct error *err) {
    chunk->records.size = chunk->notes.size = 0;
    chunk->places.size = chunk->blocks.size = 0;
    chunk->place = chunk->block = chunk->at = 0;
    return reader->ops->decode(reader, chunk, err);
}

bool rows_next(const struct rows_reader *reader, struct rows_chunk *chunk,
               struct rows_row *row) {
    struct rows_block *blocks = (struct rows_block *)(void *)chunk->blocks.data;
    struct rows_place place;
    (void)reader;
    while (chunk->block < chunk->blocks.size / sizeof(*blocks)) {
        struct rows_block *block = &blocks[chunk->block];
        if (block->count > 0) {
            block->count--;
            *row = (struct rows_row){.record = span_of(chunk->records.data + chunk->at,
                                                       block->end - chunk->at),
                                     .open = true};
            return true;
        }
        chunk->block++;
    }
    if (chunk->place == chunk->places.size / sizeof(place)) {
        return false;
    }
    memcpy(&place, chunk->places.data + chunk->place++ * sizeof(place), sizeof(place));
    *row = (struct rows_row){
        .record = span_of(chunk->records.data + place.record, place.record_size),
        .raw = span_of(chunk->raw.data + place.raw, place.raw_size),
        .bad = place.bad == 0 ? NULL : (const char *)chunk->notes.data + (place.bad - 1)};
    return true;
}

void rows_took(struct rows_chunk *chunk, size_t size) {
    chunk->at += size;
}

enum status rows_measure(const struct rows_reader *reader, struct span record,
                         size_t *size, struct error *err) {
    struct plan_out out = {NULL, NULL, NULL};
    return plan_run_next(reader->walk, record, &out, size, err) == STATUS_OK
               ? STATUS_OK
               : error_set(err, STATUS_INVALID, "%s: a record is damaged", reader->path);
}

/* ---- the writer ---------------------------------------------------------------------
 */

enum status rows_writer_create(const struct rows_writer_opts *opts,
                               struct rows_writer **out, struct error *err) {
    struct rows_writer *writer = calloc(1, sizeof(*writer));
    *out = NULL;
    if (writer == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a file's writer");
    }
    writer->opts = *opts;
    writer->ops = formats[opts->format];
    writer->record = avro_schema_root(opts->schema);
    *out = writer;
    return STATUS_OK;
}

void rows_writer_destroy(struct rows_writer *writer) {
    free(writer);
}

enum status rows_writer_header(const struct rows_writer *writer, int64_t rows,
                               struct rows_buffer *to, struct error *err) {
    return writer->ops->header(writer, rows, to, err);
}

enum status rows_writer_row(const struct rows_writer *writer, struct span raw,
                            struct span record, struct rows_buffer *body,
                            struct error *err) {
    return writer->ops->row(writer, raw, record, body, err);
}

enum status rows_writer_pack(const struct rows_writer *writer, int64_t count,
                             struct rows_buffer *body, struct rows_buffer *to,
                             struct error *err) {
    enum status status = STATUS_OK;
    if (count > 0) {
        status = writer->ops->pack == NULL
                     ? rows_buffer_add(to, body->data, body->size, err)
                     : writer->ops->pack(writer, count, body, to, err);
    }
    body->size = 0;
    return status;
}
