/* init.c - millrace init: a configuration to begin with, from a model and a schema. */
#include <errno.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/init_schema.h"
#include "tools/init_write.h"
#include "tools/kafka_io.h"
#include "tools/model_options.h"
#include "tools/topic_spec.h"

#define TOPIC_MAX 249 /* bytes, as Kafka has it */
#define PATH_TEXT_MAX 4096

struct options {
    const char *model, *schema, *topic, *bootstrap, *name, *labels, *output;
    struct registry_flags registry;
    struct model_flags how; /* the model is loaded */
};

static const struct cli_flag flags[] = {
    {.name = "--model",
     .argument = "FILE.onnx",
     .help = "the model",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, model),
     .required = true},
    {.name = "--schema",
     .argument = "FILE.avsc",
     .help = "the topic holds records of this schema: bare Avro, or with --registry\n"
             "in Confluent's wire format",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, schema)},
    REGISTRY_FLAGS(
        struct options, registry,
        "schema registry; without --schema it tells that of the topic: by its\n"
        "subject, or with --bootstrap by the first record"),
    {.name = "--topic",
     .argument = "TOPIC",
     .help = "where jobs or records come from; NAME.jobs if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, topic)},
    {.name = "--bootstrap",
     .argument = "HOST:PORT,...",
     .help = "brokers; MILLRACE_KAFKA_BOOTSTRAP_SERVERS or localhost:9092 if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, bootstrap)},
    {.name = "--name",
     .argument = "NAME",
     .help = "of the model and the group; from the model's file name if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, name)},
    {.name = "--labels",
     .argument = "FILE",
     .help = "of records: the words of the model's classes, one on each line; answers\n"
             "get the word",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, labels)},
    MODEL_FLAGS(struct options, how),
    {.name = "--output",
     .argument = "FILE",
     .help = "what to write; a file that is there is never touched",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, output),
     .initial = "millrace.conf"},
};

static int run(int argc, char **argv);

