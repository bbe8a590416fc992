/* recipe.c - see recipe.h. */
#include "app/recipe.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "app/words.h"
#include "base/arena.h"
#include "base/size.h"
#include "base/text.h"

struct recipe {
    const struct config_record *config;
    const struct batch_model
        *model;                    /* while it is made: another version may come later */
    struct arena arena;            /* owns all below but what is said to be owned */
    struct schema_folder *schemas; /* owned; NULL where a registry has them */
    struct schema_folder *reader_file; /* owned */
    const struct avro_schema *reader;  /* NULL: none */
    struct words words;                /* owned: every vocabulary */
    struct mapping_input *inputs;
    int input_count;
    struct record_field *fields;
    int field_count;
    struct record_output *outputs;
    int output_count;
};

static enum status no_memory(struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "no memory for the mapping of records");
}

/* A name of the model's that outlives it; NULL without memory. */
static const char *keep_name(struct recipe *r, const char *name) {
    return arena_text(&r->arena, name, strlen(name));
}

/* ---- sources ---- */

static bool is_real(enum dtype dtype) {
    return dtype == DTYPE_F32 || dtype == DTYPE_F64 || dtype == DTYPE_F16 ||
           dtype == DTYPE_BF16;
}

/* "nan" for a tensor of reals, which takes a text by way of a number alone. */
static bool is_nan(const struct config_source *source, enum dtype dtype) {
    bool words = false;
    for (size_t i = 0; i < source->step_count; i++) {
        enum change_kind kind = change_parse(source->steps[i].name);
        words = words || kind == CHANGE_VOCABULARY || kind == CHANGE_HASH;
    }
    return source->value.kind == CONFIG_CONSTANT_TEXT && !words && is_real(dtype) &&
           strcmp(source->value.text, "nan") == 0;
}

static struct value constant(const struct config_source *source, enum dtype dtype) {
    const struct config_constant *from = &source->value;
    if (is_nan(source, dtype)) {
        return value_real((double)NAN);
    }
    switch (from->kind) {
    case CONFIG_CONSTANT_INTEGER:
        return value_integer(from->integer);
    case CONFIG_CONSTANT_REAL:
        return value_real(from->real);
    case CONFIG_CONSTANT_TEXT:
        return value_text(span_text(from->text));
    case CONFIG_CONSTANT_NONE:
        break;
    }
    return value_integer(0); /* stands for nothing */
}

static enum status make_changes(struct recipe *r, const struct config_source *from,
                                struct change *to, struct error *err) {
    for (size_t i = 0; i < from->step_count; i++) {
        const struct config_step *step = &from->steps[i];
        to[i] = (struct change){.kind = change_parse(step->name),
                                .a = step->a,
                                .b = step->b,
                                .count = (size_t)step->count};
        assert(to[i].kind < CHANGE_COUNT); /* a test walks both tables */
        if (to[i].kind == CHANGE_VOCABULARY &&
            words_read(&r->words, &step->words, step->unknown, step->refuse_unknown,
                       &to[i].vocabulary, err) != STATUS_OK) {
            return error_prefix(err, "%s", from->place);
        }
    }
    return STATUS_OK;
}

static enum status make_sources(struct recipe *r, const struct config_input *from,
                                struct mapping_input *to, struct error *err) {
    struct mapping_source *sources =
        arena_alloc(&r->arena, from->source_count, sizeof(*sources));
    if (sources == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < from->source_count; i++) {
        const struct config_source *source = &from->sources[i];
        struct change *changes =
            arena_alloc(&r->arena, source->step_count + 1, sizeof(*changes));
        if (changes == NULL) {
            return no_memory(err);
        }
        sources[i] = (struct mapping_source){.place = source->place,
                                             .path = source->field,
                                             .has_value = source->value.kind !=
                                                          CONFIG_CONSTANT_NONE,
                                             .value = constant(source, to->dtype),
                                             .changes = changes,
                                             .change_count = (int)source->step_count,
                                             .count = (size_t)source->count};
        if (make_changes(r, source, changes, err) != STATUS_OK) {
            return err->status;
        }
    }
    to->sources = sources;
    to->source_count = (int)from->source_count;
    return STATUS_OK;
}

