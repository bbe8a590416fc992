/* rows_impl.h - what the formats of rows.h share.
 *
 * Inside rows*.c only.
 *
 * Depends on: tools/rows.h, codec/plan.h.
 * Ownership: as in rows.h.  Threads: as in rows.h. */
#ifndef MILLRACE_TOOLS_ROWS_IMPL_H
#define MILLRACE_TOOLS_ROWS_IMPL_H

#include "codec/plan.h"
#include "codec/reader.h"
#include "tools/npy.h"
#include "tools/rows.h"

/* Bytes behind a chunk's text that may be read, all of them line ends. */
#define ROWS_PADDING 16

struct rows_ops {
    const char *name;
    const char *const *extensions; /* ends with NULL */
    /* Reads the header; makes the columns, or the schema. */
    enum status (*open)(struct rows_reader *reader, struct error *err);
    /* The schema of the columns, as JSON; NULL where open has made it. */
    enum status (*bind)(struct rows_reader *reader, struct error *err);
    enum status (*read)(struct rows_reader *reader, struct rows_chunk *chunk,
                        struct error *err);
    enum status (*decode)(const struct rows_reader *reader, struct rows_chunk *chunk,
                          struct error *err);
    enum status (*header)(const struct rows_writer *writer, int64_t rows,
                          struct rows_buffer *to, struct error *err);
    enum status (*row)(const struct rows_writer *writer, struct span raw,
                       struct span record, struct rows_buffer *body, struct error *err);
    /* NULL: a body stands in the file as it is. */
    enum status (*pack)(const struct rows_writer *writer, int64_t count,
                        const struct rows_buffer *body, struct rows_buffer *to,
                        struct error *err);
};

extern const struct rows_ops rows_avro_ops, rows_csv_ops, rows_jsonl_ops, rows_npy_ops;

struct rows_reader {
    const struct rows_ops *ops;
    const char *path; /* borrowed */
    int fd;
    uint64_t size;               /* of the file */
    uint64_t offset;             /* of what is read next */
    bool growing;                /* text is written to it still */
    struct rows_column *columns; /* owned */
    int column_count, column_room;
    struct avro_schema *schema; /* owned; NULL until bound */
    /* Avro */
    uint8_t sync[ROWS_SYNC_SIZE];
    enum rows_codec codec;
    struct plan *walk; /* owned; finds a record's end */
    /* text */
    char delimiter;
    bool no_header;            /* CSV's first line is a row */
    struct rows_buffer header; /* CSV's first line, of names */
    struct rows_shape *shapes; /* owned; every shape, by `next` */
    /* .npy */
    struct npy_layout layout;
    size_t row_size; /* bytes in the file */
};

struct rows_writer {
    const struct rows_ops *ops;
    struct rows_writer_opts opts;
    const struct avro_node *record;
};

/* Reads up to `size` bytes at `offset` behind those that are in `to`; fewer at the end.
 */
MUST_CHECK enum status rows_pread(const struct rows_reader *reader, uint64_t offset,
                                  size_t size, struct rows_buffer *to, struct error *err);

/* A column; its title and a name made of it. */
MUST_CHECK enum status rows_column_add(struct rows_reader *reader, struct span title,
                                       struct rows_column **out, struct error *err);

/* ---- text: rows_text.c --------------------------------------------------------------
 */

/* Finds where the last whole row of `text` ends: the offset behind its line end, 0 where
 * there is none. */
typedef size_t (*rows_end_fn)(const struct rows_reader *reader, struct span text);

/* A chunk that ends with a row; padded by line ends. */
MUST_CHECK enum status rows_text_read(struct rows_reader *reader, rows_end_fn end,
                                      struct rows_chunk *chunk, struct error *err);
/* The offset behind the last line end. */
size_t rows_text_last_line(struct span text);

/* A row into chunk->places: its record are the bytes from `record` on, or there is none
 * and `bad` says why. */
MUST_CHECK enum status rows_place_add(struct rows_chunk *chunk, size_t record,
                                      struct span raw, const char *bad,
                                      struct error *err);

/* The value at `r`, of type `type`, as JSON. */
MUST_CHECK bool rows_json_value(struct reader *r, const struct avro_node *type,
                                struct rows_buffer *to);
/* A text in quotes, with what must be escaped. */
MUST_CHECK bool rows_json_text(struct span text, struct rows_buffer *to);
/* The same as a cell of CSV, in quotes where it needs them. */
MUST_CHECK bool rows_csv_value(struct reader *r, const struct avro_node *type,
                               char delimiter, struct rows_buffer *to);
MUST_CHECK bool rows_csv_text(struct span text, char delimiter, struct rows_buffer *to);
/* CSV's first line, and a row: rows_csv_write.c. */
MUST_CHECK enum status rows_csv_header(const struct rows_writer *writer, int64_t rows,
                                       struct rows_buffer *to, struct error *err);
MUST_CHECK enum status rows_csv_row(const struct rows_writer *writer, struct span raw,
                                    struct span record, struct rows_buffer *body,
                                    struct error *err);
/* What a field of the record is called in text. */
const char *rows_field_title(const struct rows_writer *writer, int field);

/* ---- shapes of JSON values: rows_shape.c --------------------------------------------
 */

struct json_t;

/* What the sample has shown at one place. */
struct rows_shape {
    struct rows_shape *next; /* in the reader's list of all */
    enum rows_kind kind;     /* ROWS_SKIP: only null as yet */
    bool list;               /* of ROWS_NESTED: a list, else an object */
    bool nulls;              /* of a list: an item was null */
    struct rows_shape *item; /* of a list */
    char **names;            /* of an object; owned */
    struct rows_shape **members;
    int count, room;
};

MUST_CHECK enum status rows_shape_create(struct rows_reader *reader,
                                         struct rows_shape **out, struct error *err);
void rows_shapes_release(struct rows_reader *reader);
/* Widens the shape by a value. */
MUST_CHECK enum status rows_shape_learn(struct rows_reader *reader,
                                        struct rows_shape *shape,
                                        const struct json_t *value, int depth,
                                        struct error *err);
/* The Avro type of a kind or shape, a new reference; `path` makes names of records. */
struct json_t *rows_shape_type(enum rows_kind kind, const struct rows_shape *shape,
                               const char *path);
/* Encodes a value; returns what is wrong with it, or NULL. */
const char *rows_shape_encode(enum rows_kind kind, const struct rows_shape *shape,
                              const struct json_t *value, struct rows_buffer *to);

/* The records' schema of the columns that are not skipped. */
MUST_CHECK enum status rows_bind_columns(struct rows_reader *reader, struct error *err);

#endif
