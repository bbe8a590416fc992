/* registry_options.c - see registry_options.h. */
#include "tools/registry_options.h"

#include <stdlib.h>

/* The flag's value, else the variable's; NULL for none. */
static const char *given(const char *flag, const char *variable) {
    const char *text = flag != NULL ? flag : getenv(variable);
    return text == NULL || text[0] == 0 ? NULL : text;
}

enum status registry_options_open(const struct registry_flags *flags, int timeout_ms,
                                  struct registry **out, struct error *err) {
    const struct registry_opts opts = {
        .http = {.urls = flags->urls,
                 .user = given(flags->user, "MILLRACE_REGISTRY_USER"),
                 .password = given(NULL, "MILLRACE_REGISTRY_PASSWORD"),
                 .token = given(NULL, "MILLRACE_REGISTRY_TOKEN"),
                 .ca_file = given(flags->ca_file, "MILLRACE_REGISTRY_CA_FILE"),
                 .cert_file =
                     given(flags->certificate_file, "MILLRACE_REGISTRY_CERTIFICATE_FILE"),
                 .key_file = given(flags->key_file, "MILLRACE_REGISTRY_KEY_FILE"),
                 .key_password = given(NULL, "MILLRACE_REGISTRY_KEY_PASSWORD"),
                 .timeout_ms = timeout_ms}};
    if (opts.http.token != NULL && opts.http.user != NULL) {
        return error_set(err, STATUS_INVALID,
                         "--registry: it has a user or MILLRACE_REGISTRY_TOKEN, not "
                         "both");
    }
    return registry_create(&opts, out, err) == STATUS_OK
               ? STATUS_OK
               : error_prefix(err, "--registry");
}
