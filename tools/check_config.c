/* check_config.c - millrace check-config: what would run, and what says so. */
#include "tools/check_config.h"

#include <jansson.h>
#include <unistd.h>

#include "app/worker.h"
#include "tools/commands.h"
#include "tools/ports.h"

struct options {
    struct cli_list overrides;
    bool json;
};

static const struct cli_flag flags[] = {
    {.name = "--set",
     .argument = "KEY=VALUE",
     .help = "a setting that wins over file and environment: worker.threads=2",
     .type = CLI_LIST,
     .offset = offsetof(struct options, overrides)},
    {.name = "--json",
     .help = "the same as JSON, mistakes too",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, json)},
};

static int run(int argc, char **argv);

const struct cli_command check_config_cli = {
    .name = "check-config",
    .operands = "FILE",
    .summary = "Tells what a worker would run, every setting, and where each came from.",
    .details =
        "All mistakes are told, each with file and line.\n"
        "The models are loaded and run once; no broker is touched. Passwords and keys\n"
        "are hidden.",
    .endings = {{EXIT_FINE, "a worker would run"},
                {EXIT_WRONG_USE, "arguments, the configuration or a model is wrong"}},
    .operands_min = 1,
    .operands_max = 1,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

static void print_problem(void *opaque, const char *problem) {
    (void)opaque; /* standard error is where problems go */
    (void)fprintf(stderr, "millrace: %s\n", problem);
}

/* ---- for people ---------------------------------------------------------------------
 */

static void print_ports(const char *title, const struct model *model, int count,
                        const struct model_port *(*port_of)(const struct model *, int)) {
    char shape[PORT_SHAPE_TEXT_MAX];
    for (int i = 0; i < count; i++) {
        const struct model_port *port = port_of(model, i);
        printf("    %-6s %s %s%s\n", title, port->name, dtype_name(port->type.dtype),
               port_shape(port, shape, sizeof(shape)));
    }
}

/* NULL for one that could not be loaded. */
static const struct batch_model *item_of(const struct models *models, size_t index) {
    const struct loaded *loaded =
        (int)index < models->count ? models->items[index] : NULL;
    return loaded == NULL ? NULL : &loaded->item;
}

static void print_models(const struct config *config, const struct models *models) {
    puts("\nModels");
    for (size_t i = 0; i < config->model_count; i++) {
        const struct config_model *from = &config->models[i];
        const struct batch_model *item = item_of(models, i);
        printf("  %s, version %s: %s\n", from->name, from->version, from->path);
        if (item == NULL) {
            puts("    cannot be served");
            continue;
        }
        printf("    batches of %d at most%s, %d ms of waiting\n", item->rows_max,
               item->learn != NULL ? ", their cost learned from the jobs" : "",
               from->linger_ms);
        print_ports("input", item->model, model_input_count(item->model), model_input);
        print_ports("output", item->model, model_output_count(item->model), model_output);
    }
}

static void print_routes(const struct config *config) {
    puts("\nRoutes");
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        printf("  %s -> %s, %s by %s\n", route->input, route->output,
               route->record != NULL ? "records" : "jobs",
               route->model[0] != 0 ? route->model : "the model that each job names");
        printf("    dead letters go to %s\n", route->dead_letter);
        if (route->shadow[0] != 0) {
            printf("    compared with %s%s%s\n", route->shadow,
                   route->shadow_output[0] != 0 ? ", whose answers go to " : "",
                   route->shadow_output);
        }
        for (int k = 0; k < route->retry_count; k++) {
            printf("    tried again after %.15g s, from %s\n",
                   (double)route->retry_ms[k] / 1e3,
                   route->order != CONFIG_ORDER_FREE ? "its place"
                                                     : route->retry_topics[k]);
        }
    }
}

static void print_values(const struct config *config) {
    int key_width = 0, text_width = 0;
    enum { TEXT_WIDTH_MAX = 40 };
    for (size_t i = 0; i < config->value_count; i++) {
        int key_size = (int)strlen(config->values[i].key);
        int text_size = (int)strlen(config->values[i].text);
        key_width = key_size > key_width ? key_size : key_width;
        text_width = text_size > text_width ? text_size : text_width;
    }
    text_width = text_width > TEXT_WIDTH_MAX ? TEXT_WIDTH_MAX : text_width;
    puts("\nSettings");
    for (size_t i = 0; i < config->value_count; i++) {
        const struct config_value *value = &config->values[i];
        printf("  %-*s  %-*s  %s\n", key_width, value->key, text_width, value->text,
               value->origin);
    }
}

