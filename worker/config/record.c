/* record.c - see record.h: the inputs and answers of a route's `record`. */
#include "config/record_forms.h"

/* ---- inputs and answers as a whole ---- */

/* Takes what a name stands for into the item at `to`. */
typedef void named_take_fn(const struct spot *spot, const char *name, void *to);

/* The settings of a group by their names, or a list of groups that give their name as
 * the member `key`; or NULL, after a problem or where `spot` is neither. */
static void *take_named(const struct spot *spot, const char *key, size_t count_max,
                        size_t size, named_take_fn *take, size_t *count) {
    int length = config_setting_length(spot->node);
    char *items;
    *count = 0;
    if (length < 1 || (size_t)length > count_max) {
        spot_problem(spot, "has %d settings: must be 1 to %zu", length, count_max);
        return NULL;
    }
    items = loader_alloc(spot->loader, (size_t)length, size);
    for (int i = 0; items != NULL && i < length; i++) {
        struct spot item = spot_item(spot, i);
        const char *name = config_setting_name(item.node);
        if (name != NULL) {
            item = spot_member(spot, name);
            name = loader_format(spot->loader, "%s", name); /* outlives the tree */
        } else {
            const struct spot named = spot_is_group(&item) ? spot_member(&item, key)
                                                           : (struct spot){.node = NULL};
            if (named.node == NULL) {
                spot_problem(&item, "must be a group with '%s': { %s = \"...\"; ... }",
                             key, key);
                continue;
            }
            name = spot_text(&named);
        }
        take(&item, name, items + (size_t)i * size);
    }
    *count = items == NULL ? 0 : (size_t)length;
    return items;
}

static void note_names(const struct spot *spot, const char *names) {
    value_note(spot->loader, spot->name, names, source_where(spot->loader, spot->node),
               changes_sum_node(spot->node));
}

/* ---- inputs ---- */

static void take_input(const struct spot *spot, const char *name, void *to) {
    static const struct form listed[] = {{"input", "", ""}, {"fields", "", ""}};
    struct config_input *input = to;
    *input = (struct config_input){.place = source_where(spot->loader, spot->node),
                                   .name = name};
    if (config_setting_name(spot->node) != NULL) {
        sources_take(spot, input);
        return;
    }
    const struct spot fields = spot_member(spot, "fields");
    spot_check_names(spot, listed, ARRAY_COUNT(listed), NULL);
    if (fields.node == NULL) {
        spot_problem(spot, "must have 'fields'");
    } else {
        sources_take(&fields, input);
    }
}

/* A list whose first item is { input = ...; } names inputs; any other is the fields of
 * the only input. */
static bool names_inputs(const struct spot *spot) {
    if (spot_is_group(spot)) {
        return true;
    }
    if (!spot_is_list(spot) || config_setting_length(spot->node) == 0) {
        return false;
    }
    const struct spot first = spot_item(spot, 0);
    return spot_is_group(&first) && spot_member(&first, "input").node != NULL;
}

void record_take_inputs(struct loader *loader, const struct given *given, char *base) {
    struct config_record *record = (struct config_record *)(void *)base;
    const struct spot spot = {loader, given->name, given->node};
    struct config_input *inputs;
    const char *names = "";
    if (names_inputs(&spot)) {
        inputs = take_named(&spot, "input", CONFIG_INPUTS_MAX, sizeof(*inputs),
                            take_input, &record->input_count);
    } else {
        inputs = loader_alloc(loader, 1, sizeof(*inputs));
        if (inputs == NULL) {
            return;
        }
        *inputs = (struct config_input){.place = given->origin, .name = ""};
        sources_take(&spot, inputs);
        record->input_count = 1;
    }
    record->inputs = inputs;
    for (size_t i = 0; i < record->input_count; i++) {
        names = loader_format(
            loader, "%s%s%s%zu %s", names, i == 0 ? "" : ", ",
            inputs[i].name[0] == 0 ? "" : loader_format(loader, "%s: ", inputs[i].name),
            inputs[i].source_count, inputs[i].source_count == 1 ? "field" : "fields");
    }
    note_names(&spot, names);
}

/* ---- the job's own ---- */

static void take_own(struct loader *loader, const struct given *given,
                     struct config_source *to) {
    const struct spot spot = {loader, given->name, given->node};
    *to = (struct config_source){.place = given->origin, .field = spot_text(&spot)};
    note_names(&spot, to->field);
}

void record_take_deadline(struct loader *loader, const struct given *given, char *base) {
    take_own(loader, given, &((struct config_record *)(void *)base)->deadline);
}

