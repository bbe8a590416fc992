/* row_mapping.c - see row_mapping.h. */
#include "tools/row_mapping.h"

#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "codec/avro_path.h"

#define FIELDS_MAX PLAN_WANTS_MAX
#define LIST_TEXT_MAX 600 /* bytes of columns named in an error */

/* A field that an input could be made of. */
struct candidate {
    const char *path;  /* in the records */
    const char *title; /* in the file */
    bool number, list;
    bool ignored;
    struct rows_column *column; /* or NULL */
};

struct chooser {
    const struct row_mapping_opts *opts;
    struct candidate *candidates; /* owned; top-level fields in their order */
    int candidate_count;
    struct mapping_input *inputs;   /* owned; one for each of the model */
    struct mapping_source *sources; /* owned; FIELDS_MAX of them, shared by the inputs */
    char (*paths)[AVRO_PATH_SIZE_MAX]; /* owned; of sources within JSON's objects */
    int path_count;
    int source_count;
    struct error *err;
};

/* ---- types --------------------------------------------------------------------------
 */

static enum status take_type(struct rows_reader *reader, const char *type,
                             struct error *err) {
    static const enum rows_kind kinds[] = {ROWS_LONG, ROWS_DOUBLE, ROWS_BOOLEAN,
                                           ROWS_STRING};
    const char *equals = strrchr(type, '=');
    char *title = equals == NULL ? NULL : strndup(type, (size_t)(equals - type));
    struct rows_column *column = title == NULL ? NULL : rows_reader_column(reader, title);
    free(title);
    for (size_t i = 0; column != NULL && i < ARRAY_COUNT(kinds); i++) {
        if (strcmp(equals + 1, rows_kind_name(kinds[i])) == 0 && column->shape == NULL) {
            column->kind = kinds[i];
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_INVALID,
                     column == NULL || column->shape != NULL
                         ? "--type %.100s: there is no such column of CSV"
                         : "--type %.100s: a type is long, double, boolean or string",
                     type);
}

enum status row_mapping_types(struct rows_reader *reader, const struct cli_list *types,
                              struct error *err) {
    enum status status = STATUS_OK;
    for (int i = 0; i < types->count && status == STATUS_OK; i++) {
        status = take_type(reader, types->items[i], err);
    }
    return status;
}

/* ---- what there is ------------------------------------------------------------------
 */

/* Through a union with null to what it may be. */
static const struct avro_node *not_null(const struct avro_node *type) {
    for (int i = 0; type->kind == AVRO_KIND_UNION && i < type->count; i++) {
        if (type->branches[i]->kind != AVRO_KIND_NULL) {
            return type->branches[i];
        }
    }
    return type;
}

static bool is_number(const struct avro_node *type) {
    return (type->kind >= AVRO_KIND_BOOLEAN && type->kind <= AVRO_KIND_DOUBLE) ||
           type->logical == AVRO_LOGICAL_DECIMAL;
}

static bool listed(const struct cli_list *list, const char *title) {
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], title) == 0) {
            return true;
        }
    }
    return false;
}

static enum status find_candidates(struct chooser *c) {
    int columns;
    struct rows_column *column = rows_reader_columns(c->opts->reader, &columns);
    const struct avro_schema *schema = rows_reader_schema(c->opts->reader);
    const struct avro_node *root = schema == NULL ? NULL : avro_schema_root(schema);
    int count = root == NULL ? columns : root->count;
    c->candidates = calloc((size_t)count + 1, sizeof(*c->candidates));
    if (c->candidates == NULL) {
        return error_set(c->err, STATUS_NO_MEMORY, "no memory for a mapping");
    }
    c->candidate_count = count;
    for (int i = 0; i < count; i++) {
        struct candidate *to = &c->candidates[i];
        if (root == NULL) {
            enum rows_kind kind = column[i].kind;
            *to = (struct candidate){.path = column[i].name,
                                     .title = column[i].title,
                                     .column = &column[i],
                                     .number = kind == ROWS_LONG || kind == ROWS_DOUBLE ||
                                               kind == ROWS_BOOLEAN,
                                     .list = kind == ROWS_NESTED};
        } else {
            const struct avro_node *type = not_null(root->fields[i].type);
            *to = (struct candidate){.path = root->fields[i].name,
                                     .title = root->fields[i].name,
                                     .number = is_number(type),
                                     .list = type->kind == AVRO_KIND_ARRAY ||
                                             type->kind == AVRO_KIND_BYTES ||
                                             type->kind == AVRO_KIND_FIXED};
        }
        to->ignored = listed(c->opts->ignored, to->title);
    }
    return STATUS_OK;
}

