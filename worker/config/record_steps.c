/* record_steps.c - where an input's elements come from: fields, constants, and the steps
 * that a value passes. */
#include "base/text.h"
#include "config/record_forms.h"

#define LIST_COUNT_MAX 65536   /* values of a list */
#define BUCKETS_MAX (1 << 24)  /* of a hash */
#define ONE_HOT_MAX 65536      /* elements */
#define SEED_MAX 4294967295LL  /* of a hash */
#define UNKNOWN_MAX 2147483647 /* the number of an unknown word */

/* ---- steps ---- */

/* What stands behind a step's name. */
typedef void step_take_fn(const struct spot *group, const struct spot *value,
                          struct config_step *step);

static void take_scale(const struct spot *group, const struct spot *value,
                       struct config_step *step) {
    (void)group; /* has nothing else */
    if (spot_is_number(value)) {
        step->a = spot_number(value);
        return;
    }
    if (!spot_is_list(value) || config_setting_length(value->node) != 2) {
        spot_problem(value, "must be a number, or two: [factor, offset]");
        return;
    }
    const struct spot a = spot_item(value, 0), b = spot_item(value, 1);
    step->a = spot_number(&a);
    step->b = spot_number(&b);
}

static void take_clip(const struct spot *group, const struct spot *value,
                      struct config_step *step) {
    (void)group; /* has nothing else */
    if (!spot_is_list(value) || config_setting_length(value->node) != 2) {
        spot_problem(value, "must be two numbers: [least, most]");
        return;
    }
    const struct spot a = spot_item(value, 0), b = spot_item(value, 1);
    step->a = spot_number(&a);
    step->b = spot_number(&b);
    if (step->a > step->b) {
        spot_problem(value, "the least, %g, is above the most, %g", step->a, step->b);
    }
}

static void take_vocabulary(const struct spot *group, const struct spot *value,
                            struct config_step *step) {
    const struct spot unknown = spot_member(group, "unknown");
    spot_words(value, &step->words);
    step->refuse_unknown = unknown.node == NULL;
    if (unknown.node != NULL) {
        step->unknown = spot_integer(&unknown, -1, UNKNOWN_MAX);
    }
}

static void take_hash(const struct spot *group, const struct spot *value,
                      struct config_step *step) {
    const struct spot seed = spot_member(group, "seed");
    step->count = spot_integer(value, 1, BUCKETS_MAX);
    step->a = seed.node == NULL ? 0 : (double)spot_integer(&seed, 0, SEED_MAX);
}

static void take_one_hot(const struct spot *group, const struct spot *value,
                         struct config_step *step) {
    (void)group; /* has nothing else */
    step->count = spot_integer(value, 1, ONE_HOT_MAX);
}

static const struct {
    struct form form;
    step_take_fn *take; /* NULL: the name alone */
    const char *also;   /* another member that it may have */
} steps[] = {
    {{"scale", "{ scale = [0.01, -2.5]; }",
      "number * 0.01 - 2.5; the offset may be left "
      "out: `{ scale = 0.01; }`"},
     take_scale,
     NULL},
    {{"clip", "{ clip = [0, 100]; }",
      "a number, not below the first nor above the second"},
     take_clip,
     NULL},
    {{"log1p", "\"log1p\"", "log(1 + number); below -1 is a dead letter"}, NULL, NULL},
    {{"vocabulary", "{ vocabulary = [\"CH\", \"DE\"]; unknown = -1; }",
      "the index of a text, or of an integer's digits, from 0 up. A text instead of the "
      "list names a file with a word on each line. Without `unknown` any other word is a "
      "dead letter"},
     take_vocabulary,
     "unknown"},
    {{"hash", "{ hash = 1000; seed = 0; }",
      "murmurhash3_32 of a text, or of an integer's digits, modulo 1000, as "
      "scikit-learn's; the seed may be left out"},
     take_hash,
     "seed"},
    {{"one_hot", "{ one_hot = 3; }",
      "3 elements, 1 at the number and 0 elsewhere; all 0 for -1. The last step"},
     take_one_hot,
     NULL},
    {{"seconds", "\"seconds\"",
      "a date, time or timestamp in seconds since 1970 or midnight"},
     NULL,
     NULL},
    {{"hour", "\"hour\"", "the hour of a time or timestamp, 0 to 23 (UTC)"}, NULL, NULL},
    {{"weekday", "\"weekday\"", "the day of a date or timestamp, 0 for Monday (UTC)"},
     NULL,
     NULL},
};

