/* rows_text.c - what the text formats share: chunks of lines, and values as text. */
#include "base/size.h"
#include "codec/decimal.h"
#include "tools/rows_impl.h"
#include "tools/rows_number.h"

/* ---- chunks -------------------------------------------------------------------------
 */

size_t rows_text_last_line(struct span text) {
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != '\n') {
        at--;
    }
    return at;
}

static enum status too_long(const struct rows_reader *reader, struct error *err) {
    return error_set(err, STATUS_INVALID,
                     "%s: the row at byte %llu is longer than %zu bytes; is a quote left "
                     "open?",
                     reader->path, (unsigned long long)reader->offset,
                     ROWS_LINE_SIZE_MAX);
}

enum status rows_text_read(struct rows_reader *reader, rows_end_fn find_end,
                           struct rows_chunk *chunk, struct error *err) {
    size_t wanted = ROWS_CHUNK_SIZE, end = 0;
    chunk->raw.size = 0;
    chunk->begin = chunk->end = reader->offset;
    for (;;) {
        bool last;
        if (rows_pread(reader, reader->offset + chunk->raw.size, wanted - chunk->raw.size,
                       &chunk->raw, err) != STATUS_OK) {
            return err->status;
        }
        last = chunk->raw.size < wanted;
        end = find_end(reader, span_of(chunk->raw.data, chunk->raw.size));
        if (last || end > 0) {
            end = last && !reader->growing ? chunk->raw.size : end;
            break;
        }
        if (wanted > ROWS_LINE_SIZE_MAX) {
            return too_long(reader, err);
        }
        wanted *= 2;
    }
    chunk->raw.size = end;
    reader->offset += end;
    chunk->end = reader->offset;
    if (rows_buffer_reserve(&chunk->raw, ROWS_PADDING, err) != STATUS_OK) {
        return err->status;
    }
    memset(chunk->raw.data + end, '\n', ROWS_PADDING);
    return STATUS_OK;
}

enum status rows_place_add(struct rows_chunk *chunk, size_t record, struct span raw,
                           const char *bad, struct error *err) {
    struct rows_place place = {.record = record,
                               .record_size = chunk->records.size - record,
                               .raw = (size_t)(raw.data - chunk->raw.data),
                               .raw_size = raw.size};
    if (bad != NULL) {
        chunk->records.size = record;
        place.record_size = 0;
        place.bad = chunk->notes.size + 1;
        if (rows_buffer_add(&chunk->notes, bad, strlen(bad) + 1, err) != STATUS_OK) {
            return err->status;
        }
    }
    return rows_buffer_add(&chunk->places, &place, sizeof(place), err);
}

/* ---- texts --------------------------------------------------------------------------
 */

/* What is added here is bounded by the record's bytes; only memory can fail it. */
static bool put(struct rows_buffer *to, const void *bytes, size_t size) {
    struct error err;
    return rows_buffer_add(to, bytes, size, &err) == STATUS_OK;
}

static bool put_text(struct rows_buffer *to, const char *text) {
    return put(to, text, strlen(text));
}

bool rows_json_text(struct span text, struct rows_buffer *to) {
    static const char digits[] = "0123456789abcdef";
    size_t from = 0;
    bool fine = put(to, "\"", 1);
    for (size_t i = 0; i < text.size && fine; i++) {
        uint8_t c = text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        size_t size = sizeof(escape);
        if (c >= 0x20 || c == '\n') {
            escape[1] = c == '\n' ? 'n' : (char)c;
            size = 2;
        }
        fine = put(to, text.data + from, i - from) && put(to, escape, size);
        from = i + 1;
    }
    return fine && put(to, text.data + from, text.size - from) && put(to, "\"", 1);
}

/* Bytes as Avro's JSON encoding has them: a code point for each. */
static bool json_bytes(struct span bytes, struct rows_buffer *to) {
    static const char digits[] = "0123456789abcdef";
    bool fine = put(to, "\"", 1);
    for (size_t i = 0; i < bytes.size && fine; i++) {
        uint8_t c = bytes.data[i];
        char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        bool plain = c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
        fine = plain ? put(to, &c, 1) : put(to, escape, sizeof(escape));
    }
    return fine && put(to, "\"", 1);
}

