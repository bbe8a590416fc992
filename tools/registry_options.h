/* registry_options.h - the flags of every command that asks a schema registry.
 *
 *     struct options { ...; struct registry_flags registry; };
 *     static const struct cli_flag flags[] = {
 *         ..., REGISTRY_FLAGS(struct options, registry, "what it is asked for") };
 *
 * What is not given is taken from the worker's variables, MILLRACE_REGISTRY_USER and so
 * on; what is secret from these alone, since everybody sees a command's flags.
 *
 * Depends on: tools/cli.h, registry/http_client.h.
 * Ownership: texts are borrowed from argv and the environment.
 * Threads: main thread only. */
#ifndef MILLRACE_TOOLS_REGISTRY_OPTIONS_H
#define MILLRACE_TOOLS_REGISTRY_OPTIONS_H

#include "registry/http_client.h"
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

/* Sets what is needed to ask the registry.  STATUS_INVALID where it has a user and a
 * token. */
MUST_CHECK enum status registry_options_of(const struct registry_flags *flags,
                                           struct http_client_opts *http,
                                           struct error *err);

#endif
