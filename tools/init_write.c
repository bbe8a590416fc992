/* init_write.c - see init_write.h. */
#include "tools/init_write.h"

#include <ctype.h>

#include "tools/ports.h"

#define KEY_MAX 128
#define SYMBOLS_MAX 8   /* of an enum that are written out */
#define MEMORY_MB 16384 /* the default, of the setting and the flag */

/* Text in libconfig's quotes. */
static void put_quoted(FILE *to, const char *text) {
    fputc('"', to);
    for (const char *c = text; *c != 0; c++) {
        if (*c == '"' || *c == '\\') {
            fputc('\\', to);
        }
        fputc(*c, to);
    }
    fputc('"', to);
}

/* May it stand before "=" in libconfig's format? */
static bool is_key(const char *name) {
    bool fine = isalpha((unsigned char)name[0]) || name[0] == '*';
    for (const char *c = name; *c != 0 && fine; c++) {
        fine = isalnum((unsigned char)*c) || strchr("-_*", *c) != NULL;
    }
    return fine;
}

static void put_ports(FILE *to, const struct model *model) {
    char shape[PORT_SHAPE_TEXT_MAX];
    for (int i = 0; i < model_input_count(model); i++) {
        const struct model_port *port = model_input(model, i);
        fprintf(to, "# input  %s: %s%s\n", port->name, dtype_name(port->type.dtype),
                port_shape(port, shape, sizeof(shape)));
    }
    for (int i = 0; i < model_output_count(model); i++) {
        const struct model_port *port = model_output(model, i);
        fprintf(to, "# output %s: %s%s\n", port->name, dtype_name(port->type.dtype),
                port_shape(port, shape, sizeof(shape)));
    }
}

static void put_setting(FILE *to, const char *before, const char *value,
                        const char *after) {
    fputs(before, to);
    put_quoted(to, value);
    fputs(after, to);
}

/* ---- inputs ---------------------------------------------------------------------------
 */

static void put_source(FILE *to, const struct init_input *input, int index) {
    const struct init_source *source = &input->sources[index];
    const struct init_field *field = source->field;
    const enum dtype dtype = input->port->type.dtype;
    const char *zero = dtype == DTYPE_STRING ? "\"\"" : "0";
    /* As millrace score has it: most models of tables know what is missing. */
    const bool nan = dtype == DTYPE_F32 || dtype == DTYPE_F64 || dtype == DTYPE_F16;
    const char *gap = index + 1 < input->source_count ? "," : "";
    fputs("                ", to);
    if (field == NULL) {
        fprintf(to,
                "{ value = %s; count = %lld; }%s  # no field was found: yours to say\n",
                zero, (long long)source->count, gap);
        return;
    }
    if (field->nullable) {
        fputs("{ field = ", to);
        put_quoted(to, field->path);
        fprintf(to, "; default = %s; }%s  # %s, or null", nan ? "\"nan\"" : zero, gap,
                avro_kind_name(field->type->kind));
    } else {
        put_quoted(to, field->path);
        fprintf(to, "%s  # %s", gap, avro_kind_name(field->type->kind));
    }
    fputs(field->lists > 0 ? ", a list\n" : "\n", to);
}

static void put_inputs(FILE *to, const struct init_proposal *p) {
    bool keys = true;
    for (int i = 0; i < p->input_count; i++) {
        keys = keys && is_key(p->inputs[i].port->name);
    }
    fputs(keys ? "            inputs = {\n" : "            inputs = (\n", to);
    for (int i = 0; i < p->input_count; i++) {
        const struct init_input *input = &p->inputs[i];
        const char *gap = i + 1 < p->input_count ? "," : "";
        fputs("              ", to);
        if (keys) {
            fprintf(to, "%s = (\n", input->port->name);
        } else {
            fputs("{ input = ", to);
            put_quoted(to, input->port->name);
            fputs("; fields = (\n", to);
        }
        for (int k = 0; k < input->source_count; k++) {
            put_source(to, input, k);
        }
        fprintf(to, "              )%s%s\n", keys ? ";" : "; }", keys ? "" : gap);
    }
    fputs(keys ? "            };\n" : "            );\n", to);
}

