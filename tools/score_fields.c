/* score_fields.c - which fields the predictions become; see score.h. */
#include <stdlib.h>

#include "base/size.h"
#include "base/text.h"
#include "tools/score.h"

#define EXPANDED_MAX 32 /* elements of an output that become columns of CSV */

static enum status take_name(struct score_plan *plan, char *name, struct error *err) {
    if (name == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a name");
    }
    plan->names[plan->field_count] = name;
    return STATUS_OK;
}

static enum status add_field(struct score_plan *plan, char *name, const char *output,
                             enum record_form form, size_t element, struct error *err) {
    if (plan->field_count == RECORD_OUT_FIELDS_MAX) {
        free(name);
        return error_set(err, STATUS_UNSUPPORTED, "more than %d fields of predictions",
                         RECORD_OUT_FIELDS_MAX);
    }
    if (take_name(plan, name, err) != STATUS_OK) {
        return err->status;
    }
    plan->fields[plan->field_count++] = (struct record_field){
        .name = name, .output = output, .form = form, .element = element, .top = 1};
    return STATUS_OK;
}

/* Is there a field or column of the name already? */
static bool is_taken(const struct score_plan *plan, const char *name) {
    const struct avro_node *root = avro_schema_root(rows_reader_schema(plan->reader));
    int columns;
    const struct rows_column *column = rows_reader_columns(plan->reader, &columns);
    bool taken = avro_field_find(root, span_text(name)) >= 0;
    for (int i = 0; i < columns && !taken; i++) {
        taken = strcmp(column[i].title, name) == 0 || strcmp(column[i].name, name) == 0;
    }
    return taken && !plan->opts->only_predictions;
}

/* A name that Avro takes and that the input does not have; with an element's number where
 * it is not negative. */
static char *make_name(const struct score_plan *plan, const char *output, int element) {
    size_t size = strlen(output) + 64;
    char *name = malloc(size), *at;
    int used = 0;
    bool digit = output[0] >= '0' && output[0] <= '9';
    if (name == NULL) {
        return NULL;
    }
    for (int round = 0; round < 3; round++) {
        const char *head = round == 0   ? (digit ? "_" : "")
                           : round == 1 ? "predicted_"
                                        : "millrace_predicted_";
        used = snprintf(name, size, "%s%s", head, output);
        for (at = name; *at != 0; at++) {
            bool fine = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                        (*at >= '0' && *at <= '9');
            *at = fine ? *at : '_';
        }
        if (element >= 0) {
            (void)snprintf(name + used, size - (size_t)used, "_%d", element);
        }
        if (!is_taken(plan, name)) {
            break;
        }
    }
    return name;
}

/* Every output as it is; for CSV the elements of short ones in columns of their own. */
static enum status choose_all(struct score_plan *plan, struct error *err) {
    int count = model_output_count(plan->model);
    enum status status = STATUS_OK;
    for (int i = 0; i < count && status == STATUS_OK; i++) {
        const struct record_output *output = &plan->outputs[i];
        size_t elements = 0;
        bool known = tensor_dims_count(output->dims, output->rank, &elements);
        if (plan->to != ROWS_CSV || !known || elements < 2 || elements > EXPANDED_MAX) {
            status = add_field(plan, make_name(plan, output->name, -1), output->name,
                               RECORD_TENSOR, 0, err);
            continue;
        }
        for (size_t k = 0; k < elements && status == STATUS_OK; k++) {
            status = add_field(plan, make_name(plan, output->name, (int)k), output->name,
                               RECORD_ELEMENT, k, err);
        }
    }
    return status;
}

static enum status wrong_form(const char *text, struct error *err) {
    return error_set(err, STATUS_INVALID,
                     "--predict %.200s: NAME=OUTPUT or NAME=OUTPUT:FORM is needed, and "
                     "FORM is label, score, topN or an element's number",
                     text);
}

/* What stands behind the output's name; none is the output as it is. */
static bool parse_form(const char *text, struct record_field *field) {
    int64_t number = 0;
    if (strcmp(text, "label") == 0 || strcmp(text, "score") == 0) {
        field->form = record_form_parse(text);
        return true;
    }
    if (strncmp(text, "top", 3) == 0 && text_parse_int(text + 3, &number) &&
        number >= 1 && number <= RECORD_OUT_TOP_MAX) {
        field->form = RECORD_TOP;
        field->top = (int)number;
        return true;
    }
    if (text_parse_int(text, &number) && number >= 0 && number < INT32_MAX) {
        field->form = RECORD_ELEMENT;
        field->element = (size_t)number;
        return true;
    }
    return false;
}

/* "NAME=OUTPUT:FORM"; an output's name may hold colons, so the whole is tried first. */
static enum status take_prediction(struct score_plan *plan, const char *text,
                                   struct error *err) {
    const char *equals = strchr(text, '=');
    const char *colon = strrchr(text, ':');
    struct record_field form = {.form = RECORD_TENSOR, .top = 1};
    const char *output = equals == NULL ? text : equals + 1;
    int index = model_output_find(plan->model, span_text(output));
    char *name;
    if (index < 0 && colon != NULL && colon > output && parse_form(colon + 1, &form)) {
        index = model_output_find(plan->model, span_of(output, (size_t)(colon - output)));
    } else if (index < 0 && colon != NULL && colon > output) {
        return wrong_form(text, err);
    }
    if (index < 0) {
        return error_set(err, STATUS_INVALID,
                         "--predict %.200s: the model has no such output; its first one "
                         "is '%s'",
                         text, model_output(plan->model, 0)->name);
    }
    if (equals == NULL) {
        name = make_name(plan, model_output(plan->model, index)->name, -1);
    } else {
        name = malloc((size_t)(equals - text) + 1);
        if (name != NULL) {
            memcpy(name, text, (size_t)(equals - text));
            name[equals - text] = 0;
        }
    }
    if (name != NULL && is_taken(plan, name)) {
        (void)error_set(err, STATUS_INVALID,
                        "--predict %.200s: the input has a column '%s' already", text,
                        name);
        free(name);
        return err->status;
    }
    if (add_field(plan, name, model_output(plan->model, index)->name, form.form,
                  form.element, err) != STATUS_OK) {
        return err->status;
    }
    plan->fields[plan->field_count - 1].top = form.top;
    return STATUS_OK;
}

enum status score_fields_choose(struct score_plan *plan, struct error *err) {
    const struct cli_list *chosen = &plan->opts->predictions;
    enum status status = STATUS_OK;
    if (chosen->count == 0) {
        return choose_all(plan, err);
    }
    for (int i = 0; i < chosen->count && status == STATUS_OK; i++) {
        status = take_prediction(plan, chosen->items[i], err);
    }
    return status;
}