bool rows_csv_text(struct span text, char delimiter, struct rows_buffer *to) {
    size_t from = 0;
    bool quotes = text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t');
    for (size_t i = 0; i < text.size && !quotes; i++) {
        uint8_t c = text.data[i];
        quotes = c == '"' || c == '\n' || c == '\r' || c == (uint8_t)delimiter;
    }
    if (!quotes) {
        return put(to, text.data, text.size);
    }
    if (!put(to, "\"", 1)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"') {
            if (!put(to, text.data + from, i + 1 - from)) {
                return false;
            }
            from = i; /* so that it is there twice */
        }
    }
    return put(to, text.data + from, text.size - from) && put(to, "\"", 1);
}

/* ---- values -------------------------------------------------------------------------
 */

static bool put_number(struct reader *r, const struct avro_node *type, bool json,
                       struct rows_buffer *to) {
    char text[ROWS_NUMBER_SIZE_MAX], *end = text;
    int64_t whole = 0;
    float narrow = 0.0f;
    double wide = 0.0;
    if (type->kind == AVRO_KIND_INT || type->kind == AVRO_KIND_LONG) {
        if (!reader_long(r, &whole)) {
            return false;
        }
        end = rows_put_long(text, whole);
    } else if (type->kind == AVRO_KIND_FLOAT) {
        if (!reader_float(r, &narrow)) {
            return false;
        }
        end = rows_put_float(text, narrow);
    } else {
        if (!reader_double(r, &wide)) {
            return false;
        }
        end = rows_put_double(text, wide);
    }
    if (json && (end[-1] == 'n' || end[-1] == 'f')) { /* nan, inf: JSON has none */
        return put_text(to, "null");
    }
    return put(to, text, (size_t)(end - text));
}

static bool put_decimal(const struct avro_node *type, struct span bytes,
                        struct rows_buffer *to) {
    char text[ROWS_NUMBER_SIZE_MAX];
    double value = decimal_real(bytes, type->scale);
    return put(to, text, (size_t)(rows_put_double(text, value) - text));
}

/* A fixed, bytes, string or enum. */
static bool take_text(struct reader *r, const struct avro_node *type, struct span *text) {
    int symbol = 0;
    switch (type->kind) {
    case AVRO_KIND_ENUM:
        if (!reader_index(r, "symbol", type->count, &symbol)) {
            return false;
        }
        *text = span_text(type->symbols[symbol]);
        return true;
    case AVRO_KIND_FIXED:
        return reader_items(r, 1, type->size, text);
    case AVRO_KIND_STRING:
        return reader_text(r, 0, SIZE_MAX / 4, text);
    case AVRO_KIND_BYTES:
        return reader_bytes(r, 0, SIZE_MAX / 4, text);
    case AVRO_KIND_NULL:
    case AVRO_KIND_BOOLEAN:
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
    case AVRO_KIND_RECORD:
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
    case AVRO_KIND_UNION:
    case AVRO_KIND_COUNT:
        break;
    }
    return false;
}

static bool json_list(struct reader *r, const struct avro_node *type,
                      struct rows_buffer *to) {
    bool map = type->kind == AVRO_KIND_MAP, first = true;
    struct reader_block block;
    if (!put(to, map ? "{" : "[", 1)) {
        return false;
    }
    for (;;) {
        if (!reader_block(r, size_max(type->item->size_min, 1), SIZE_MAX / 4, &block)) {
            return false;
        }
        if (block.count == 0) {
            break;
        }
        for (size_t i = 0; i < block.count; i++) {
            struct span key;
            if ((!first && !put(to, ",", 1)) ||
                (map && (!reader_text(r, 0, SIZE_MAX / 4, &key) ||
                         !rows_json_text(key, to) || !put(to, ":", 1))) ||
                !rows_json_value(r, type->item, to)) {
                return false;
            }
            first = false;
        }
        if (!reader_block_end(r, &block)) {
            return false;
        }
    }
    return put(to, map ? "}" : "]", 1);
}