/* How a text becomes a number; the words are known of an enum alone. */
static void put_vocabulary(FILE *to, const struct avro_node *type) {
    bool known = type->kind == AVRO_KIND_ENUM && type->count <= SYMBOLS_MAX;
    fputs("; a text: steps = { vocabulary = [ ", to);
    for (int i = 0; known && i < type->count; i++) {
        fprintf(to, "%s\"%s\"", i == 0 ? "" : ", ", type->symbols[i]);
    }
    fprintf(to, "%s ]; unknown = -1; }", known ? "" : "...");
}

/* What is not used, and how it might be. */
static void put_unused(FILE *to, const struct init_proposal *p) {
    bool first = true;
    for (int i = 0; i < p->field_count; i++) {
        const struct init_field *field = &p->fields[i];
        const char *how = "";
        if (field->used) {
            continue;
        }
        if (field->type->logical >= AVRO_LOGICAL_DATE) {
            how = "; a time: steps = \"seconds\", \"hour\" or \"weekday\"";
        }
        fputs(first ? "            # Not used:\n" : "", to);
        fprintf(to, "            #   %s (%s%s)%s", field->path,
                avro_kind_name(field->type->kind), field->lists > 0 ? ", a list" : "",
                how);
        if (field->type->kind == AVRO_KIND_STRING ||
            field->type->kind == AVRO_KIND_ENUM) {
            put_vocabulary(to, field->type);
        }
        fputc('\n', to);
        first = false;
    }
}

/* ---- outputs --------------------------------------------------------------------------
 */

/* A name that Avro takes, and that the record has not. */
static void answer_name(const struct init_facts *facts, const struct model_port *port,
                        char name[KEY_MAX]) {
    size_t used = 0;
    for (const char *c = port->name; *c != 0 && used < KEY_MAX / 2; c++) {
        bool first_digit = used == 0 && isdigit((unsigned char)*c);
        if (isalnum((unsigned char)*c) && !first_digit) {
            name[used++] = *c;
        } else if (used > 0 && name[used - 1] != '_') {
            name[used++] = '_';
        }
    }
    while (used > 0 && name[used - 1] == '_') {
        used--;
    }
    name[used] = 0;
    if (used == 0) {
        (void)snprintf(name, KEY_MAX, "prediction");
    }
    if (avro_field_find(facts->record, span_text(name)) >= 0) {
        used = strlen(name);
        (void)snprintf(name + used, KEY_MAX - used, "_predicted");
    }
}

