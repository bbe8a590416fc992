/* model.c - millrace model: the table of what can be done with a model file. */
#include "tools/cli.h"
#include "tools/commands.h"

static const struct cli_entry entries[] = {
    {"inspect", "what a model file needs and what it would take", model_inspect_command},
    {"run", "run it on NumPy files", model_run_command},
    {"test", "run folders of ONNX test data against it", model_test_command},
    {"bench", "how fast it is here", model_bench_command},
};

int model_command(int argc, char **argv) {
    return cli_dispatch("millrace model", "Looks into ONNX models and runs them.",
                        entries, ARRAY_COUNT(entries), argc, argv);
}
