/* init_propose.c - see init_propose.h. */
#include "tools/init_propose.h"

#include <ctype.h>
#include <stdio.h>

#include "base/text.h"

/* ---- the fields ----------------------------------------------------------------------
 */

struct gathering {
    const struct avro_node *record;
    struct init_proposal *to;
};

static void add_field(void *opaque, const char *path) {
    struct gathering *g = opaque;
    struct init_field *field = &g->to->fields[g->to->field_count];
    struct avro_path_end end;
    struct error err;
    if (g->to->field_count == INIT_FIELDS_MAX || strlen(path) >= INIT_PATH_MAX ||
        avro_path_find(g->record, path, &end, &err) != STATUS_OK) {
        return; /* ends at null, for instance: nothing to read */
    }
    *field = (struct init_field){
        .type = end.type, .lists = end.lists, .nullable = end.nullable};
    (void)snprintf(field->path, sizeof(field->path), "%s", path);
    g->to->field_count++;
}

static bool is_time(const struct avro_node *type) {
    return type->logical >= AVRO_LOGICAL_DATE;
}

static bool is_bytes(const struct avro_node *type) {
    return (type->kind == AVRO_KIND_BYTES || type->kind == AVRO_KIND_FIXED) &&
           type->logical != AVRO_LOGICAL_DECIMAL;
}

static bool is_real(enum dtype dtype) {
    return dtype == DTYPE_F32 || dtype == DTYPE_F64 || dtype == DTYPE_F16 ||
           dtype == DTYPE_BF16;
}

/* May a value of the type be an element, as it is? */
static bool suits(const struct avro_node *type, enum dtype dtype) {
    switch (type->kind) {
    case AVRO_KIND_STRING:
    case AVRO_KIND_ENUM:
        return dtype == DTYPE_STRING;
    case AVRO_KIND_BOOLEAN:
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
        return dtype != DTYPE_STRING && !is_time(type);
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
        return is_real(dtype);
    case AVRO_KIND_BYTES:
    case AVRO_KIND_FIXED:
        return is_real(dtype) && type->logical == AVRO_LOGICAL_DECIMAL;
    case AVRO_KIND_NULL:
    case AVRO_KIND_RECORD:
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
    case AVRO_KIND_UNION:
    case AVRO_KIND_COUNT:
        break;
    }
    return false;
}

/* ---- names ----------------------------------------------------------------------------
 */

/* Small letters and digits alone: "Customer_Age" and "customerAge" are one. */
static void plain(const char *name, char to[TEXT_NEAREST_SIZE_MAX]) {
    size_t used = 0;
    for (; *name != 0 && used < TEXT_NEAREST_SIZE_MAX - 1; name++) {
        if (isalnum((unsigned char)*name)) {
            to[used++] = (char)tolower((unsigned char)*name);
        }
    }
    to[used] = 0;
}

static const char *last_name(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot == NULL ? path : dot + 1;
}

/* How far the names are from each other, 0 for the same; SIZE_MAX for too far. */
static size_t distance(const char *input, const char *path) {
    char a[TEXT_NEAREST_SIZE_MAX], b[TEXT_NEAREST_SIZE_MAX];
    size_t best = SIZE_MAX;
    plain(input, a);
    for (int whole = 0; whole < 2; whole++) {
        plain(whole ? path : last_name(path), b);
        size_t longer = strlen(a) > strlen(b) ? strlen(a) : strlen(b);
        size_t it = text_distance(a, b);
        if (it < best && it <= longer / 3) {
            best = it;
        }
    }
    return best;
}

static bool is_called_id(const char *path) {
    const char *name = last_name(path);
    size_t size = strlen(name);
    char all[TEXT_NEAREST_SIZE_MAX];
    plain(name, all);
    return strcmp(all, "id") == 0 || strcmp(all, "uuid") == 0 ||
           strcmp(all, "key") == 0 || (size > 3 && strcmp(name + size - 3, "_id") == 0) ||
           (size > 2 && strcmp(name + size - 2, "Id") == 0);
}