void record_take_priority(struct loader *loader, const struct given *given, char *base) {
    take_own(loader, given, &((struct config_record *)(void *)base)->priority);
}

/* ---- answers ---- */

static const struct form answer_members[] = {
    {"output", "output = \"probabilities\";",
     "the model's output; may be left out where there is only one"},
    {"element", "element = 1;", "this element of its row alone, counted from 0"},
    {"top", "top = 3;",
     "the 3 largest elements: a list of records of label (an index, without `labels`) "
     "and "
     "score"},
    {"labels", "labels = \"labels.txt\";",
     "the words that indexes stand for: a file with one on each line, or a list; without "
     "`top`, the label of the largest element, or of the index that the output is"},
    {"form", "form = \"score\";",
     "\"label\", \"score\" (the largest element), or \"tensor\": the output as it is, a "
     "single value or a list, which is what a text alone or no other member means"},
};

static const char *const forms[] = {"tensor", "label", "score"};

static const char *take_form(const struct spot *spot) {
    const char *name = spot_text(spot);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        if (strcmp(name, forms[i]) == 0) {
            return forms[i];
        }
    }
    if (name[0] != 0) {
        spot_problem(spot, "must be \"tensor\", \"label\" or \"score\"");
    }
    return "";
}

static void take_answer_group(const struct spot *spot,
                              struct config_answer_field *field) {
    const struct spot output = spot_member(spot, "output");
    const struct spot element = spot_member(spot, "element");
    const struct spot top = spot_member(spot, "top");
    const struct spot labels = spot_member(spot, "labels");
    const struct spot form = spot_member(spot, "form");
    bool listed = config_setting_name(spot->node) == NULL;
    spot_check_names(spot, answer_members, ARRAY_COUNT(answer_members),
                     listed ? "name" : NULL);
    if ((element.node != NULL) + (top.node != NULL) + (form.node != NULL) > 1) {
        spot_problem(spot, "'element', 'top' and 'form' exclude each other");
    }
    if (labels.node != NULL && element.node != NULL) {
        spot_problem(&labels, "goes with a label or 'top', not with 'element'");
    }
    if (output.node != NULL) {
        field->output = spot_text(&output);
    }
    if (labels.node != NULL) {
        field->form = "label";
        spot_words(&labels, &field->labels);
    }
    if (element.node != NULL) {
        field->form = "element";
        field->element = spot_integer(&element, 0, INT32_MAX);
    } else if (top.node != NULL) {
        field->form = "top";
        field->top = spot_integer(&top, 1, CONFIG_ANSWER_FIELDS_MAX);
    } else if (form.node != NULL) {
        field->form = take_form(&form);
    }
}

static void take_answer(const struct spot *spot, const char *name, void *to) {
    struct config_answer_field *field = to;
    *field = (struct config_answer_field){.place = source_where(spot->loader, spot->node),
                                          .name = name,
                                          .output = "",
                                          .form = "tensor"};
    if (spot_is_group(spot)) {
        take_answer_group(spot, field);
    } else {
        field->output = spot_text(spot);
    }
}

void record_take_answers(struct loader *loader, const struct given *given, char *base) {
    struct config_record *record = (struct config_record *)(void *)base;
    const struct spot spot = {loader, given->name, given->node};
    struct config_answer_field *fields = NULL;
    const char *names = "";
    if (!spot_is_group(&spot) && !spot_is_list(&spot)) {
        spot_problem(&spot, "must be a group: { score = \"probabilities\"; }");
    } else {
        fields = take_named(&spot, "name", CONFIG_ANSWER_FIELDS_MAX, sizeof(*fields),
                            take_answer, &record->output_count);
    }
    record->outputs = fields;
    for (size_t i = 0; i < record->output_count; i++) {
        names =
            loader_format(loader, "%s%s%s", names, i == 0 ? "" : ", ", fields[i].name);
    }
    note_names(&spot, names);
}

/* ---- the reference ---- */

void record_reference(FILE *to) {
    sources_reference(to);
    (void)fputs(
        "\n### The fields of an answer\n"
        "\n"
        "A text is the model's output as it is; a group says more:\n"
        "\n"
        "    outputs = { score = { output = \"probabilities\"; element = 1; }; };\n"
        "    outputs = { kind = { output = \"scores\"; labels = \"labels.txt\"; }; raw = "
        "\"scores\"; };\n"
        "    outputs = ( { name = \"_score\"; output = \"probabilities\"; } );  # odd "
        "names\n"
        "\n"
        "| member | example | meaning |\n|---|---|---|\n",
        to);
    forms_print(answer_members, ARRAY_COUNT(answer_members), to);
}
