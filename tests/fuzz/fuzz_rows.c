/* fuzz_rows.c - libFuzzer: any bytes as a file of rows: CSV, JSON lines, .npy, or an Avro
 * container.
 *
 * The first byte chooses the format, the second how it is read; the rest is the file.
 * Whatever the bytes, the file is refused with a text or read to its end; each row is a
 * record of the schema or says why it is none; records go through a container and come
 * back the same, and can be written as text.  `make fuzz-rows` builds and runs it on
 * tests/fuzz/corpus-rows. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/rows.h"

#define FILE_SIZE_MAX ((size_t)1 << 16)
#define RECORDS_SIZE_MAX ((size_t)1 << 20) /* bytes of records that are compared */
#define ROWS_MAX 20000 /* a container may hold records without bytes by the million */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A file in memory, and its name. */
struct file {
    int fd;
    char path[32];
};

static void put(struct file *file, const void *bytes, size_t size) {
    if (file->fd <= 0) {
        file->fd = memfd_create("rows", MFD_CLOEXEC);
        assert(file->fd > 0);
        (void)snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
    }
    assert(ftruncate(file->fd, 0) == 0);
    assert(pwrite(file->fd, bytes, size, 0) == (ssize_t)size);
}

static void refused(const struct error *err) {
    assert(err->status == STATUS_INVALID || err->status == STATUS_UNSUPPORTED ||
           err->status == STATUS_POISON);
    assert(err->text[0] != 0);
}

/* All records, one behind the other, with the size of each in front. */
struct gathered {
    struct rows_buffer bytes;
    size_t count;
    bool cut; /* there were more */
};

static void gather(struct gathered *all, struct span record) {
    struct error err;
    if (all->count == ROWS_MAX || all->bytes.size + record.size > RECORDS_SIZE_MAX) {
        all->cut = true;
        return;
    }
    assert(rows_buffer_add(&all->bytes, &record.size, sizeof(record.size), &err) ==
           STATUS_OK);
    assert(rows_buffer_add(&all->bytes, record.data, record.size, &err) == STATUS_OK);
    all->count++;
}

/* False where the record is damaged, and what is behind it cannot be found. */
static bool take_row(const struct rows_reader *reader, struct rows_chunk *chunk,
                     const struct rows_row *row, struct gathered *all) {
    struct error err;
    size_t size = 0;
    if (row->bad != NULL) {
        assert(row->bad[0] != 0);
        assert(strlen(row->bad) < ROWS_BAD_TEXT_MAX);
        return true;
    }
    if (rows_measure(reader, row->record, &size, &err) != STATUS_OK) {
        assert(row->open); /* what we encode is a record */
        refused(&err);
        return false;
    }
    assert(size <= row->record.size);
    if (row->open) {
        rows_took(chunk, size);
    } else {
        assert(size == row->record.size);
    }
    gather(all, span_of(row->record.data, size));
    return true;
}

static bool read_all(struct rows_reader *reader, struct gathered *all) {
    struct rows_chunk chunk = {.begin = 0};
    struct error err;
    bool whole = true;
    while (whole && !all->cut) {
        struct rows_row row;
        enum status status = rows_reader_read(reader, &chunk, &err);
        if (status == STATUS_OK && chunk.begin == chunk.end) {
            break;
        }
        if (status == STATUS_OK) {
            assert(chunk.begin < chunk.end);
            assert(chunk.end <= rows_reader_size(reader));
            status = rows_decode(reader, &chunk, &err);
        }
        if (status != STATUS_OK) {
            refused(&err);
            whole = false;
        }
        while (whole && !all->cut && rows_next(reader, &chunk, &row)) {
            whole = take_row(reader, &chunk, &row, all);
        }
    }
    rows_chunk_release(&chunk);
    return whole;
}