static struct candidate *find_candidate(struct chooser *c, const char *title,
                                        size_t size) {
    for (int i = 0; i < c->candidate_count; i++) {
        if (strlen(c->candidates[i].title) == size &&
            memcmp(c->candidates[i].title, title, size) == 0) {
            return &c->candidates[i];
        }
    }
    return NULL;
}

/* "a, b, c" of all columns, for errors. */
static const char *columns_text(const struct chooser *c, bool numbers, char *text) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < c->candidate_count && used + 8 < LIST_TEXT_MAX; i++) {
        if (!numbers || (c->candidates[i].number && !c->candidates[i].ignored)) {
            int n = snprintf(text + used, LIST_TEXT_MAX - used, "%s%s",
                             used > 0 ? ", " : "", c->candidates[i].title);
            used = size_min(used + (size_t)n, LIST_TEXT_MAX - 1);
        }
    }
    if (used + 8 >= LIST_TEXT_MAX) {
        memcpy(text + LIST_TEXT_MAX - 5, " ...", 5);
    }
    return text;
}

/* " (row 7)", from where on CSV has text, or that only some of JSON's rows have. */
static const char *since_text(const struct rows_column *column, char *text, size_t size) {
    text[0] = 0;
    if (column->text_row > 0) {
        (void)snprintf(text, size, " (row %d)", column->text_row);
    } else if (column->kind == ROWS_MIXED) {
        (void)snprintf(text, size, " (in some rows)");
    }
    return text;
}

/* "; of text are: a (row 1), b (row 7)", for errors. */
static const char *texts_text(const struct chooser *c, char *text) {
    char since[32];
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < c->candidate_count && used + 8 < LIST_TEXT_MAX; i++) {
        const struct candidate *from = &c->candidates[i];
        const struct rows_column *column = from->column;
        if (column != NULL && !from->ignored &&
            (column->kind == ROWS_STRING || column->kind == ROWS_MIXED)) {
            int n = snprintf(text + used, LIST_TEXT_MAX - used, "%s%s%s",
                             used > 0 ? ", " : "; of text are: ", from->title,
                             since_text(column, since, sizeof(since)));
            used = size_min(used + (size_t)n, LIST_TEXT_MAX - 1);
        }
    }
    return text;
}

/* What a file of one column may have been meant as, for errors. */
static const char *delimiter_text(const struct chooser *c) {
    const char *title = c->candidate_count == 1 ? c->candidates[0].title : "";
    bool is_csv = c->candidate_count == 1 && c->candidates[0].column != NULL;
    return !is_csv                       ? ""
           : strchr(title, ';') != NULL  ? "; or is it --delimiter ';'?"
           : strchr(title, '\t') != NULL ? "; or is it --delimiter '\\t'?"
           : strchr(title, '|') != NULL  ? "; or is it --delimiter '|'?"
                                         : "";
}

/* ---- choosing -----------------------------------------------------------------------
 */

static bool is_real(enum dtype dtype) {
    return dtype == DTYPE_F32 || dtype == DTYPE_F64 || dtype == DTYPE_F16 ||
           dtype == DTYPE_BF16;
}

/* Adds a source to the input that is being made, the last one that has any. */
static enum status add_source(struct chooser *c, struct mapping_input *input,
                              struct candidate *from, const char *path) {
    struct mapping_source *source;
    if (c->source_count == FIELDS_MAX) {
        return error_set(c->err, STATUS_UNSUPPORTED, "more than %d columns for inputs",
                         FIELDS_MAX);
    }
    source = &c->sources[c->source_count++];
    *source = (struct mapping_source){.place = from->title, .path = path};
    if (is_real(input->dtype) && !c->opts->missing_refused) {
        source->has_value = true;
        source->value = value_real((double)NAN);
    }
    if (input->source_count++ == 0) {
        input->sources = source;
    }
    if (from->column != NULL && from->column->shape == NULL) {
        if (input->dtype == DTYPE_STRING) {
            from->column->kind = ROWS_STRING;
        } else if (from->column->kind == ROWS_STRING ||
                   (from->column->kind == ROWS_LONG && is_real(input->dtype) &&
                    c->opts->needed_only)) {
            from->column->kind = ROWS_DOUBLE;
        }
    }
    return STATUS_OK;
}

static enum status no_column(struct chooser *c, const char *name, size_t size) {
    char text[LIST_TEXT_MAX];
    return error_set(c->err, STATUS_INVALID, "there is no column '%.*s'; there are: %s%s",
                     (int)size_min(size, 100), name, columns_text(c, false, text),
                     delimiter_text(c));
}