/* ---- choosing -------------------------------------------------------------------------
 */

static void take(struct init_input *input, struct init_field *field) {
    field->used = true;
    input->sources[input->source_count++] = (struct init_source){.field = field};
}

static void take_constant(struct init_proposal *p, struct init_input *input,
                          int64_t count) {
    if (count > 0) {
        p->constant_count += (int)count;
        input->sources[input->source_count++] = (struct init_source){.count = count};
    }
}

/* The unused field that is nearest by its name; lists (and bytes), or single values. */
static struct init_field *nearest(struct init_proposal *p, const struct init_input *input,
                                  bool lists, int *count) {
    struct init_field *found = NULL, *only = NULL;
    size_t least = SIZE_MAX;
    *count = 0;
    for (int i = 0; i < p->field_count; i++) {
        struct init_field *field = &p->fields[i];
        enum dtype dtype = input->port->type.dtype;
        bool raw =
            lists && field->lists == 0 && is_bytes(field->type) && dtype != DTYPE_STRING;
        bool fits = raw || (suits(field->type, dtype) && (field->lists > 0) == lists);
        if (field->used || !fits) {
            continue;
        }
        size_t it = distance(input->port->name, field->path);
        only = field;
        ++*count;
        if (it < least) {
            least = it;
            found = field;
        }
    }
    return found != NULL || *count != 1 || !lists ? found : only;
}

static int count_values(const struct init_proposal *p, enum dtype dtype, bool ids) {
    int count = 0;
    for (int i = 0; i < p->field_count; i++) {
        const struct init_field *field = &p->fields[i];
        count += !field->used && field->lists == 0 && suits(field->type, dtype) &&
                 (ids || !is_called_id(field->path));
    }
    return count;
}

/* All single values of the input's kind, in their order, as far as there is room. */
static void take_values(struct init_proposal *p, struct init_input *input) {
    enum dtype dtype = input->port->type.dtype;
    bool free_size = input->elements < 0;
    bool ids = !free_size && count_values(p, dtype, true) == input->elements;
    int64_t left = free_size ? INIT_FIELDS_MAX : input->elements;
    for (int i = 0; i < p->field_count && left > 0; i++) {
        struct init_field *field = &p->fields[i];
        if (!field->used && field->lists == 0 && suits(field->type, dtype) &&
            (ids || !is_called_id(field->path))) {
            take(input, field);
            left--;
        }
    }
    take_constant(p, input, free_size ? input->source_count == 0 : left);
}

static int64_t row_elements(const struct model_port *port) {
    int64_t count = 1;
    for (int i = 1; i < port->type.rank; i++) {
        int64_t dim = port->type.dims[i];
        if (dim < 0 || dim > INT32_MAX || count > INT32_MAX) {
            return -1;
        }
        count *= dim;
    }
    return count;
}

void init_propose(const struct model_port *const *inputs, int input_count,
                  const struct avro_node *record, struct init_proposal *p) {
    struct gathering gathering = {.record = record, .to = p};
    *p = (struct init_proposal){.input_count = input_count};
    avro_path_each(record, INIT_FIELDS_MAX, add_field, &gathering);
    for (int i = 0; i < p->input_count; i++) {
        p->inputs[i] =
            (struct init_input){.port = inputs[i], .elements = row_elements(inputs[i])};
    }
    for (int pass = 0; pass < 2; pass++) { /* those with names and lists first */
        for (int i = 0; i < p->input_count; i++) {
            struct init_input *input = &p->inputs[i];
            bool one = input->elements == 1;
            int count;
            struct init_field *field = pass == 0 ? nearest(p, input, !one, &count) : NULL;
            if (field != NULL) {
                take(input, field);
            } else if (pass == 1 && input->source_count == 0 && one &&
                       p->input_count > 1) {
                take_constant(p, input, 1);
            } else if (pass == 1 && input->source_count == 0) {
                take_values(p, input);
            }
        }
    }
}
