/* registry_options.h - the flags of every command that asks a schema registry.
 *
 *     struct options { ...; struct registry_flags registry; };
 *     static const struct cli_flag flags[] = {
 *         ..., REGISTRY_FLAGS(struct options, registry, "what it is asked for") };
 *
 * What is not given is taken from the worker's variables, MILLRACE_REGISTRY_USER and so
 * on; what is secret from these alone, since everybody sees a command's flags.
 *
 * Depends on: tools/cli.h, registry/registry.h.
 * Ownership: texts are borrowed from argv and the environment; the registry is the
 * caller's.
 * Threads: main thread only. */
#ifndef MILLRACE_TOOLS_REGISTRY_OPTIONS_H
#define MILLRACE_TOOLS_REGISTRY_OPTIONS_H

#include "registry/registry.h"
#include "tools/cli.h"

struct registry_flags {
    const char *urls; /* NULL: there is none to be asked */
    const char *user, *ca_file, *certificate_file, *key_file;
};

#define REGISTRY_FLAGS(options, member, registry_help)                                \
    {.name = "--registry",                                                            \
     .argument = "URL,...",                                                           \
     .help = registry_help,                                                           \
     .type = CLI_TEXT,                                                                \
     .offset = offsetof(options, member.urls)},                                       \
        {.name = "--registry-user",                                                   \
         .argument = "NAME",                                                          \
         .help = "its user; the password, or else a token, stands in\n"               \
                 "MILLRACE_REGISTRY_PASSWORD or MILLRACE_REGISTRY_TOKEN",             \
         .type = CLI_TEXT,                                                            \
         .offset = offsetof(options, member.user)},                                   \
        {.name = "--registry-ca-file",                                                \
         .argument = "FILE",                                                          \
         .help = "certificates (PEM) that its own is checked with; the system's if\n" \
                 "not given",                                                         \
         .type = CLI_TEXT,                                                            \
         .offset = offsetof(options, member.ca_file)},                                \
        {.name = "--registry-certificate-file",                                       \
         .argument = "FILE",                                                          \
         .help = "our own certificate (PEM), where it asks for one",                  \
         .type = CLI_TEXT,                                                            \
         .offset = offsetof(options, member.certificate_file)},                       \
    {                                                                                 \
        .name = "--registry-key-file", .argument = "FILE",                            \
        .help = "its key; the password stands in MILLRACE_REGISTRY_KEY_PASSWORD",     \
        .type = CLI_TEXT, .offset = offsetof(options, member.key_file),               \
    }

/* The registry, each request to which ends after timeout_ms (0: 10 s).  STATUS_INVALID
 * where a URL is none, or there is a user and a token. */
MUST_CHECK enum status registry_options_open(const struct registry_flags *flags,
                                             int timeout_ms, struct registry **out,
                                             struct error *err);

#endif