/* One name of a --map: a column, or a path into one that is nested. */
static enum status add_named(struct chooser *c, struct mapping_input *input,
                             const char *name, size_t size) {
    struct candidate *from = find_candidate(c, name, size);
    const char *dot = memchr(name, '.', size);
    char *path;
    int n;
    if (from != NULL) {
        return add_source(c, input, from, from->path);
    }
    from = dot == NULL ? NULL : find_candidate(c, name, (size_t)(dot - name));
    if (from == NULL) {
        return no_column(c, name, size);
    }
    if (c->path_count == FIELDS_MAX) {
        return error_set(c->err, STATUS_UNSUPPORTED, "more than %d columns for inputs",
                         FIELDS_MAX);
    }
    path = c->paths[c->path_count++];
    n = snprintf(path, AVRO_PATH_SIZE_MAX, "%s%.*s", from->path,
                 (int)(size - (size_t)(dot - name)), dot);
    if (n < 0 || n >= AVRO_PATH_SIZE_MAX) {
        return no_column(c, name, size);
    }
    return add_source(c, input, from, path);
}

static enum status take_map(struct chooser *c, const char *map) {
    const char *equals = strchr(map, '='), *at;
    int index = equals == NULL ? -1
                               : model_input_find(c->opts->model,
                                                  span_of(map, (size_t)(equals - map)));
    if (index < 0) {
        return error_set(
            c->err, STATUS_INVALID,
            "--map %.200s: INPUT=COLUMN,... is needed; the model's first input is '%s'",
            map, model_input(c->opts->model, 0)->name);
    }
    if (c->inputs[index].source_count > 0) {
        return error_set(c->err, STATUS_INVALID, "--map: input '%s' is there twice",
                         c->inputs[index].name);
    }
    for (at = equals + 1;;) {
        const char *comma = strchr(at, ',');
        size_t size = comma == NULL ? strlen(at) : (size_t)(comma - at);
        if (add_named(c, &c->inputs[index], at, size) != STATUS_OK) {
            return error_prefix(c->err, "--map %.100s", c->inputs[index].name);
        }
        if (comma == NULL) {
            return STATUS_OK;
        }
        at = comma + 1;
    }
}

/* Inputs that are called like columns; *left are those that are not. */
static enum status choose_by_name(struct chooser *c, int *left) {
    int count = model_input_count(c->opts->model);
    *left = 0;
    for (int i = 0; i < count; i++) {
        struct mapping_input *input = &c->inputs[i];
        struct candidate *from = find_candidate(c, input->name, strlen(input->name));
        if (input->source_count == 0 && from != NULL && !from->ignored &&
            add_source(c, input, from, from->path) != STATUS_OK) {
            return c->err->status;
        }
        *left += input->source_count == 0;
    }
    return STATUS_OK;
}

/* Elements of a row; 0 where a dimension is free. */
static size_t elements_of(const struct mapping_input *input) {
    size_t count;
    return tensor_dims_count(input->dims, input->rank, &count) ? count : 0;
}

static enum status choose_for_only(struct chooser *c, struct mapping_input *input) {
    size_t wanted = elements_of(input), numbers = 0;
    struct candidate *list = NULL;
    char text[LIST_TEXT_MAX], texts[LIST_TEXT_MAX];
    int lists = 0;
    for (int i = 0; i < c->candidate_count; i++) {
        struct candidate *from = &c->candidates[i];
        numbers += from->number && !from->ignored;
        if (from->list && !from->ignored) {
            lists++;
            list = from;
        }
    }
    if (lists == 1 && numbers != wanted) {
        return add_source(c, input, list, list->path);
    }
    if (numbers == 0 || input->dtype == DTYPE_STRING ||
        (wanted > 0 && numbers != wanted)) {
        return error_set(c->err, STATUS_INVALID,
                         "--map '%s=COLUMN,...' or --ignore COLUMN is needed: the input "
                         "takes %zu values a row, and %zu columns hold numbers%s%s%s%s",
                         input->name, wanted, numbers, numbers > 0 ? ", " : "",
                         columns_text(c, true, text),
                         numbers < wanted ? texts_text(c, texts) : "", delimiter_text(c));
    }
    for (int i = 0; i < c->candidate_count; i++) {
        struct candidate *from = &c->candidates[i];
        if (from->number && !from->ignored &&
            add_source(c, input, from, from->path) != STATUS_OK) {
            return c->err->status;
        }
    }
    return STATUS_OK;
}