/* What exporters of classifiers call a column for each class. */
static bool is_probabilities(const struct model_port *port) {
    const struct tensor *type = &port->type;
    char name[KEY_MAX];
    (void)snprintf(name, sizeof(name), "%s", port->name);
    for (char *c = name; *c != 0; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return type->rank == 2 && type->dims[1] == 2 && strstr(name, "prob") != NULL &&
           (type->dtype == DTYPE_F32 || type->dtype == DTYPE_F64);
}

static bool is_index(const struct tensor *type) {
    return (type->dtype == DTYPE_I64 || type->dtype == DTYPE_I32) &&
           (type->rank == 1 || (type->rank == 2 && type->dims[1] == 1));
}

static bool is_scores(const struct tensor *type) {
    return (type->dtype == DTYPE_F32 || type->dtype == DTYPE_F64) && type->rank == 2 &&
           type->dims[1] > 1;
}

int init_labelled_output(const struct model *model) {
    int scores = -1;
    for (int i = 0; i < model_output_count(model); i++) {
        const struct tensor *type = &model_output(model, i)->type;
        if (is_index(type)) {
            return i;
        }
        scores = scores < 0 && is_scores(type) ? i : scores;
    }
    return scores;
}

static void put_outputs(FILE *to, const struct init_facts *facts) {
    int labelled = facts->labels == NULL ? -1 : init_labelled_output(facts->model);
    fputs("            outputs = {\n", to);
    for (int i = 0; i < model_output_count(facts->model); i++) {
        const struct model_port *port = model_output(facts->model, i);
        char name[KEY_MAX];
        answer_name(facts, port, name);
        fprintf(to, "              %s = ", name);
        if (i == labelled) {
            put_setting(to, "{ output = ", port->name, "; labels = ");
            put_setting(to, "", facts->labels, "; };  # the class's word\n");
        } else if (is_probabilities(port)) {
            fputs("{ output = ", to);
            put_quoted(to, port->name);
            fputs("; element = 1; };  # the second of two: of the class 1\n", to);
        } else {
            put_quoted(to, port->name);
            fputs(";\n", to);
        }
    }
    fputs("            };\n", to);
}

static void put_record(FILE *to, const struct init_facts *facts) {
    fputs("        # The records' fields that the model takes, and those that answers "
          "get.\n"
          "        # This is a guess, by names, types and order: look it through.\n"
          "        record = {\n",
          to);
    if (facts->schema_path != NULL) {
        fputs("            schema = ", to);
        put_quoted(to, facts->schema_path);
        fputs(";  # records are bare Avro of it\n", to);
    }
    if (facts->subject[0] != 0) {
        put_setting(to, "            subject = ", facts->subject,
                    ";  # of the records' schema in the registry\n");
    }
    put_inputs(to, facts->proposal);
    put_unused(to, facts->proposal);
    put_outputs(to, facts);
    fputs("        };\n", to);
}

/* ---- the file -------------------------------------------------------------------------
 */

static void put_registry(FILE *to, const struct registry_flags *registry) {
    const struct {
        const char *name, *value;
    } settings[] = {{"user", registry->user},
                    {"ca_file", registry->ca_file},
                    {"certificate_file", registry->certificate_file},
                    {"key_file", registry->key_file}};
    put_setting(to, "registry = { urls = ", registry->urls, ";");
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        if (settings[i].value != NULL) {
            fprintf(to, "\n             %s = ", settings[i].name);
            put_setting(to, "", settings[i].value, ";");
        }
    }
    fputs(" };\n", to);
    if (registry->user != NULL || registry->key_file != NULL) {
        fputs("# Passwords are best given as MILLRACE_REGISTRY_PASSWORD and "
              "_KEY_PASSWORD.\n",
              to);
    }
}

void init_write(FILE *to, const struct init_facts *facts) {
    fprintf(to,
            "# A worker's configuration, begun by 'millrace init'. 'millrace man\n"
            "# millrace.conf' and 'millrace worker --reference' tell every setting.\n\n");
    put_setting(to, "kafka = { bootstrap_servers = ", facts->bootstrap,
                "; };  # librdkafka's properties, \"_\" for \".\"\n");
    put_setting(to, "worker = { group = ", facts->name,
                "; };  # workers of one group share the work\n");
    if (facts->registry->urls != NULL) {
        put_registry(to, facts->registry);
    }
    fputc('\n', to);
    put_ports(to, facts->model);
    put_setting(to, "models = ( { name = ", facts->name, ";\n");
    put_setting(to, "             path = ", facts->model_path, ";\n");
    fputs("             batch_max = 64;  # jobs in one batch, at most\n"
          "             linger_ms = 5;   # how long a job may wait for company\n",
          to);
    if (facts->how->external_data) {
        fputs("             external_data = \"allow\";  # weights lie beside the model\n",
              to);
    }
    if (facts->how->memory_mb != MEMORY_MB) {
        fprintf(to, "             memory_mb = %lld;\n", (long long)facts->how->memory_mb);
    }
    fputs("} );\n\nroutes = (\n    {\n", to);
    put_setting(to, "        input = ", facts->input, ";\n");
    put_setting(to, "        output = ", facts->output, ";\n");
    put_setting(to, "        dead_letter = ", facts->dead_letter,
                ";  # what can never be answered\n");
    put_setting(to, "        model = ", facts->name, ";\n");
    if (facts->proposal != NULL) {
        put_record(to, facts);
    } else {
        fputs("        # Jobs are Avro of 'millrace schema job'; an existing topic of "
              "other\n"
              "        # records: millrace init --schema FILE, or --registry URL.\n",
              to);
    }
    fputs("    }\n);\n", to);
}