static void print_report(void *opaque, const struct config *config,
                         const struct models *models) {
    (void)opaque;
    printf("Group '%s', %s, %d compute thread%s\n", config->worker.group,
           config->worker.delivery == CONFIG_EXACTLY_ONCE ? "exactly once"
                                                          : "at least once",
           config->worker.threads, config->worker.threads == 1 ? "" : "s");
    print_models(config, models);
    print_routes(config);
    print_values(config);
    puts("");
}

/* ---- as JSON ------------------------------------------------------------------------
 */

static void add_problem(void *opaque, const char *problem) {
    json_array_append_new(json_object_get(opaque, "problems"), json_string(problem));
}

static json_t *ports(const struct model *model, int count,
                     const struct model_port *(*port_of)(const struct model *, int)) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_array_append_new(list, port_json(port_of(model, i)));
    }
    return list;
}

static json_t *model_facts(const struct config_model *from,
                           const struct batch_model *item) {
    json_t *facts =
        json_pack("{s:s, s:s, s:s, s:b}", "name", from->name, "version", from->version,
                  "path", from->path, "loaded", (int)(item != NULL));
    if (item != NULL) {
        json_object_set_new(facts, "batch_max", json_integer(item->rows_max));
        json_object_set_new(facts, "cost",
                            json_string(item->learn != NULL ? "learned" : "measured"));
        json_object_set_new(
            facts, "inputs",
            ports(item->model, model_input_count(item->model), model_input));
        json_object_set_new(
            facts, "outputs",
            ports(item->model, model_output_count(item->model), model_output));
    }
    return facts;
}

static json_t *route_facts(const struct config_route *route) {
    json_t *retries = json_array();
    for (int i = 0; i < route->retry_count; i++) {
        json_array_append_new(retries, json_integer(route->retry_ms[i]));
    }
    return json_pack("{s:s, s:s, s:b, s:s, s:s, s:o}", "input", route->input, "output",
                     route->output, "records", (int)(route->record != NULL),
                     "dead_letter", route->dead_letter, "model", route->model, "retry_ms",
                     retries);
}

static void add_report(void *opaque, const struct config *config,
                       const struct models *models) {
    json_t *model_list = json_array(), *routes = json_array(), *values = json_array();
    for (size_t i = 0; i < config->model_count; i++) {
        json_array_append_new(model_list,
                              model_facts(&config->models[i], item_of(models, i)));
    }
    for (size_t i = 0; i < config->route_count; i++) {
        json_array_append_new(routes, route_facts(&config->routes[i]));
    }
    for (size_t i = 0; i < config->value_count; i++) {
        const struct config_value *value = &config->values[i];
        json_array_append_new(values,
                              json_pack("{s:s, s:s, s:s}", "key", value->key, "value",
                                        value->text, "from", value->origin));
    }
    json_object_set_new(opaque, "threads", json_integer(config->worker.threads));
    json_object_set_new(opaque, "models", model_list);
    json_object_set_new(opaque, "routes", routes);
    json_object_set_new(opaque, "values", values);
}

/* ---- the command --------------------------------------------------------------------
 */

int check_config_run(const struct worker_opts *opts, bool report) {
    struct worker_check check = {.on_problem = print_problem,
                                 .on_read = report ? print_report : NULL};
    int code = worker_check(opts, &check);
    if (code == EXIT_FINE) {
        printf("%s: fine\n", opts->config_path);
    } else if (code == EXIT_WRONG_USE && access(opts->config_path, F_OK) != 0) {
        (void)fprintf(stderr, "millrace: 'millrace init' writes one to begin with\n");
    } else if (code == EXIT_WRONG_USE) {
        (void)fprintf(stderr,
                      "millrace: %s: mend this first; 'millrace man millrace.conf' and "
                      "'millrace worker --reference' tell what may stand there\n",
                      opts->config_path);
    }
    return code;
}

static int check_config_json(const struct worker_opts *opts) {
    json_t *report = json_pack("{s:s, s:[]}", "file", opts->config_path, "problems");
    struct worker_check check = {
        .on_problem = add_problem, .on_read = add_report, .opaque = report};
    int code = worker_check(opts, &check);
    json_object_set_new(report, "fine", json_boolean(code == EXIT_FINE));
    (void)json_dumpf(report, stdout, JSON_INDENT(2)); /* main looks if all was written */
    puts("");
    json_decref(report);
    return code;
}

static int run(int argc, char **argv) {
    struct options options = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&check_config_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    struct worker_opts opts = {.config_path = argv[1],
                               .overrides = options.overrides.items,
                               .override_count = (size_t)options.overrides.count};
    return options.json ? check_config_json(&opts) : check_config_run(&opts, true);
}