const struct cli_command init_cli = {
    .name = "init",
    .operands = "",
    .summary = "Writes a configuration to begin with, from a model and a schema.",
    .details =
        "With a schema the fields of its records are proposed as the model's inputs,\n"
        "by their names and types: a guess, which the comments explain. Without one\n"
        "the route takes jobs, see 'millrace schema job'.",
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* What is loaded, and the texts that the facts borrow. */
struct init {
    const struct options *options;
    struct model *model;
    struct init_schema schema;
    char name[TOPIC_MAX + 1];
    char topics[3][TOPIC_MAX + 1];
    char model_path[PATH_TEXT_MAX], schema_path[PATH_TEXT_MAX];
    char labels_path[PATH_TEXT_MAX];
    char registry_paths[3][PATH_TEXT_MAX]; /* of the registry's files */
    struct registry_flags registry;        /* as they stand in the file */
};

/* "digits" of "models/digits/model.onnx" and of "digits.onnx"; what Kafka allows. */
static void name_of_file(const char *path, char *name, size_t size) {
    char text[PATH_TEXT_MAX];
    char *slash, *dot;
    (void)snprintf(text, sizeof(text), "%s", path); /* a cut path still gives a name */
    slash = strrchr(text, '/');
    if (slash != NULL && strcmp(slash, "/model.onnx") == 0 && slash != text) {
        *slash = 0;
        slash = strrchr(text, '/');
    }
    dot = strrchr(slash == NULL ? text : slash + 1, '.');
    if (dot != NULL && dot != text) {
        *dot = 0;
    }
    (void)snprintf(name, size, "%.200s", slash == NULL ? text : slash + 1);
    for (char *c = name; *c != 0; c++) {
        bool fine = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                    (*c >= '0' && *c <= '9') || strchr("._-", *c) != NULL;
        *c = fine ? *c : '_';
    }
    if (name[strspn(name, ".")] == 0) {
        (void)snprintf(name, size, "model");
    }
}

/* A path that leads to `path` from the folder of the configuration. */
static enum status path_from_output(const struct options *options, const char *path,
                                    char to[PATH_TEXT_MAX], struct error *err) {
    char here[PATH_TEXT_MAX];
    int size;
    if (path[0] == '/' || strchr(options->output, '/') == NULL) {
        size = snprintf(to, PATH_TEXT_MAX, "%s", path);
    } else if (getcwd(here, sizeof(here)) == NULL) {
        return error_set(err, STATUS_FATAL, "the working directory: %s", strerror(errno));
    } else {
        size = snprintf(to, PATH_TEXT_MAX, "%s/%s", here, path);
    }
    return size < PATH_TEXT_MAX
               ? STATUS_OK
               : error_set(err, STATUS_INVALID, "%.100s...: too long a path", path);
}

static enum status set_texts(struct init *init, struct error *err) {
    static const char *const suffixes[2][3] = {{".jobs", ".results", ".dead"},
                                               {"", ".answers", ".dead"}};
    const struct options *options = init->options;
    const char *stem = options->topic;
    const char *flag = stem != NULL ? "--topic" : "--name";
    if (options->name != NULL) {
        (void)snprintf(init->name, sizeof(init->name), "%s", options->name);
    } else {
        name_of_file(options->model, init->name, sizeof(init->name));
    }
    stem = stem != NULL ? stem : init->name;
    for (size_t i = 0; i < ARRAY_COUNT(init->topics); i++) {
        const char *suffix = suffixes[options->topic != NULL][i];
        int size =
            snprintf(init->topics[i], sizeof(init->topics[i]), "%s%s", stem, suffix);
        if ((size_t)size >= sizeof(init->topics[i])) {
            return error_set(err, STATUS_INVALID,
                             "%s %.60s...%s: a topic has %d letters at most", flag, stem,
                             suffix, TOPIC_MAX);
        }
        const char *topic = init->topics[i];
        struct topic_spec spec;
        if (strpbrk(topic, ":,") != NULL ||
            topic_spec_take(&topic, &spec, err) != STATUS_OK) {
            return error_set(err, STATUS_INVALID,
                             "%s '%.100s': letters, digits, '.', '_' and '-' are needed, "
                             "since topics are called so",
                             flag, stem);
        }
    }
    return STATUS_OK;
}

static enum status set_paths(struct init *init, struct error *err) {
    const struct options *options = init->options;
    const struct {
        const char *given;
        char *to;
        const char **file; /* to be set to what was made; NULL for none */
    } paths[] = {
        {options->model, init->model_path, NULL},
        {options->schema, init->schema_path, NULL},
        {options->labels, init->labels_path, NULL},
        {options->registry.ca_file, init->registry_paths[0], &init->registry.ca_file},
        {options->registry.certificate_file, init->registry_paths[1],
         &init->registry.certificate_file},
        {options->registry.key_file, init->registry_paths[2], &init->registry.key_file},
    };
    init->registry = options->registry;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        if (paths[i].given == NULL) {
            continue;
        }
        if (path_from_output(options, paths[i].given, paths[i].to, err) != STATUS_OK) {
            return err->status;
        }
        if (paths[i].file != NULL) {
            *paths[i].file = paths[i].to;
        }
    }
    return STATUS_OK;
}

static enum status load(struct init *init, struct error *err) {
    const struct options *options = init->options;
    const struct model_options how = model_options_of(&options->how);
    enum status status = set_texts(init, err);
    const struct init_schema_opts schema = {.file = options->schema,
                                            .registry = &options->registry,
                                            .topic = init->topics[0],
                                            .bootstrap =
                                                kafka_io_bootstrap(options->bootstrap)};
    if (status == STATUS_OK) {
        status = set_paths(init, err);
    }
    if (status == STATUS_OK) {
        status = model_open_with(options->model, &how, &init->model, err);
    }
    return status == STATUS_OK ? init_schema_find(&schema, &init->schema, err) : status;
}