static enum status choose(struct chooser *c) {
    int count = model_input_count(c->opts->model), left = 0;
    char text[LIST_TEXT_MAX];
    enum status status = STATUS_OK;
    for (int i = 0; i < c->opts->maps->count && status == STATUS_OK; i++) {
        status = take_map(c, c->opts->maps->items[i]);
    }
    if (status == STATUS_OK) {
        status = choose_by_name(c, &left);
    }
    if (status != STATUS_OK || left == 0) {
        return status;
    }
    if (count == 1) {
        return choose_for_only(c, &c->inputs[0]);
    }
    for (int i = 0; i < count; i++) {
        if (c->inputs[i].source_count == 0) {
            return error_set(c->err, STATUS_INVALID,
                             "--map '%s=COLUMN,...' is needed: no column is called like "
                             "this input; there are: %s%s",
                             c->inputs[i].name, columns_text(c, false, text),
                             delimiter_text(c));
        }
    }
    return STATUS_OK;
}

/* ---- columns ------------------------------------------------------------------------
 */

static bool is_source(const struct chooser *c, const struct candidate *from) {
    for (int i = 0; i < c->source_count; i++) {
        if (c->sources[i].place == from->title) {
            return true;
        }
    }
    return false;
}

/* What nobody asks for need not be decoded. */
static void skip_others(struct chooser *c) {
    for (int i = 0; i < c->candidate_count; i++) {
        struct candidate *from = &c->candidates[i];
        if (from->column != NULL && !is_source(c, from)) {
            from->column->kind = ROWS_SKIP;
        }
    }
}

static void say(const struct chooser *c, struct row_mapping *out) {
    size_t used = 0;
    for (int i = 0; i < model_input_count(c->opts->model); i++) {
        const struct mapping_input *input = &c->inputs[i];
        for (int k = 0; k < input->source_count && used + 2 < sizeof(out->text); k++) {
            int n = k == 0 ? snprintf(out->text + used, sizeof(out->text) - used,
                                      "%sinput '%s' is made of %s", i > 0 ? "\n" : "",
                                      input->name, input->sources[k].place)
                           : snprintf(out->text + used, sizeof(out->text) - used, ", %s",
                                      input->sources[k].place);
            used = size_min(used + (size_t)n, sizeof(out->text) - 1);
        }
    }
}

/* ---- life ---------------------------------------------------------------------------
 */

static enum status make_inputs(struct chooser *c) {
    int count = model_input_count(c->opts->model);
    c->inputs = calloc((size_t)count + 1, sizeof(*c->inputs));
    c->sources = calloc(FIELDS_MAX, sizeof(*c->sources));
    c->paths = calloc(FIELDS_MAX, sizeof(*c->paths));
    if (c->inputs == NULL || c->sources == NULL || c->paths == NULL) {
        return error_set(c->err, STATUS_NO_MEMORY, "no memory for a mapping");
    }
    for (int i = 0; i < count; i++) {
        const struct model_port *port = model_input(c->opts->model, i);
        struct mapping_input *input = &c->inputs[i];
        input->name = port->name;
        input->dtype = port->type.dtype;
        input->rank = port->type.rank - 1;
        memcpy(input->dims, &port->type.dims[1],
               sizeof(input->dims[0]) * (size_t)input->rank);
    }
    return STATUS_OK;
}

enum status row_mapping_create(const struct row_mapping_opts *opts,
                               struct row_mapping *out, struct error *err) {
    struct chooser c = {.opts = opts, .err = err};
    enum status status = row_mapping_types(opts->reader, opts->types, err);
    if (status == STATUS_OK) {
        status = find_candidates(&c);
    }
    out->mapping = NULL;
    out->text[0] = 0;
    for (int i = 0; i < opts->ignored->count && status == STATUS_OK; i++) {
        const char *name = opts->ignored->items[i];
        if (find_candidate(&c, name, strlen(name)) == NULL) {
            status = no_column(&c, name, strlen(name));
            (void)error_prefix(err, "--ignore"); /* its status is the same */
        }
    }
    if (status == STATUS_OK) {
        status = make_inputs(&c);
    }
    if (status == STATUS_OK) {
        status = choose(&c);
    }
    if (status == STATUS_OK && opts->needed_only) {
        skip_others(&c);
    }
    if (status == STATUS_OK) {
        status = rows_reader_bind(opts->reader, err);
    }
    if (status == STATUS_OK) {
        say(&c, out);
        status =
            mapping_create(avro_schema_root(rows_reader_schema(opts->reader)), NULL,
                           c.inputs, model_input_count(opts->model), &out->mapping, err);
    }
    free(c.candidates);
    free(c.inputs);
    free(c.sources);
    free(c.paths);
    return status;
}

void row_mapping_release(struct row_mapping *mapping) {
    mapping_destroy(mapping->mapping);
    *mapping = (struct row_mapping){.mapping = NULL};
}