/* ---- inputs ---- */

#define OWN_MAX 2 /* inputs of the job's own */

static enum status add_own(struct recipe *r, const char *name, enum mapping_use use,
                           const struct config_source *from, int64_t none,
                           struct error *err) {
    struct mapping_source *source;
    if (from->field == NULL) {
        return STATUS_OK;
    }
    source = arena_alloc(&r->arena, 1, sizeof(*source));
    if (source == NULL) {
        return no_memory(err);
    }
    *source = (struct mapping_source){.place = from->place,
                                      .path = from->field,
                                      .has_value = true,
                                      .value = value_integer(none)};
    r->inputs[r->input_count++] = (struct mapping_input){.use = use,
                                                         .name = name,
                                                         .dtype = DTYPE_I64,
                                                         .sources = source,
                                                         .source_count = 1};
    return STATUS_OK;
}

/* Behind the model's inputs. */
static enum status make_own(struct recipe *r, struct error *err) {
    enum status status =
        add_own(r, "deadline", MAPPING_DEADLINE, &r->config->deadline, MAPPING_NONE, err);
    return status != STATUS_OK
               ? status
               : add_own(r, "priority", MAPPING_PRIORITY, &r->config->priority, 0, err);
}

/* "'a', 'b' and 'c'", as much as fits. */
static const char *input_names(const struct model *model, char *text, size_t size) {
    size_t used = 0;
    int count = model_input_count(model);
    text[0] = 0;
    for (int i = 0; i < count && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s'%s'", i == 0 ? "" : ", ",
                                 model_input(model, i)->name);
    }
    return text;
}

static enum status refuse_input(const struct recipe *r, const struct config_input *from,
                                const char *what, struct error *err) {
    char names[512];
    return error_set(err, STATUS_INVALID, "%s: %s '%s'; model '%s' takes %s", from->place,
                     what, from->name, r->model->name,
                     input_names(r->model->model, names, sizeof(names)));
}

static enum status make_inputs(struct recipe *r, struct error *err) {
    const struct config_record *config = r->config;
    int wanted = model_input_count(r->model->model);
    bool given[MODEL_INPUTS_MAX] = {false};
    r->inputs = arena_alloc(&r->arena, config->input_count + OWN_MAX, sizeof(*r->inputs));
    if (r->inputs == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < config->input_count; i++) {
        const struct config_input *from = &config->inputs[i];
        struct mapping_input *to = &r->inputs[r->input_count++];
        int index = model_input_find(r->model->model, span_text(from->name));
        const struct model_port *port;
        if (index < 0 || given[index]) {
            return refuse_input(r, from,
                                index < 0 ? "there is no input" : "twice the input", err);
        }
        given[index] = true;
        port = model_input(r->model->model, index);
        *to = (struct mapping_input){.name = keep_name(r, port->name),
                                     .dtype = port->type.dtype,
                                     .rank = port->type.rank - 1};
        if (to->name == NULL) {
            return no_memory(err);
        }
        memcpy(to->dims, &port->type.dims[1], sizeof(to->dims[0]) * (size_t)to->rank);
        if (make_sources(r, from, to, err) != STATUS_OK) {
            return err->status;
        }
    }
    for (int i = 0; i < wanted; i++) {
        if (!given[i]) {
            return error_set(err, STATUS_INVALID,
                             "%s: inputs does not say what input '%s' of model '%s' is "
                             "made of",
                             config->inputs[0].place,
                             model_input(r->model->model, i)->name, r->model->name);
        }
    }
    return STATUS_OK;
}

/* ---- answers ---- */

