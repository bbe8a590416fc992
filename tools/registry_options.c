/* registry_options.c - see registry_options.h. */
#include "tools/registry_options.h"

#include <stdlib.h>

/* The flag's value, else the variable's; NULL for none. */
static const char *given(const char *flag, const char *variable) {
    const char *text = flag != NULL ? flag : getenv(variable);
    return text == NULL || text[0] == 0 ? NULL : text;
}

enum status registry_options_of(const struct registry_flags *flags,
                                struct http_client_opts *http, struct error *err) {
    *http = (struct http_client_opts){
        .urls = flags->urls,
        .user = given(flags->user, "MILLRACE_REGISTRY_USER"),
        .password = given(NULL, "MILLRACE_REGISTRY_PASSWORD"),
        .token = given(NULL, "MILLRACE_REGISTRY_TOKEN"),
        .ca_file = given(flags->ca_file, "MILLRACE_REGISTRY_CA_FILE"),
        .cert_file = given(flags->certificate_file, "MILLRACE_REGISTRY_CERTIFICATE_FILE"),
        .key_file = given(flags->key_file, "MILLRACE_REGISTRY_KEY_FILE"),
        .key_password = given(NULL, "MILLRACE_REGISTRY_KEY_PASSWORD")};
    return http->token == NULL || http->user == NULL
               ? STATUS_OK
               : error_set(err, STATUS_INVALID,
                           "a schema registry has a user or MILLRACE_REGISTRY_TOKEN, "
                           "not both");
}
