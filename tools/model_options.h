/* model_options.h - the flags of every command that loads a model.
 *
 *     struct options { ...; struct model_flags model; };
 *     static const struct cli_flag flags[] = { ..., MODEL_FLAGS(struct options, model) };
 *
 * Depends on: tools/cli.h, engine/model.h.
 * Ownership: plain values.
 * Threads: any. */
#ifndef MILLRACE_TOOLS_MODEL_OPTIONS_H
#define MILLRACE_TOOLS_MODEL_OPTIONS_H

#include "engine/model.h"
#include "tools/cli.h"

struct model_flags {
    bool external_data;
    int64_t memory_mb;
};

#define MODEL_FLAGS(options, member)                                                 \
    {                                                                                \
        .name = "--external-data",                                                   \
        .help = "read weights from files in the model's folder and below it",        \
        .type = CLI_SWITCH,                                                          \
        .offset = offsetof(options, member.external_data),                           \
    },                                                                               \
    {                                                                                \
        .name = "--memory-mb", .argument = "N",                                      \
        .help = "MiB that the model's weights may take", .type = CLI_INT,            \
        .offset = offsetof(options, member.memory_mb), .initial = "16384", .min = 1, \
        .max = 1 << 20,                                                              \
    }

static inline struct model_options model_options_of(const struct model_flags *flags) {
    return (struct model_options){.memory_max = (size_t)flags->memory_mb << 20,
                                  .external_data = flags->external_data};
}

#endif