static enum status make_outputs(struct recipe *r, struct error *err) {
    int count = r->model->output_count;
    r->outputs = arena_alloc(&r->arena, (size_t)count, sizeof(*r->outputs));
    if (r->outputs == NULL) {
        return no_memory(err);
    }
    for (int i = 0; i < count; i++) {
        const struct model_port *port =
            model_output(r->model->model, r->model->outputs[i]);
        int rank = port->type.rank > 0 ? port->type.rank - 1 : 0;
        r->outputs[i] = (struct record_output){
            .name = keep_name(r, port->name), .dtype = port->type.dtype, .rank = rank};
        if (r->outputs[i].name == NULL) {
            return no_memory(err);
        }
        memcpy(r->outputs[i].dims, &port->type.dims[1],
               sizeof(r->outputs[i].dims[0]) * (size_t)rank);
    }
    r->output_count = count;
    return STATUS_OK;
}

/* An output's name as a field's: "dense/Softmax:0" becomes "dense_Softmax_0". */
static const char *field_name(struct recipe *r, const char *output) {
    size_t size = strlen(output);
    char *name = arena_alloc(&r->arena, size + 2, 1);
    if (name == NULL) {
        return NULL;
    }
    name[0] = '_';
    for (size_t i = 0; i < size; i++) {
        name[i + 1] = (char)(isalnum((unsigned char)output[i]) ? output[i] : '_');
    }
    return avro_name_valid(name + 1) ? name + 1 : name;
}

/* Every output as it is, under its own name. */
static enum status make_all_fields(struct recipe *r, struct error *err) {
    for (int i = 0; i < r->output_count; i++) {
        r->fields[i] = (struct record_field){.place = r->config->inputs[0].place,
                                             .name = field_name(r, r->outputs[i].name),
                                             .output = r->outputs[i].name};
        if (r->fields[i].name == NULL) {
            return no_memory(err);
        }
    }
    r->field_count = r->output_count;
    return STATUS_OK;
}

static enum status make_field(struct recipe *r, const struct config_answer_field *from,
                              struct record_field *to, struct error *err) {
    *to = (struct record_field){.place = from->place,
                                .name = from->name,
                                .output = from->output,
                                .form = record_form_parse(from->form),
                                .element = (size_t)from->element,
                                .top = (int)from->top};
    assert(to->form < RECORD_FORM_COUNT); /* config knows the same names */
    if (from->output[0] == 0 && r->output_count != 1) {
        return error_set(err, STATUS_INVALID,
                         "%s: which output of model '%s' is '%s' made of? It has %d, the "
                         "first is '%s'",
                         from->place, r->model->name, from->name, r->output_count,
                         r->outputs[0].name);
    }
    if (from->output[0] == 0) {
        to->output = r->outputs[0].name;
    }
    if ((from->labels.path != NULL || from->labels.count > 0) &&
        words_read(&r->words, &from->labels, 0, true, &to->labels, err) != STATUS_OK) {
        return error_prefix(err, "%s", from->place);
    }
    return STATUS_OK;
}

static enum status make_fields(struct recipe *r, struct error *err) {
    size_t count = r->config->output_count;
    r->fields = arena_alloc(&r->arena, size_max(count, (size_t)r->output_count),
                            sizeof(*r->fields));
    if (r->fields == NULL) {
        return no_memory(err);
    }
    if (count == 0) {
        return make_all_fields(r, err);
    }
    for (size_t i = 0; i < count; i++) {
        if (make_field(r, &r->config->outputs[i], &r->fields[i], err) != STATUS_OK) {
            return err->status;
        }
    }
    r->field_count = (int)count;
    return STATUS_OK;
}

/* ---- schemas ---- */

/* The only schema of a file. */
static const struct avro_schema *only(const struct schema_folder *file,
                                      const char *path) {
    const char *slash = strrchr(path, '/');
    return schema_folder_named(file, slash == NULL ? path : slash + 1);
}

