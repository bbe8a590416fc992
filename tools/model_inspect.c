/* model_inspect.c - millrace model inspect: what a model file needs and would take.
 *
 * The facts are gathered into one JSON value, which is either printed or laid out as a
 * table, so that the two forms cannot tell different stories. */
#include <jansson.h>

#include "engine/session.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/model_file.h"
#include "tools/model_inputs.h"
#include "tools/model_options.h"
#include "tools/ports.h"

struct options {
    int64_t batch;
    struct cli_list dims;
    bool json;
    struct model_flags model;
};

static const struct cli_flag flags[] = {
    {.name = "--batch",
     .argument = "N",
     .help = "rows for which memory is planned",
     .type = CLI_INT,
     .offset = offsetof(struct options, batch),
     .initial = "1",
     .min = 1,
     .max = 1e6},
    {.name = "--dim",
     .argument = "NAME=K",
     .help = "the size of a free dimension: its symbol, or INPUT:AXIS",
     .type = CLI_LIST,
     .offset = offsetof(struct options, dims)},
    {.name = "--json",
     .help = "JSON",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, json)},
    MODEL_FLAGS(struct options, model),
};

static int run(int argc, char **argv);

const struct cli_command model_inspect_cli = {
    .name = "model inspect",
    .operands = "MODEL.onnx",
    .summary = "Tells a model's inputs, outputs, operators, size and memory plan.",
    .details = "Of a model that cannot be loaded, its operators and those that are not\n"
               "supported are told all the same.",
    .endings = {{EXIT_WRONG_USE, "arguments are wrong, or the model cannot be loaded"}},
    .operands_min = 1,
    .operands_max = 1,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* ---- gathering ------------------------------------------------------------------ */

static void add_operators(json_t *facts, const struct model_file *file) {
    json_t *operators = json_array();
    json_t *unsupported = json_array();
    for (size_t i = 0; i < file->operator_count; i++) {
        const struct model_operator *op = &file->operators[i];
        json_array_append_new(operators,
                              json_pack("{s:s, s:s, s:I, s:I, s:b}", "domain", op->domain,
                                        "name", op->name, "opset", (json_int_t)op->opset,
                                        "count", (json_int_t)op->count, "supported",
                                        (int)op->supported));
        if (!op->supported) {
            json_array_append_new(
                unsupported,
                json_sprintf("%s%s%s", op->domain, op->domain[0] ? ":" : "", op->name));
        }
    }
    json_object_set_new(facts, "producer", json_string(file->producer));
    json_object_set_new(facts, "operators", operators);
    json_object_set_new(facts, "unsupported", unsupported);
}

static void add_model(json_t *facts, const struct model *model) {
    struct model_info info = {0};
    json_t *inputs = json_array();
    json_t *outputs = json_array();
    model_info(model, &info);
    for (int i = 0; i < model_input_count(model); i++) {
        json_array_append_new(inputs, port_json(model_input(model, i)));
    }
    for (int i = 0; i < model_output_count(model); i++) {
        json_array_append_new(outputs, port_json(model_output(model, i)));
    }
    json_object_set_new(facts, "opset", json_integer(info.opset));
    json_object_set_new(facts, "parameters",
                        json_integer((json_int_t)info.parameter_count));
    json_object_set_new(facts, "weight_bytes",
                        json_integer((json_int_t)info.weight_size));
    json_object_set_new(facts, "weight_bytes_max",
                        json_integer((json_int_t)info.memory_max));
    json_object_set_new(facts, "nodes_planned",
                        json_integer((json_int_t)info.node_count));
    json_object_set_new(facts, "inputs", inputs);
    json_object_set_new(facts, "outputs", outputs);
}

/* The plan's memory, or why there is none: a free dimension that nobody has set does
 * not make the model a bad one. */
static void add_plan(json_t *facts, const struct model *model,
                     const struct options *options) {
    struct model_inputs inputs = {.count = 0};
    struct session *session = NULL;
    struct error err = {0};
    enum status status =
        model_inputs_shape(model, options->batch, &options->dims, &inputs, &err);
    if (status == STATUS_OK) {
        status = session_create(model, 0, &session, &err);
    }
    if (status == STATUS_OK) {
        status = session_prepare(session, inputs.tensors, &err);
    }
    json_t *plan = json_pack("{s:I}", "batch", (json_int_t)options->batch);
    if (status == STATUS_OK) {
        size_t size = session_workspace_size(session);
        json_object_set_new(plan, "workspace_bytes", json_integer((json_int_t)size));
    } else {
        json_object_set_new(plan, "problem", json_string(err.text));
    }
    json_object_set_new(facts, "plan", plan);
    if (session != NULL) {
        session_destroy(session);
    }
    model_inputs_release(&inputs);
}

/* ---- the table ------------------------------------------------------------------ */

static const char *fact_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static long long fact_number(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

/* What score and a worker refuse, and training is long done by then. */
static bool has_batch(const json_t *port) {
    const json_t *first = json_array_get(json_object_get(port, "shape"), 0);
    return first != NULL && (!json_is_integer(first) || json_integer_value(first) == 1);
}

static void print_ports(const char *title, const json_t *ports) {
    size_t i, k;
    json_t *port, *dim;
    printf("\n%s\n", title);
    json_array_foreach(ports, i, port) {
        printf("  %-28s %-9s [", fact_text(port, "name"), fact_text(port, "dtype"));
        json_array_foreach(json_object_get(port, "shape"), k, dim) {
            fputs(k > 0 ? "," : "", stdout);
            if (json_is_integer(dim)) {
                printf("%lld", (long long)json_integer_value(dim));
            } else {
                fputs(json_is_string(dim) ? json_string_value(dim) : "?", stdout);
            }
        }
        puts("]");
    }
}

static void tell_fixed(const json_t *inputs) {
    size_t i;
    json_t *port;
    json_array_foreach(inputs, i, port) {
        if (!has_batch(port)) {
            printf(
                "  The first dimension of '%s' is no batch: it must be free, or 1, to be "
                "served\n  or to score. Export the model with a dynamic first "
                "dimension.\n",
                fact_text(port, "name"));
        }
    }
}

static void print_operators(const json_t *operators) {
    size_t i;
    json_t *op;
    printf("\n%-38s %6s %6s\n", "Operators", "nodes", "opset");
    json_array_foreach(operators, i, op) {
        bool supported = json_is_true(json_object_get(op, "supported"));
        const char *domain = fact_text(op, "domain");
        char name[256];
        (void)snprintf(name, sizeof(name), "%s%s%s", domain, domain[0] ? ":" : "",
                       fact_text(op, "name")); /* a cut name is good enough here */
        printf("  %-36s %6lld %6lld%s\n", name, fact_number(op, "count"),
               fact_number(op, "opset"), supported ? "" : "  not supported");
    }
}

static void print_table(const json_t *facts) {
    const json_t *plan = json_object_get(facts, "plan");
    printf("%s%s%s\n", fact_text(facts, "path"),
           fact_text(facts, "producer")[0] ? ", made by " : "",
           fact_text(facts, "producer"));
    if (plan != NULL) {
        if (fact_number(facts, "opset") > 0) { /* CatBoost uses none of ONNX's own */
            printf("opset %lld, ", fact_number(facts, "opset"));
        }
        printf("%lld parameters, %.2f MB of weights (%.0f MB allowed), %lld nodes after "
               "fusing\n",
               fact_number(facts, "parameters"),
               (double)fact_number(facts, "weight_bytes") / 1e6,
               (double)fact_number(facts, "weight_bytes_max") / 1e6,
               fact_number(facts, "nodes_planned"));
        print_ports("Inputs", json_object_get(facts, "inputs"));
        tell_fixed(json_object_get(facts, "inputs"));
        print_ports("Outputs", json_object_get(facts, "outputs"));
    }
    print_operators(json_object_get(facts, "operators"));
    if (plan != NULL && json_object_get(plan, "problem") == NULL) {
        printf("\nA batch of %lld takes %.2f MB of workspace in each session.\n",
               fact_number(plan, "batch"),
               (double)fact_number(plan, "workspace_bytes") / 1e6);
    } else if (plan != NULL) {
        printf("\nNo memory plan for a batch of %lld: %s\n", fact_number(plan, "batch"),
               fact_text(plan, "problem"));
    }
}

static void print_facts(const json_t *facts, bool json) {
    if (json) {
        json_dumpf(facts, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_table(facts);
    }
}

static int run(int argc, char **argv) {
    static struct model_file file; /* too large for the stack */
    struct options options = {0};
    struct error err = {0};
    struct model *model = NULL;
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&model_inspect_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (model_file_open(argv[1], &file, &err) != STATUS_OK) {
        return cli_fail(&model_inspect_cli, &err);
    }
    json_t *facts = json_pack("{s:s}", "path", argv[1]);
    add_operators(facts, &file);
    const struct model_options how = model_options_of(&options.model);
    enum status status = model_open_with(argv[1], &how, &model, &err);
    if (status == STATUS_OK) {
        add_model(facts, model);
        add_plan(facts, model, &options);
    } else {
        json_object_set_new(facts, "problem", json_string(err.text));
    }
    print_facts(facts, options.json);
    json_decref(facts);
    model_file_close(&file);
    if (status != STATUS_OK) {
        return cli_fail(&model_inspect_cli, &err);
    }
    model_close(model);
    return EXIT_FINE;
}