static void refuse_step(const struct spot *spot, const char *name) {
    const char *names[ARRAY_COUNT(steps)];
    const char *nearest;
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        names[i] = steps[i].form.name;
    }
    nearest = text_nearest(name, names, ARRAY_COUNT(names));
    spot_problem(spot, "there is no step '%.*s'%s%s%s", LOADER_SHOWN_MAX, name,
                 nearest == NULL ? "" : "; is '", nearest == NULL ? "" : nearest,
                 nearest == NULL ? "" : "' meant?");
}

static int find_step(const char *name) {
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        if (strcmp(steps[i].form.name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* "log1p" */
static void take_step_name(const struct spot *spot, struct config_step *step) {
    const char *name = spot_text(spot);
    int index = find_step(name);
    if (index < 0) {
        refuse_step(spot, name);
    } else if (steps[index].take != NULL) {
        spot_problem(spot, "must say more: %s", steps[index].form.written);
    } else {
        step->name = steps[index].form.name;
    }
}

/* { hash = 1000; seed = 1; }: the first member names the step. */
static void take_step_group(const struct spot *spot, struct config_step *step) {
    const config_setting_t *first = config_setting_get_elem(spot->node, 0);
    const char *name = first == NULL ? "" : config_setting_name(first);
    int index = find_step(name);
    struct spot value;
    if (index < 0) {
        refuse_step(spot, name);
        return;
    }
    if (steps[index].take == NULL) {
        spot_problem(spot, "must be the name alone: %s", steps[index].form.written);
        return;
    }
    value = spot_member(spot, name);
    step->name = steps[index].form.name;
    spot_check_names(spot, &steps[index].form, 1, steps[index].also);
    steps[index].take(spot, &value, step);
}

static void take_step(const struct spot *spot, struct config_step *step) {
    if (spot_is_group(spot)) {
        take_step_group(spot, step);
    } else {
        take_step_name(spot, step);
    }
}

static void take_steps(const struct spot *spot, struct config_source *source) {
    bool list = spot_is_list(spot);
    int count = list ? config_setting_length(spot->node) : 1;
    struct config_step *items;
    if (count > CONFIG_STEPS_MAX) {
        spot_problem(spot, "%d steps: must be at most %d", count, CONFIG_STEPS_MAX);
        return;
    }
    items = loader_alloc(spot->loader, (size_t)count, sizeof(*items));
    for (int i = 0; items != NULL && i < count; i++) {
        const struct spot item = list ? spot_item(spot, i) : *spot;
        take_step(&item, &items[i]);
    }
    source->steps = items;
    source->step_count = items == NULL ? 0 : (size_t)count;
}

/* ---- sources ---- */

static const struct form members[] = {
    {"field", "field = \"customer.age\";",
     "the field's path: `customer.age` in a record, `lines.price` the price of every "
     "item "
     "of an array, `attrs[\"a.b\"]` a map's value or an odd name"},
    {"default", "default = -1;",
     "stands for null, and for a key that a map has not; without it such a record is a "
     "dead letter. `\"nan\"` is no number, for an input of floats, as trees and imputers "
     "take what is missing"},
    {"value", "value = 0.5;",
     "a constant, instead of a field: a number, text, true or false"},
    {"count", "count = 8;",
     "how many values a list gives, or how often a constant comes; needed where an input "
     "has more than one list"},
    {"steps", "steps = ( \"log1p\", { scale = 0.1; } );",
     "what is done to each value, in this order; one alone needs no list"},
};

static void take_constant(const struct spot *spot, struct config_constant *to) {
    switch (config_setting_type(spot->node)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        to->kind = CONFIG_CONSTANT_INTEGER;
        to->integer = config_setting_get_int64(spot->node);
        break;
    case CONFIG_TYPE_FLOAT:
        to->kind = CONFIG_CONSTANT_REAL;
        to->real = config_setting_get_float(spot->node);
        break;
    case CONFIG_TYPE_BOOL:
        to->kind = CONFIG_CONSTANT_INTEGER;
        to->integer = config_setting_get_bool(spot->node) == CONFIG_TRUE;
        break;
    case CONFIG_TYPE_STRING:
        to->kind = CONFIG_CONSTANT_TEXT;
        to->text = spot_text(spot);
        break;
    default:
        spot_problem(spot, "must be a number, text, true or false");
    }
}

/* { field = "age"; default = -1; }, { value = 1; count = 3; } */
static void take_source_group(const struct spot *spot, struct config_source *source) {
    const struct spot field = spot_member(spot, "field");
    const struct spot fallback = spot_member(spot, "default");
    const struct spot value = spot_member(spot, "value");
    const struct spot count = spot_member(spot, "count");
    const struct spot step = spot_member(spot, "steps");
    spot_check_names(spot, members, ARRAY_COUNT(members), NULL);
    if ((field.node == NULL) == (value.node == NULL)) {
        spot_problem(spot, "must have either 'field' or 'value'");
    }
    if (value.node != NULL && fallback.node != NULL) {
        spot_problem(&fallback, "goes with 'field', not with 'value'");
    }
    if (field.node != NULL) {
        source->field = spot_text(&field);
    }
    if (value.node != NULL) {
        take_constant(&value, &source->value);
    } else if (fallback.node != NULL) {
        take_constant(&fallback, &source->value);
    }
    if (count.node != NULL) {
        source->count = spot_integer(&count, 1, LIST_COUNT_MAX);
    }
    if (step.node != NULL) {
        take_steps(&step, source);
    }
}

static void take_source(const struct spot *spot, struct config_source *source) {
    source->place = source_where(spot->loader, spot->node);
    if (spot_is_group(spot)) {
        take_source_group(spot, source);
    } else if (config_setting_type(spot->node) == CONFIG_TYPE_STRING) {
        source->field = spot_text(spot);
    } else if (spot_is_list(spot)) {
        spot_problem(spot,
                     "must be a field's path, a number or a group: { field = ... }");
    } else {
        take_constant(spot, &source->value);
    }
}

void sources_take(const struct spot *spot, struct config_input *input) {
    bool list = spot_is_list(spot);
    int count = list ? config_setting_length(spot->node) : 1;
    struct config_source *items;
    if (count < 1 || count > CONFIG_SOURCES_MAX) {
        spot_problem(spot, "%d fields: must be 1 to %d", count, CONFIG_SOURCES_MAX);
        return;
    }
    items = loader_alloc(spot->loader, (size_t)count, sizeof(*items));
    for (int i = 0; items != NULL && i < count; i++) {
        const struct spot item = list ? spot_item(spot, i) : *spot;
        take_source(&item, &items[i]);
    }
    input->sources = items;
    input->source_count = items == NULL ? 0 : (size_t)count;
}

void sources_reference(FILE *to) {
    (void)fputs(
        "\n### The fields of an input\n"
        "\n"
        "A text is a field's path, a number is a constant, a group says more; a list of "
        "them fills\nan input's row one behind the other:\n"
        "\n"
        "    inputs = { X = [ \"amount\", \"customer.age\" ]; };\n"
        "    inputs = { X = ( \"amount\", { field = \"customer.age\"; default = -1; }, "
        "1.0 "
        "); };\n"
        "    inputs = [ \"amount\", \"age\" ];  # of a model with one input\n"
        "    inputs = ( { input = \"x:0\"; fields = [ \"amount\" ]; } );  # odd names\n"
        "\n"
        "A field may be a number, a boolean (0 or 1), a decimal, a date, a time, a "
        "timestamp (as its\nnumber, or through a step), a text or enum (for a tensor of "
        "strings, or through a vocabulary or\nhash), an array or a map's value of these, "
        "or a union of one of these with null. Bytes and\nfixed fill an input as its raw "
        "elements, little-endian, where the field stands alone.\n"
        "\n"
        "| member | example | meaning |\n|---|---|---|\n",
        to);
    forms_print(members, ARRAY_COUNT(members), to);
    (void)fputs("\n### Steps\n\n| step | example | meaning |\n|---|---|---|\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        forms_print(&steps[i].form, 1, to);
    }
}