static enum status open_schemas(struct recipe *r, struct error *err) {
    const struct config_record *config = r->config;
    const char *path = config->schema[0] != 0 ? config->schema : config->schemas;
    enum status status = STATUS_OK;
    if (path[0] != 0) {
        status = schema_folder_open(path, &r->schemas, err);
    }
    if (status == STATUS_OK && r->schemas != NULL &&
        schema_folder_count(r->schemas) == 0) {
        status = error_set(err, STATUS_INVALID, "%s: holds no *.avsc", path);
    }
    if (status == STATUS_OK && config->reader[0] != 0) {
        status = schema_folder_open(config->reader, &r->reader_file, err);
    }
    if (status == STATUS_OK && config->reader[0] != 0) {
        r->reader = only(r->reader_file, config->reader);
        if (r->reader == NULL) {
            status = error_set(err, STATUS_INVALID, "%s: must be a schema's file",
                               config->reader);
        }
    }
    return status == STATUS_OK ? STATUS_OK
                               : error_prefix(err, "%s", config->inputs[0].place);
}

enum framing_kind recipe_framing(const struct recipe *recipe) {
    if (recipe->config->schema[0] != 0) {
        return FRAMING_BARE;
    }
    return recipe->config->schemas[0] != 0 ? FRAMING_SINGLE_OBJECT : FRAMING_CONFLUENT;
}

const struct avro_schema *recipe_schema(const struct recipe *recipe,
                                        uint64_t fingerprint) {
    return recipe_framing(recipe) == FRAMING_BARE
               ? only(recipe->schemas, recipe->config->schema)
               : schema_folder_find(recipe->schemas, fingerprint);
}

const struct schema_folder *recipe_schemas(const struct recipe *recipe) {
    return recipe->schemas;
}

/* ---- life ---- */

enum status recipe_create(const struct config_route *route,
                          const struct batch_model *model, struct recipe **out,
                          struct error *err) {
    static enum status (*const steps[])(struct recipe *, struct error *) = {
        open_schemas, make_outputs, make_inputs, make_own, make_fields};
    struct recipe *recipe = calloc(1, sizeof(*recipe));
    enum status status = STATUS_OK;
    *out = NULL;
    if (recipe == NULL) {
        return no_memory(err);
    }
    recipe->config = route->record;
    recipe->model = model;
    arena_init(&recipe->arena, 0);
    for (size_t i = 0; i < ARRAY_COUNT(steps) && status == STATUS_OK; i++) {
        status = steps[i](recipe, err);
    }
    recipe->model = NULL;
    if (status != STATUS_OK) {
        recipe_destroy(recipe);
        recipe = NULL;
    }
    *out = recipe;
    return status;
}

void recipe_destroy(struct recipe *recipe) {
    if (recipe == NULL) {
        return;
    }
    schema_folder_close(recipe->schemas);
    schema_folder_close(recipe->reader_file);
    words_release(&recipe->words);
    arena_release(&recipe->arena);
    free(recipe);
}

enum status recipe_apply(const struct recipe *recipe, const struct avro_schema *writer,
                         const struct avro_resolver *resolver, struct mapping **mapping,
                         struct record_out **out, struct error *err) {
    const struct config_record *config = recipe->config;
    const struct record_out_opts opts = {
        .writer = config->answer == CONFIG_ANSWER_RECORD ? writer : NULL,
        .resolver = resolver,
        .name = config->answer_name[0] == 0 ? NULL : config->answer_name,
        .fields = recipe->fields,
        .field_count = recipe->field_count,
        .outputs = recipe->outputs,
        .output_count = recipe->output_count};
    enum status status =
        mapping_create(avro_schema_root(writer),
                       recipe->reader == NULL ? NULL : avro_schema_root(recipe->reader),
                       recipe->inputs, recipe->input_count, mapping, err);
    *out = NULL;
    if (status == STATUS_OK) {
        status = record_out_create(&opts, out, err);
    }
    if (status != STATUS_OK) {
        mapping_destroy(*mapping);
        *mapping = NULL;
    }
    return status;
}
