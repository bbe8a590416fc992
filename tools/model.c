/* model.c - millrace model: the table of what can be done with a model file. */
#include "tools/commands.h"

static const struct cli_entry entries[] = {
    {"inspect", "what a model file needs and what it would take",
     .command = &model_inspect_cli},
    {"run", "run it on NumPy files", .command = &model_run_cli},
    {"test", "run folders of ONNX test data against it", .command = &model_test_cli},
    {"bench", "how fast it is here", .command = &model_bench_cli},
};

const struct cli_group model_group = {
    .name = "model",
    .summary = "Looks into ONNX models and runs them.",
    .entries = entries,
    .entry_count = ARRAY_COUNT(entries),
};
