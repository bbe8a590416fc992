/* rows_csv_write.c - records as lines of CSV; see rows_csv.c for the format. */
#include "codec/reader.h"
#include "tools/rows_impl.h"

static enum status no_memory(struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "no memory for a row");
}

enum status rows_csv_header(const struct rows_writer *writer, int64_t rows,
                            struct rows_buffer *to, struct error *err) {
    char delimiter = writer->opts.delimiter;
    bool first = true, fine = true;
    (void)rows;
    if (writer->opts.no_header) {
        return STATUS_OK;
    }
    if (writer->opts.raw) {
        struct span header = writer->opts.header;
        fine = rows_buffer_add(to, header.data, header.size, err) == STATUS_OK;
        first = false;
    }
    for (int i = 0; i < writer->record->count && fine; i++) {
        fine = (first || rows_buffer_add(to, &delimiter, 1, err) == STATUS_OK) &&
               rows_csv_text(span_text(rows_field_title(writer, i)), delimiter, to);
        first = false;
    }
    return fine && rows_buffer_add(to, "\n", 1, err) == STATUS_OK ? STATUS_OK
                                                                  : no_memory(err);
}

enum status rows_csv_row(const struct rows_writer *writer, struct span raw,
                         struct span record, struct rows_buffer *body,
                         struct error *err) {
    char delimiter = writer->opts.delimiter;
    struct reader r;
    reader_init(&r, record, err);
    if (writer->opts.raw && rows_buffer_add(body, raw.data, raw.size, err) != STATUS_OK) {
        return err->status;
    }
    for (int i = 0; i < writer->record->count; i++) {
        const struct avro_field *field = &writer->record->fields[i];
        if ((i > 0 || writer->opts.raw) &&
            rows_buffer_add(body, &delimiter, 1, err) != STATUS_OK) {
            return err->status;
        }
        r.field = field->name;
        err->status = STATUS_OK;
        if (!rows_csv_value(&r, field->type, delimiter, body)) {
            return err->status == STATUS_OK ? no_memory(err) : err->status;
        }
    }
    return rows_buffer_add(body, "\n", 1, err);
}
