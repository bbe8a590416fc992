/* rows.h - files of rows: Avro containers, CSV, JSON lines and .npy, read and written.
 *
 * Whatever the format, a row is a record of one Avro schema, as bytes; so what maps
 * fields to a model's inputs (codec/mapping.h) and adds fields (codec/record_out.h)
 * knows no formats.  Files are read in chunks of whole rows:
 *
 *     rows_reader_open    looks at the header, and at the first rows for types
 *     rows_reader_read    the next chunk's bytes, as they stand in the file   one thread
 *     rows_decode         those bytes into records                           any thread
 *     rows_next           the chunk's rows, one after the other              any thread
 *
 * and written in pieces:
 *
 *     rows_writer_row     a row into a chunk's body                          any thread
 *     rows_writer_pack    the body into what stands in the file              any thread
 *
 * A row that cannot be read is told by rows_next, and the next one follows; a file that
 * is damaged between its rows ends with STATUS_INVALID.
 *
 * Depends on: base/, codec/avro_schema.h, tools/rows_codec.h.
 * Ownership: readers, writers and chunks own what they hold; rows are borrowed from
 * their chunk until it is read into again.
 * Threads: a reader or writer is read-only but for the calls above marked "one thread".
 */
#ifndef MILLRACE_TOOLS_ROWS_H
#define MILLRACE_TOOLS_ROWS_H

#include "base/tensor.h"
#include "codec/avro_schema.h"
#include "tools/rows_codec.h"

#define ROWS_CHUNK_SIZE ((size_t)1 << 20)      /* bytes of a chunk, about */
#define ROWS_LINE_SIZE_MAX ((size_t)16 << 20)  /* bytes of a row of text */
#define ROWS_HEADER_SIZE_MAX ((size_t)4 << 20) /* bytes, of an Avro container */
#define ROWS_COLUMNS_MAX 4096
#define ROWS_DEPTH_MAX 16     /* lists and objects inside each other, in JSON */
#define ROWS_SAMPLE_MAX 10000 /* rows that types are taken from */
#define ROWS_BAD_TEXT_MAX 256 /* bytes */

enum rows_format { ROWS_AVRO, ROWS_CSV, ROWS_JSONL, ROWS_NPY, ROWS_FORMAT_COUNT };

const char *rows_format_name(enum rows_format format);
/* The format that the flag gives; without it (NULL) that of the path, and CSV of "-". */
MUST_CHECK enum status rows_format_choose(const char *flag, const char *given,
                                          const char *path, enum rows_format *format,
                                          struct error *err);
/* What a flag of a format takes. */
#define ROWS_FORMATS "avro|csv|jsonl|npy"

/* The delimiter of --delimiter, where "\\t" is a tab; 0 without it (NULL). */
MUST_CHECK enum status rows_delimiter_choose(const char *given, char *delimiter,
                                             struct error *err);

/* Is it "-", which stands for standard input or output? */
bool rows_is_stream(const char *path);

/* ---- reading ------------------------------------------------------------------------
 */

enum rows_kind {
    ROWS_SKIP, /* not made part of the records */
    ROWS_LONG,
    ROWS_DOUBLE,
    ROWS_BOOLEAN,
    ROWS_STRING,
    ROWS_NESTED, /* JSON's lists and objects */
    ROWS_MIXED,  /* JSON: now text, now numbers, so that no one type holds it */
    ROWS_KIND_COUNT
};

/* A column of CSV, or a member of JSON lines' objects. */
struct rows_column {
    char *title;              /* as it stands in the file */
    char *name;               /* of the field in the records: a name that Avro takes */
    enum rows_kind kind;      /* what the sample shows; the caller may change it */
    struct rows_shape *shape; /* of JSON; the reader's own */
    int text_row;             /* of CSV: the first row that is no number; 0 for none */
};

struct rows_reader;

struct rows_reader_opts {
    const char *path; /* "-": standard input, which is read to its end at once */
    enum rows_format format;
    char delimiter; /* of CSV; 0 for ',', or tab where the path ends with .tsv */
    bool no_header; /* of CSV: the first line is a row; columns are called 1, 2, ... */
    bool growing;   /* text is written to it still: a line without an end is left alone */
};

/* STATUS_INVALID names the file and what is wrong with it. */
MUST_CHECK enum status rows_reader_open(const struct rows_reader_opts *opts,
                                        struct rows_reader **out, struct error *err);
void rows_reader_close(struct rows_reader *reader);

/* The columns, whose kinds may be changed until rows_reader_bind; none for formats whose
 * schema stands in the file. */
struct rows_column *rows_reader_columns(struct rows_reader *reader, int *count);
/* The column of a title, or NULL. */
struct rows_column *rows_reader_column(struct rows_reader *reader, const char *title);