static bool json_record(struct reader *r, const struct avro_node *type,
                        struct rows_buffer *to) {
    bool fine = put(to, "{", 1);
    for (int i = 0; i < type->count && fine; i++) {
        fine = (i == 0 || put(to, ",", 1)) &&
               rows_json_text(span_text(type->fields[i].name), to) && put(to, ":", 1) &&
               rows_json_value(r, type->fields[i].type, to);
    }
    return fine && put(to, "}", 1);
}

/* Recursion is over the schema, which is at most AVRO_DEPTH_MAX deep. */
bool rows_json_value(struct reader *r, const struct avro_node *type,
                     struct rows_buffer *to) {
    struct span text = {0};
    bool truth = false;
    int branch = 0;
    switch (type->kind) {
    case AVRO_KIND_NULL:
        return put_text(to, "null");
    case AVRO_KIND_BOOLEAN:
        return reader_boolean(r, &truth) && put_text(to, truth ? "true" : "false");
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
        return put_number(r, type, true, to);
    case AVRO_KIND_BYTES:
    case AVRO_KIND_FIXED:
        if (!take_text(r, type, &text)) {
            return false;
        }
        return type->logical == AVRO_LOGICAL_DECIMAL ? put_decimal(type, text, to)
                                                     : json_bytes(text, to);
    case AVRO_KIND_STRING:
    case AVRO_KIND_ENUM:
        return take_text(r, type, &text) && rows_json_text(text, to);
    case AVRO_KIND_RECORD:
        return json_record(r, type, to);
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
        return json_list(r, type, to);
    case AVRO_KIND_UNION:
        return reader_branch(r, type->count, &branch) &&
               rows_json_value(r, type->branches[branch], to);
    case AVRO_KIND_COUNT:
        break;
    }
    return false;
}

/* A list, map or record as a cell: JSON. */
static bool csv_nested(struct reader *r, const struct avro_node *type, char delimiter,
                       struct rows_buffer *to) {
    struct rows_buffer json = {.data = NULL};
    bool fine = rows_json_value(r, type, &json) &&
                rows_csv_text(span_of(json.data, json.size), delimiter, to);
    rows_buffer_release(&json);
    return fine;
}

bool rows_csv_value(struct reader *r, const struct avro_node *type, char delimiter,
                    struct rows_buffer *to) {
    struct span text = {0};
    bool truth = false;
    int branch = 0;
    switch (type->kind) {
    case AVRO_KIND_NULL:
        return true;
    case AVRO_KIND_BOOLEAN:
        return reader_boolean(r, &truth) && put_text(to, truth ? "true" : "false");
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
        return put_number(r, type, false, to);
    case AVRO_KIND_FIXED:
    case AVRO_KIND_BYTES:
        if (type->logical != AVRO_LOGICAL_DECIMAL) {
            return csv_nested(r, type, delimiter, to);
        }
        return take_text(r, type, &text) && put_decimal(type, text, to);
    case AVRO_KIND_STRING:
    case AVRO_KIND_ENUM:
        return take_text(r, type, &text) && rows_csv_text(text, delimiter, to);
    case AVRO_KIND_RECORD:
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
        return csv_nested(r, type, delimiter, to);
    case AVRO_KIND_UNION:
        return reader_branch(r, type->count, &branch) &&
               rows_csv_value(r, type->branches[branch], delimiter, to);
    case AVRO_KIND_COUNT:
        break;
    }
    return false;
}

const char *rows_field_title(const struct rows_writer *writer, int field) {
    int seen = 0;
    for (int i = 0; i < writer->opts.column_count; i++) {
        const struct rows_column *column = &writer->opts.columns[i];
        if (column->kind != ROWS_SKIP && seen++ == field) {
            return column->title;
        }
    }
    return writer->record->fields[field].name;
}