/* Writes the records in a format: the file's bytes, for the caller to release. */
static struct rows_buffer write_all(const struct rows_reader *reader,
                                    const struct gathered *all, enum rows_format format,
                                    enum rows_codec codec, bool *fine) {
    static const uint8_t sync[ROWS_SYNC_SIZE] = {1, 2, 3};
    const struct avro_schema *schema = rows_reader_schema(reader);
    char *json = json_dumps(avro_schema_json(schema), JSON_COMPACT);
    const struct rows_writer_opts opts = {.format = format,
                                          .codec = codec,
                                          .delimiter = ',',
                                          .schema = schema,
                                          .json = span_text(json),
                                          .sync = sync};
    struct rows_buffer file = {.data = NULL}, body = {.data = NULL};
    struct rows_writer *writer = NULL;
    struct error err;
    enum status status = rows_writer_create(&opts, &writer, &err);
    if (status == STATUS_OK) {
        status = rows_writer_header(writer, 0, &file, &err);
    }
    for (size_t at = 0; status == STATUS_OK && at < all->bytes.size;) {
        size_t size;
        memcpy(&size, all->bytes.data + at, sizeof(size));
        at += sizeof(size);
        status = rows_writer_row(writer, span_of(NULL, 0),
                                 span_of(all->bytes.data + at, size), &body, &err);
        at += size;
    }
    if (status == STATUS_OK) {
        status = rows_writer_pack(writer, (int64_t)all->count, &body, &file, &err);
    }
    if (status != STATUS_OK) {
        refused(&err);
    }
    *fine = status == STATUS_OK;
    rows_writer_destroy(writer);
    rows_buffer_release(&body);
    free(json);
    return file;
}

/* A container gives back what went into it; one of records that hold nothing is refused.
 */
static void round_trip(const struct rows_reader *reader, const struct gathered *all,
                       enum rows_codec codec) {
    static struct file back;
    struct gathered again = {.count = 0};
    struct rows_reader_opts opts = {.format = ROWS_AVRO};
    struct rows_reader *second;
    struct error err;
    bool fine;
    struct rows_buffer file = write_all(reader, all, ROWS_AVRO, codec, &fine);
    assert(fine);
    put(&back, file.data, file.size);
    opts.path = back.path;
    assert(rows_reader_open(&opts, &second, &err) == STATUS_OK);
    assert(rows_reader_bind(second, &err) == STATUS_OK);
    assert(read_all(second, &again));
    assert(again.count == all->count);
    assert(again.bytes.size == all->bytes.size);
    assert(all->bytes.size == 0 ||
           memcmp(again.bytes.data, all->bytes.data, all->bytes.size) == 0);
    rows_reader_close(second);
    rows_buffer_release(&again.bytes);
    rows_buffer_release(&file);
}

/* As --type does. */
static void set_kinds(struct rows_reader *reader, unsigned how) {
    static const enum rows_kind kinds[] = {ROWS_LONG, ROWS_DOUBLE, ROWS_BOOLEAN,
                                           ROWS_STRING, ROWS_SKIP};
    int count;
    struct rows_column *columns = rows_reader_columns(reader, &count);
    for (int i = 0; i < count; i++) {
        if (columns[i].shape == NULL) {
            columns[i].kind = kinds[(how + (unsigned)i) % ARRAY_COUNT(kinds)];
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char delimiters[] = {0, ';', '\t', '|'};
    static struct file file;
    struct gathered all = {.count = 0};
    struct rows_reader *reader = NULL;
    struct error err;
    if (size < 2 || size > FILE_SIZE_MAX) {
        return 0;
    }
    unsigned how = bytes[1];
    put(&file, bytes + 2, size - 2);
    const struct rows_reader_opts opts = {.path = file.path,
                                          .format = bytes[0] % ROWS_FORMAT_COUNT,
                                          .delimiter = delimiters[how & 3],
                                          .no_header = (how & 4) != 0,
                                          .growing = (how & 8) != 0};
    enum status status = rows_reader_open(&opts, &reader, &err);
    if (status == STATUS_OK && (how & 16) != 0) {
        set_kinds(reader, how >> 5);
    }
    if (status == STATUS_OK) {
        status = rows_reader_bind(reader, &err);
    }
    if (status != STATUS_OK) {
        refused(&err);
    } else if (read_all(reader, &all)) {
        bool fine;
        if (avro_schema_root(rows_reader_schema(reader))->size_min > 0) {
            round_trip(reader, &all, (enum rows_codec)(how >> 6));
        }
        for (enum rows_format format = ROWS_CSV; format <= ROWS_JSONL; format++) {
            struct rows_buffer text =
                write_all(reader, &all, format, ROWS_CODEC_NULL, &fine);
            rows_buffer_release(&text);
        }
    }
    rows_reader_close(reader);
    rows_buffer_release(&all.bytes);
    return 0;
}