/* Makes the records' schema of the columns. */
MUST_CHECK enum status rows_reader_bind(struct rows_reader *reader, struct error *err);

/* The records' schema; after rows_reader_bind. */
const struct avro_schema *rows_reader_schema(const struct rows_reader *reader);

const char *rows_kind_name(enum rows_kind kind);
enum rows_codec rows_reader_codec(const struct rows_reader *reader);
char rows_reader_delimiter(const struct rows_reader *reader);
/* CSV's header line; empty where it has none. */
struct span rows_reader_header(const struct rows_reader *reader);
/* Bytes of the file; and how many have been read.  A reader goes on from where another
 * one of the same file was. */
uint64_t rows_reader_size(const struct rows_reader *reader);
uint64_t rows_reader_offset(const struct rows_reader *reader);
void rows_reader_seek(struct rows_reader *reader, uint64_t offset);

struct rows_row {
    struct span record; /* where `open`, it ends somewhere in here */
    bool open;          /* rows_took must tell how long it is */
    struct span raw;    /* the row's text without its line end; of CSV and JSON lines */
    const char *bad;    /* why there is no record, or NULL: names the column */
};

/* Rows of text, by offsets, since the bytes move while they grow. */
struct rows_place {
    size_t record, record_size, raw, raw_size;
    size_t bad; /* offset in `notes` and 1; 0 for none */
};

/* Records of a container's block. */
struct rows_block {
    size_t end; /* in `records` */
    size_t count;
};

struct rows_chunk {
    uint64_t begin, end;        /* in the file */
    struct rows_buffer raw;     /* as it stands there */
    struct rows_buffer records; /* decoded */
    struct rows_buffer notes;   /* what is wrong with bad rows */
    struct rows_buffer places;  /* struct rows_place */
    struct rows_buffer blocks;  /* struct rows_block */
    struct rows_buffer scratch;
    size_t place, block, at; /* where rows_next is */
};

void rows_chunk_release(struct rows_chunk *chunk);

/* Reads the next chunk: an empty one, chunk->begin == chunk->end, at the file's end. */
MUST_CHECK enum status rows_reader_read(struct rows_reader *reader,
                                        struct rows_chunk *chunk, struct error *err);
MUST_CHECK enum status rows_decode(const struct rows_reader *reader,
                                   struct rows_chunk *chunk, struct error *err);

/* The chunk's next row; false behind the last. */
MUST_CHECK bool rows_next(const struct rows_reader *reader, struct rows_chunk *chunk,
                          struct rows_row *row);
/* Tells how long the open row was. */
void rows_took(struct rows_chunk *chunk, size_t size);
/* Finds out how long the open record is, whatever its values.  STATUS_INVALID where it is
 * none. */
MUST_CHECK enum status rows_measure(const struct rows_reader *reader, struct span record,
                                    size_t *size, struct error *err);

/* ---- writing ------------------------------------------------------------------------
 */

struct rows_writer;

struct rows_writer_opts {
    enum rows_format format;
    enum rows_codec codec;             /* of an Avro container */
    char delimiter;                    /* of CSV */
    const struct avro_schema *schema;  /* of the records */
    struct span json;                  /* its text */
    const struct rows_column *columns; /* titles of the first fields; or NULL */
    int column_count;
    bool raw;            /* rows are given as text, and the record's fields follow it */
    struct span header;  /* where `raw`: of CSV, the columns of that text */
    bool no_header;      /* of CSV: nor does the output have one */
    struct tensor row;   /* of .npy: dtype and shape of a row */
    const uint8_t *sync; /* 16 bytes between an Avro container's blocks */
};

#define ROWS_SYNC_SIZE 16

/* All of `opts` is borrowed for as long as the writer lives.  STATUS_UNSUPPORTED for
 * records that the format cannot hold. */
MUST_CHECK enum status rows_writer_create(const struct rows_writer_opts *opts,
                                          struct rows_writer **out, struct error *err);
void rows_writer_destroy(struct rows_writer *writer);

/* What stands at the file's begin; `rows` counts in .npy alone, whose header is written
 * again, as long as before, when the count is known. */
MUST_CHECK enum status rows_writer_header(const struct rows_writer *writer, int64_t rows,
                                          struct rows_buffer *to, struct error *err);

/* Appends a row to a body.  STATUS_POISON for what the format cannot hold. */
MUST_CHECK enum status rows_writer_row(const struct rows_writer *writer, struct span raw,
                                       struct span record, struct rows_buffer *body,
                                       struct error *err);

/* Makes of a body of `count` rows what stands in the file, in *to; empties the body. */
MUST_CHECK enum status rows_writer_pack(const struct rows_writer *writer, int64_t count,
                                        struct rows_buffer *body, struct rows_buffer *to,
                                        struct error *err);

#endif
