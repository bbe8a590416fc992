/* rows_csv.c - CSV: RFC 4180, with LF or CRLF, a byte order mark, and any delimiter.
 *
 * The first line names the columns, unless the reader is told that it does not.  A field
 * in quotes may hold the delimiter, line ends and, doubled, quotes; a quote elsewhere is
 * a character like any other.  Blank lines are passed over.  What pandas takes for a
 * missing value is one here. */
#include "base/size.h"
#include "codec/utf8.h"
#include "codec/writer.h"
#include "tools/rows_impl.h"
#include "tools/rows_number.h"

#define MARK "\xEF\xBB\xBF" /* U+FEFF, which some programs begin a file with */
#define MARK_SIZE 3
#define NUMBER_SIZE 16 /* bytes that a field other than text takes at most */

/* A walk over the fields of one row. */
struct walk {
    const char *at;
    const char *end; /* of the chunk; line ends stand behind it */
    char delimiter;
    struct rows_buffer *scratch; /* for fields with quotes inside */
    bool open;                   /* a quote has no end */
    bool failed;                 /* no memory */
};

/* ---- where rows end -----------------------------------------------------------------
 */

/* A quote opens a field only at its begin. */
static bool opens(const char *begin, const char *quote, char delimiter) {
    return quote == begin || quote[-1] == '\n' || quote[-1] == delimiter;
}

/* Behind the quotes of a field that begins at `at`; NULL where they have no end. */
static const char *behind_quotes(const char *at, const char *end) {
    for (at++; at < end; at += 2) {
        at = memchr(at, '"', (size_t)(end - at));
        if (at == NULL) {
            return NULL;
        }
        if (at + 1 == end || at[1] != '"') {
            return at + 1;
        }
    }
    return NULL;
}

static size_t last_row(const struct rows_reader *reader, struct span text) {
    const char *begin = (const char *)text.data, *at = begin, *end = begin + text.size;
    size_t found = 0;
    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        const char *stop = quote == NULL ? end : quote;
        size_t line = rows_text_last_line(span_of(at, (size_t)(stop - at)));
        found = line > 0 ? (size_t)(at - begin) + line : found;
        if (quote == NULL) {
            break;
        }
        at = opens(begin, quote, reader->delimiter) ? behind_quotes(quote, end)
                                                    : quote + 1;
        if (at == NULL) {
            break;
        }
    }
    return found;
}

/* ---- fields -------------------------------------------------------------------------
 */

static bool ends(const struct walk *w, char c) {
    return c == w->delimiter || c == '\n';
}

/* Takes what is left of a field without quotes. */
static void skip_plain(struct walk *w) {
    while (!ends(w, *w->at)) {
        w->at++;
    }
}

/* A field in quotes; what stands between them and the delimiter belongs to it, as pandas
 * has it. */
static struct span take_quoted(struct walk *w) {
    const char *start = w->at + 1, *close = behind_quotes(w->at, w->end);
    struct error err;
    size_t used;
    if (close == NULL) {
        w->open = true;
        w->at = w->end;
        return span_of(start, 0);
    }
    w->at = close;
    skip_plain(w);
    used = (size_t)(close - start) - 1;
    const char *tail = close;
    size_t tail_size = (size_t)(w->at - close);
    if (*w->at == '\n' && tail_size > 0 && w->at[-1] == '\r') {
        tail_size--;
    }
    if (tail_size == 0 && memchr(start, '"', used) == NULL) {
        return span_of(start, used);
    }
    w->scratch->size = 0;
    if (rows_buffer_reserve(w->scratch, used + tail_size + ROWS_PADDING, &err) !=
        STATUS_OK) {
        w->failed = true;
        return span_of(start, 0);
    }
    for (size_t i = 0; i < used; i++) {
        w->scratch->data[w->scratch->size++] = (uint8_t)start[i];
        i += start[i] == '"'; /* the second of two */
    }
    memcpy(w->scratch->data + w->scratch->size, tail, tail_size);
    w->scratch->size += tail_size;
    memset(w->scratch->data + w->scratch->size, '\n', ROWS_PADDING);
    return span_of(w->scratch->data, w->scratch->size);
}

