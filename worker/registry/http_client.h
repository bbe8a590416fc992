/* http_client.h - requests to a schema registry, by libcurl.
 *
 * The only place with curl.h.  Several base URLs are tried in turn, starting with the one
 * that answered last; an answer of 5xx or none at all goes on to the next.
 *
 * Depends on: base/; libcurl.
 * Ownership: a client copies its options; a reply is the client's until its next request.
 * Threads: one at a time. */
#ifndef MILLRACE_REGISTRY_HTTP_CLIENT_H
#define MILLRACE_REGISTRY_HTTP_CLIENT_H

#include <stdbool.h>

#include "base/span.h"
#include "base/status.h"

#define HTTP_URLS_MAX 8
#define HTTP_URL_SIZE_MAX 2048                /* bytes of a base URL and a path */
#define HTTP_REPLY_SIZE_MAX ((size_t)4 << 20) /* bytes; a schema is at most 1 MiB */

struct http_client_opts {
    const char
        *urls; /* base URLs, with commas between them: "https://a:8081,https://b" */
    const char *user; /* basic authentication; NULL for none (a URL may hold it, too) */
    const char *password;
    const char *token;     /* a bearer token, instead; NULL for none */
    const char *ca_file;   /* PEM; NULL for the system's */
    const char *cert_file; /* PEM, the client's certificate; NULL for none */
    const char *key_file;  /* PEM, its key */
    const char *key_password;
    int timeout_ms; /* of one request to one URL */
};

struct http_reply {
    long code; /* 200, 404, ... */
    struct span body;
};

struct http_client; /* opaque */

/* STATUS_INVALID for options that make no sense, STATUS_NO_MEMORY. */
MUST_CHECK enum status http_client_create(const struct http_client_opts *opts,
                                          struct http_client **out, struct error *err);

/* Accepts NULL. */
void http_client_destroy(struct http_client *client);

/* Makes the requests that run, and those to come, end soon.  From any thread. */
void http_client_stop(struct http_client *client);

/* GET where `body` is NULL, else POST.  `path` begins with "/".  STATUS_OK for any answer
 * below 500; STATUS_AGAIN where no URL gives one, with what the last one said. */
MUST_CHECK enum status http_client_request(struct http_client *client, const char *path,
                                           const char *body, struct http_reply *reply,
                                           struct error *err);

/* Writes `text`, escaped for one segment of a path, and returns `to`; NULL where it does
 * not fit into `size` bytes. */
char *http_escape(const char *text, char *to, size_t size);

#endif