/* Never over a file that is there; none is left behind where writing fails. */
static enum status write_file(const char *path, const struct init_facts *facts,
                              struct error *err) {
    FILE *file = fopen(path, "wx");
    bool fine;
    if (file == NULL && errno == EEXIST) {
        return error_set(err, STATUS_INVALID,
                         "%s is there already and is not touched; give another --output",
                         path);
    }
    if (file == NULL) {
        return error_set(err, STATUS_INVALID, "%s: cannot write: %s", path,
                         strerror(errno));
    }
    init_write(file, facts);
    fine = ferror(file) == 0;
    if (fclose(file) != 0 || !fine) {
        (void)error_set(err, STATUS_FATAL, "%s: cannot write: %s", path, strerror(errno));
        (void)unlink(path);
        return STATUS_FATAL;
    }
    return STATUS_OK;
}

static void tell_next(const struct init_facts *facts, const char *path) {
    printf("%s is written. Next:\n", path);
    if (facts->proposal != NULL && facts->proposal->constant_count > 0) {
        printf("  look for \"no field was found\" in it: %d of the model's values are "
               "still 0\n",
               facts->proposal->constant_count);
    } else if (facts->proposal != NULL) {
        printf("  look it through: the fields were chosen by name, type and order\n");
    }
    printf("  millrace check-config %s\n", path);
    printf(
        "  millrace topics --bootstrap %s %s:8,%s:8,%s:1    # those that are missing\n",
        facts->bootstrap, facts->input, facts->output, facts->dead_letter);
    printf("  millrace worker --config %s\n", path);
}

static enum status make(struct init *init, struct error *err) {
    static struct init_proposal proposal; /* too large for a stack */
    const struct model_port *inputs[MODEL_INPUTS_MAX];
    const struct options *options = init->options;
    const char *bootstrap = kafka_io_bootstrap(options->bootstrap);
    struct init_facts facts = {
        .model = init->model,
        .name = init->name,
        .model_path = init->model_path,
        .bootstrap = bootstrap != NULL ? bootstrap : "localhost:9092",
        .input = init->topics[0],
        .output = init->topics[1],
        .dead_letter = init->topics[2],
        .record = init->schema.record,
        .schema_path = options->schema != NULL && options->registry.urls == NULL
                           ? init->schema_path
                           : NULL,
        .how = &options->how,
        .registry = &init->registry,
        .labels = options->labels != NULL ? init->labels_path : NULL,
        .subject = init->schema.subject,
    };
    if (options->labels != NULL && init_labelled_output(init->model) < 0) {
        return error_set(err, STATUS_INVALID,
                         "--labels: no output of the model is the index of a class, or "
                         "has a score for each");
    }
    if (init->schema.record != NULL) {
        for (int i = 0; i < model_input_count(init->model); i++) {
            inputs[i] = model_input(init->model, i);
        }
        init_propose(inputs, model_input_count(init->model), init->schema.record,
                     &proposal);
        facts.proposal = &proposal;
    }
    enum status status = write_file(options->output, &facts, err);
    if (status == STATUS_OK) {
        tell_next(&facts, options->output);
    }
    return status;
}

static int run(int argc, char **argv) {
    struct options options = {0};
    struct init init = {.options = &options};
    struct error err = {0};
    int operand_count = 0;
    enum cli_outcome outcome = cli_parse(&init_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (options.registry.urls != NULL && options.schema == NULL &&
        options.topic == NULL) {
        return cli_misuse(&init_cli, "--registry alone does not tell the schema: give "
                                     "--topic TOPIC or --schema FILE too");
    }
    if (options.labels != NULL && options.registry.urls == NULL &&
        options.schema == NULL) {
        return cli_misuse(&init_cli, "--labels is of answers to records: give --schema "
                                     "FILE or --registry URL too");
    }
    enum status status = load(&init, &err);
    if (status == STATUS_OK) {
        status = make(&init, &err);
    }
    if (init.model != NULL) {
        model_close(init.model);
    }
    init_schema_release(&init.schema);
    return status == STATUS_OK ? EXIT_FINE : cli_fail(&init_cli, &err);
}