/* The next field; `at` is then on what ends it. */
static struct span take_field(struct walk *w) {
    const char *start = w->at;
    size_t size;
    if (*start == '"') {
        return take_quoted(w);
    }
    skip_plain(w);
    size = (size_t)(w->at - start);
    if (*w->at == '\n' && size > 0 && start[size - 1] == '\r') {
        size--;
    }
    return span_of(start, size);
}

static bool is_missing(struct span text) {
    static const char *const words[] = {"NA",     "NaN",     "nan",    "null", "N/A",
                                        "NULL",   "None",    "n/a",    "<NA>", "#N/A",
                                        "-nan",   "-NaN",    "#NA",    "NaT",  "#N/A N/A",
                                        "1.#IND", "-1.#IND", "1.#QNAN"};
    if (text.size == 0 || (text.data[0] >= '0' && text.data[0] <= '9')) {
        return text.size == 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (span_is(text, words[i])) {
            return true;
        }
    }
    return false;
}

static struct span trim(struct span text) {
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = span_of(text.data + 1, text.size - 1);
    }
    while (text.size > 0 &&
           (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

static bool parse_boolean(struct span text, bool *value) {
    static const char *const words[] = {"false", "False", "FALSE",
                                        "true",  "True",  "TRUE"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (span_is(text, words[i])) {
            *value = i >= ARRAY_COUNT(words) / 2;
            return true;
        }
    }
    return false;
}

/* Behind the text stands what ends its field, or the padding. */
static bool parse_real(struct span text, double *value) {
    const char *start = (const char *)text.data;
    if (rows_real(start, value) == start + text.size) {
        return true;
    }
    return rows_real_slow((const char *)text.data, text.size, value);
}

/* ---- the header and the sample ------------------------------------------------------
 */

/* The kind that a column's values so far, and this one, have. */
static enum rows_kind widen(enum rows_kind kind, struct span text) {
    double real;
    int64_t whole;
    bool truth;
    struct span word = trim(text);
    if (kind == ROWS_STRING || is_missing(word)) {
        return kind;
    }
    if ((kind == ROWS_SKIP || kind == ROWS_BOOLEAN) && parse_boolean(word, &truth)) {
        return ROWS_BOOLEAN;
    }
    if (kind == ROWS_BOOLEAN) {
        return ROWS_STRING;
    }
    if (kind != ROWS_DOUBLE && rows_long((const char *)word.data, word.size, &whole)) {
        return ROWS_LONG;
    }
    return parse_real(word, &real) ? ROWS_DOUBLE : ROWS_STRING;
}

/* Makes the columns of the first line: of its names, or of how many there are. */
static enum status take_header(struct rows_reader *reader, struct walk *w,
                               struct error *err) {
    const char *start = w->at;
    for (;;) {
        struct span title = take_field(w);
        struct rows_column *column;
        char number[16];
        if (w->open || w->failed) {
            return error_set(err, STATUS_INVALID, "%s: the first line has an open quote",
                             reader->path);
        }
        if (reader->no_header) {
            (void)snprintf(number, sizeof(number), "%d", reader->column_count + 1);
            title = span_text(number);
        }
        if (!utf8_valid(title) || memchr(title.data, 0, title.size) != NULL) {
            return error_set(err, STATUS_INVALID,
                             "%s: the name of column %d is not UTF-8; is it a CSV file?",
                             reader->path, reader->column_count + 1);
        }
        if (rows_column_add(reader, title, &column, err) != STATUS_OK) {
            return err->status;
        }
        for (int i = 0; i < reader->column_count - 1; i++) {
            if (strcmp(reader->columns[i].title, column->title) == 0) {
                return error_set(err, STATUS_INVALID, "%s: two columns are called '%s'",
                                 reader->path, column->title);
            }
        }
        if (*w->at == '\n') {
            break;
        }
        w->at++;
    }
    if (reader->no_header) {
        w->at = start;
        return STATUS_OK;
    }
    size_t size = (size_t)(w->at - start);
    size -= size > 0 && start[size - 1] == '\r';
    w->at++;
    return rows_buffer_add(&reader->header, start, size, err);
}

static void sample(struct rows_column *column, struct span text, int row) {
    column->kind = widen(column->kind, text);
    if (column->kind == ROWS_STRING && column->text_row == 0) {
        column->text_row = row;
    }
}

static void take_sample(struct rows_reader *reader, struct walk *w) {
    for (int row = 0; row < ROWS_SAMPLE_MAX && w->at < w->end && !w->open; row++) {
        for (int i = 0;; i++) {
            struct span text = take_field(w);
            if (i < reader->column_count && !w->open) {
                sample(&reader->columns[i], text, row + 1);
            }
            if (*w->at == '\n' || w->open) {
                break;
            }
            w->at++;
        }
        w->at++;
    }
}

static enum status open_csv(struct rows_reader *reader, struct error *err) {
    struct rows_chunk chunk = {.begin = 0};
    enum status status = rows_text_read(reader, last_row, &chunk, err);
    size_t skipped =
        chunk.raw.size >= MARK_SIZE && memcmp(chunk.raw.data, MARK, MARK_SIZE) == 0
            ? MARK_SIZE
            : 0;
    if (status == STATUS_OK && chunk.raw.size == skipped) {
        status = error_set(err, STATUS_INVALID, "%s: it is empty; %s", reader->path,
                           reader->no_header ? "columns are counted in the first row"
                                             : "the first line must name the columns");
    }
    if (status == STATUS_OK) {
        struct walk w = {.at = (const char *)chunk.raw.data + skipped,
                         .end = (const char *)chunk.raw.data + chunk.raw.size,
                         .delimiter = reader->delimiter,
                         .scratch = &chunk.scratch};
        status = take_header(reader, &w, err);
        reader->offset = (uint64_t)size_min((size_t)(w.at - (const char *)chunk.raw.data),
                                            chunk.raw.size);
        if (status == STATUS_OK) {
            take_sample(reader, &w);
        }
    }
    for (int i = 0; i < reader->column_count; i++) {
        if (reader->columns[i].kind == ROWS_SKIP) {
            reader->columns[i].kind = ROWS_DOUBLE; /* all are missing */
        }
    }
    rows_chunk_release(&chunk);
    return status;
}

/* ---- rows ---------------------------------------------------------------------------
 */

static enum status read_csv(struct rows_reader *reader, struct rows_chunk *chunk,
                            struct error *err) {
    return rows_text_read(reader, last_row, chunk, err);
}

/* Writes the field as the column's kind; returns what is wrong with it, or NULL.  There
 * is room for any number; texts make their own. */
static const char *encode(struct rows_buffer *to, enum rows_kind kind, struct span text) {
    uint8_t *at = to->data + to->size;
    struct error err;
    double real = 0.0;
    int64_t whole = 0;
    bool truth = false;
    struct span word = kind == ROWS_STRING ? text : trim(text);
    if (kind == ROWS_STRING ? text.size == 0 : is_missing(word)) {
        to->data[to->size++] = 0; /* the union's null */
        return NULL;
    }
    *at++ = 2; /* its other branch */
    if (kind == ROWS_STRING) {
        if (!utf8_valid(text)) {
            return "is not UTF-8";
        }
        if (rows_buffer_reserve(to, text.size + WRITER_LONG_SIZE_MAX + 1, &err) !=
            STATUS_OK) {
            return "does not fit into memory";
        }
        to->data[to->size] = 2;
        to->size = (size_t)(writer_bytes(to->data + to->size + 1, text) - to->data);
        return NULL;
    }
    if (kind == ROWS_DOUBLE) {
        if (!parse_real(word, &real)) {
            return "is not a number";
        }
        at = writer_raw(at, &real, sizeof(real));
    } else if (kind == ROWS_LONG) {
        if (!rows_long((const char *)word.data, word.size, &whole)) {
            return "is not a whole number of 64 bits, as those of the first rows are";
        }
        at = writer_long(at, whole);
    } else if (parse_boolean(word, &truth)) {
        *at++ = truth;
    } else {
        return "is neither true nor false, as those of the first rows are";
    }
    to->size = (size_t)(at - to->data);
    return NULL;
}

/* The fastest way, for most fields there are: a number without quotes or blanks. */
static bool quick_double(struct walk *w, struct rows_buffer *to) {
    double real;
    const char *behind = rows_real(w->at, &real);
    if (behind == NULL || !ends(w, *behind)) {
        return false;
    }
    to->data[to->size] = 2;
    memcpy(to->data + to->size + 1, &real, sizeof(real));
    to->size += 1 + sizeof(real);
    w->at = behind;
    return true;
}

/* Takes one row; what is wrong with it goes to `bad`. */
static enum status take_row(const struct rows_reader *reader, struct walk *w,
                            struct rows_buffer *to, char *bad, struct error *err) {
    int i = 0;
    bad[0] = 0;
    for (;; i++) {
        enum rows_kind kind =
            i < reader->column_count && bad[0] == 0 ? reader->columns[i].kind : ROWS_SKIP;
        if (kind != ROWS_DOUBLE || !quick_double(w, to)) {
            struct span text = take_field(w);
            const char *wrong = NULL;
            if (kind != ROWS_SKIP && !w->open) {
                wrong = encode(to, kind, text);
                /* A text may have taken the room of the numbers that are to come. */
                if (rows_buffer_reserve(to,
                                        (size_t)(reader->column_count - i) * NUMBER_SIZE,
                                        err) != STATUS_OK) {
                    return err->status;
                }
            }
            if (wrong != NULL) {
                (void)snprintf(bad, ROWS_BAD_TEXT_MAX, "column '%.100s' %s",
                               reader->columns[i].title, wrong);
            }
        }
        if (*w->at == '\n' || w->open) {
            break;
        }
        w->at++;
    }
    if (w->failed) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a row");
    }
    if (w->open) {
        (void)snprintf(bad, ROWS_BAD_TEXT_MAX, "a quote is left open in column %d",
                       i + 1);
    } else if (i + 1 != reader->column_count) {
        (void)snprintf(bad, ROWS_BAD_TEXT_MAX, "it has %d columns, the first line %d",
                       i + 1, reader->column_count);
    }
    return STATUS_OK;
}

static enum status decode_csv(const struct rows_reader *reader, struct rows_chunk *chunk,
                              struct error *err) {
    struct walk w = {.at = (const char *)chunk->raw.data,
                     .end = (const char *)chunk->raw.data + chunk->raw.size,
                     .delimiter = reader->delimiter,
                     .scratch = &chunk->scratch};
    char bad[ROWS_BAD_TEXT_MAX];
    while (w.at < w.end) {
        const char *start = w.at;
        size_t record = chunk->records.size, size;
        if (*start == '\n' || (*start == '\r' && start[1] == '\n')) {
            w.at += *start == '\r' ? 2 : 1;
            continue;
        }
        if (rows_buffer_reserve(&chunk->records,
                                (size_t)reader->column_count * NUMBER_SIZE,
                                err) != STATUS_OK ||
            take_row(reader, &w, &chunk->records, bad, err) != STATUS_OK) {
            return err->status;
        }
        size = (size_t)(w.at - start);
        size -= size > 0 && start[size - 1] == '\r';
        if (rows_place_add(chunk, record, span_of(start, size), bad[0] == 0 ? NULL : bad,
                           err) != STATUS_OK) {
            return err->status;
        }
        w.at++;
    }
    return STATUS_OK;
}

static const char *const extensions[] = {"csv", "tsv", NULL};
const struct rows_ops rows_csv_ops = {
    .name = "csv",
    .extensions = extensions,
    .open = open_csv,
    .bind = rows_bind_columns,
    .read = read_csv,
    .decode = decode_csv,
    .header = rows_csv_header,
    .row = rows_csv_row,
};
