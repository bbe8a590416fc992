/* model_run.c - millrace model run: .npy files in, .npy files out. */
#include <assert.h>
#include <limits.h>

#include "engine/session.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/file.h"
#include "tools/model_options.h"
#include "tools/npy.h"

struct options {
    struct cli_list inputs;
    const char *output_dir;
    struct model_flags model;
};

static const struct cli_flag flags[] = {
    {.name = "--input",
     .argument = "NAME=FILE.npy",
     .help = "an input of the model",
     .type = CLI_LIST,
     .offset = offsetof(struct options, inputs)},
    {.name = "--output-dir",
     .argument = "DIR",
     .help = "where the outputs go; made if it is not there",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, output_dir),
     .required = true},
    MODEL_FLAGS(struct options, model),
};

static int run(int argc, char **argv);

const struct cli_command model_run_cli = {
    .name = "model run",
    .operands = "MODEL.onnx",
    .summary = "Runs a model once on NumPy files and writes its outputs as NumPy files.",
    .details = "Every input is given once; an empty NAME stands for the only one. An\n"
               "output goes to DIR/NAME.npy, where '/' and ':' in NAME become '_'.\n"
               "bfloat16 outputs are written as float32, which .npy can hold.",
    .operands_min = 1,
    .operands_max = 1,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* What one run holds. */
struct run {
    struct model *model;
    struct session *session;
    struct npy_array arrays[MODEL_INPUTS_MAX];
    struct tensor inputs[MODEL_INPUTS_MAX];
};

static enum status read_input(struct run *run, const char *argument, struct error *err) {
    const char *equals = strchr(argument, '=');
    assert(equals != NULL); /* cli_parse has seen to it */
    int name_size = (int)(equals - argument);
    int index = model_input_find(run->model, span_of(argument, (size_t)name_size));
    if (index < 0) {
        return error_set(err, STATUS_INVALID,
                         "--input %.*s: the model has no such input; its %s '%s', see "
                         "millrace model inspect",
                         name_size, argument,
                         model_input_count(run->model) == 1 ? "only one is"
                                                            : "first one is",
                         model_input(run->model, 0)->name);
    }
    if (run->arrays[index].elements != NULL) {
        return error_set(err, STATUS_INVALID, "--input %.*s: it is given twice",
                         name_size, argument);
    }
    enum status status = npy_read(equals + 1, &run->arrays[index], err);
    run->inputs[index] = run->arrays[index].tensor;
    return status;
}

static enum status read_inputs(struct run *run, const struct cli_list *list,
                               struct error *err) {
    for (int i = 0; i < list->count; i++) {
        enum status status = read_input(run, list->items[i], err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (int i = 0; i < model_input_count(run->model); i++) {
        if (run->arrays[i].elements == NULL) {
            return error_set(err, STATUS_INVALID, "--input %s=FILE.npy is needed",
                             model_input(run->model, i)->name);
        }
    }
    return STATUS_OK;
}

static enum status write_output(const char *dir, const char *name, const struct tensor *y,
                                struct error *err) {
    char path[PATH_MAX];
    size_t start = strlen(dir) + 1;
    int used = snprintf(path, sizeof(path), "%s/%s.npy", dir, name);
    if (used < 0 || (size_t)used >= sizeof(path)) {
        return error_set(err, STATUS_INVALID, "%s/%s: the name is too long", dir, name);
    }
    for (size_t i = start; path[i] != 0; i++) {
        if (path[i] == '/' || path[i] == ':') {
            path[i] = '_';
        }
    }
    return npy_write(path, y, err);
}

static enum status write_outputs(const struct run *run, const char *dir,
                                 struct error *err) {
    enum status status = file_make_folder(dir, err);
    for (int i = 0; status == STATUS_OK && i < model_output_count(run->model); i++) {
        status = write_output(dir, model_output(run->model, i)->name,
                              session_output(run->session, i), err);
    }
    return status;
}

static enum status run_model(struct run *run, const char *path,
                             const struct options *options, struct error *err) {
    const struct model_options how = model_options_of(&options->model);
    enum status status = model_open_with(path, &how, &run->model, err);
    if (status == STATUS_OK) {
        status = read_inputs(run, &options->inputs, err);
    }
    if (status == STATUS_OK) {
        status = session_create(run->model, 0, &run->session, err);
    }
    if (status == STATUS_OK) {
        status = session_prepare(run->session, run->inputs, err);
    }
    if (status == STATUS_OK) {
        status = session_run(run->session, run->inputs, err);
    }
    if (status == STATUS_OK) {
        status = write_outputs(run, options->output_dir, err);
    }
    return status;
}

static int run(int argc, char **argv) {
    struct options options = {0};
    struct run run = {.model = NULL};
    struct error err = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&model_run_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    enum status status = run_model(&run, argv[1], &options, &err);
    if (run.session != NULL) {
        session_destroy(run.session);
    }
    for (int i = 0; i < MODEL_INPUTS_MAX; i++) {
        npy_release(&run.arrays[i]);
    }
    if (run.model != NULL) {
        model_close(run.model);
    }
    return status == STATUS_OK ? EXIT_FINE : cli_fail(&model_run_cli, &err);
}
