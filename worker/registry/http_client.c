/* http_client.c - see http_client.h. */
#include "registry/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/size.h"

#define REDIRECTS_MAX 3L
#define MEDIA_TYPE "application/vnd.schemaregistry.v1+json"

struct http_client {
    CURL *curl;                 /* owned */
    struct curl_slist *headers; /* owned */
    char *urls[HTTP_URLS_MAX];  /* owned; without a final slash */
    int url_count;
    int first; /* the URL that answered last */
    char *body;
    size_t size, room; /* bytes of the reply, and that `body` has room for */
    bool too_large;
    atomic_bool stop;
    char problem[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void) {
    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* a handle that fails will tell */
}

/* ---- what curl calls ----------------------------------------------------------------
 */

static size_t on_body(char *data, size_t size, size_t count, void *opaque) {
    struct http_client *client = opaque;
    size_t more = size * count; /* at most CURL_MAX_WRITE_SIZE */
    if (more > HTTP_REPLY_SIZE_MAX - client->size) {
        client->too_large = true;
        return 0; /* ends the transfer */
    }
    if (client->size + more > client->room) {
        size_t room = size_max(2 * client->room, client->size + more);
        char *larger = realloc(client->body, room);
        if (larger == NULL) {
            return 0;
        }
        client->body = larger;
        client->room = room;
    }
    memcpy(client->body + client->size, data, more);
    client->size += more;
    return more;
}

static int on_progress(void *opaque, curl_off_t total, curl_off_t now,
                       curl_off_t up_total, curl_off_t up_now) {
    struct http_client *client = opaque;
    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    return atomic_load(&client->stop) ? 1 : 0;
}

/* ---- options ------------------------------------------------------------------------
 */

static enum status add_url(struct http_client *client, const char *url, size_t size,
                           struct error *err) {
    while (size > 0 && (*url == ' ' || *url == '\n')) {
        url++;
        size--;
    }
    while (size > 0 && (url[size - 1] == '/' || url[size - 1] == ' ')) {
        size--;
    }
    if (client->url_count == HTTP_URLS_MAX) {
        return error_set(err, STATUS_INVALID, "more than %d URLs of a schema registry",
                         HTTP_URLS_MAX);
    }
    if (size >= HTTP_URL_SIZE_MAX / 2 ||
        (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)) {
        return error_set(err, STATUS_INVALID,
                         "URL %d of the schema registry does not begin with http:// or "
                         "https://, or is too long",
                         client->url_count + 1);
    }
    client->urls[client->url_count] = strndup(url, size);
    if (client->urls[client->url_count] == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a client");
    }
    client->url_count++;
    return STATUS_OK;
}

static enum status add_urls(struct http_client *client, const char *urls,
                            struct error *err) {
    if (urls == NULL) {
        return error_set(err, STATUS_INVALID, "the schema registry has no URL");
    }
    for (;;) {
        size_t size = strcspn(urls, ",");
        if (add_url(client, urls, size, err) != STATUS_OK) {
            return err->status;
        }
        if (urls[size] == 0) {
            return STATUS_OK;
        }
        urls += size + 1;
    }
}

/* One option that is a text; NULL leaves it as it is. */
static bool set_text(CURL *curl, CURLoption option, const char *text) {
    return text == NULL || curl_easy_setopt(curl, option, text) == CURLE_OK;
}

static bool set_access(struct http_client *client, const struct http_client_opts *opts) {
    CURL *curl = client->curl;
    bool good = set_text(curl, CURLOPT_USERNAME, opts->user) &&
                set_text(curl, CURLOPT_PASSWORD, opts->password) &&
                set_text(curl, CURLOPT_XOAUTH2_BEARER, opts->token) &&
                set_text(curl, CURLOPT_CAINFO, opts->ca_file) &&
                set_text(curl, CURLOPT_SSLCERT, opts->cert_file) &&
                set_text(curl, CURLOPT_SSLKEY, opts->key_file) &&
                set_text(curl, CURLOPT_KEYPASSWD, opts->key_password);
    if (opts->token != NULL) {
        good = good && curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) ==
                           CURLE_OK;
    }
    return good;
}

static bool set_basics(struct http_client *client, const struct http_client_opts *opts) {
    CURL *curl = client->curl;
    long timeout_ms = opts->timeout_ms > 0 ? opts->timeout_ms : 10000;
    return curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->problem) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, client) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers) == CURLE_OK;
}

enum status http_client_create(const struct http_client_opts *opts,
                               struct http_client **out, struct error *err) {
    struct http_client *client = calloc(1, sizeof(*client));
    enum status status;
    *out = NULL;
    (void)pthread_once(&curl_once, init_curl);
    if (client == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a client");
    }
    atomic_init(&client->stop, false);
    client->curl = curl_easy_init();
    client->headers = curl_slist_append(NULL, "Content-Type: " MEDIA_TYPE);
    if (client->headers != NULL &&
        curl_slist_append(client->headers, "Accept: " MEDIA_TYPE ", application/json") ==
            NULL) {
        status = error_set(err, STATUS_NO_MEMORY, "no memory for a client");
    } else if (client->curl == NULL || client->headers == NULL ||
               !set_basics(client, opts) || !set_access(client, opts)) {
        status = error_set(err, STATUS_INVALID,
                           "libcurl does not take the schema registry's options");
    } else {
        status = add_urls(client, opts->urls, err);
    }
    if (status != STATUS_OK) {
        http_client_destroy(client);
        client = NULL;
    }
    *out = client;
    return status;
}

void http_client_destroy(struct http_client *client) {
    if (client == NULL) {
        return;
    }
    curl_easy_cleanup(client->curl);
    curl_slist_free_all(client->headers);
    for (int i = 0; i < client->url_count; i++) {
        free(client->urls[i]);
    }
    free(client->body);
    free(client);
}

void http_client_stop(struct http_client *client) {
    atomic_store(&client->stop, true);
}

/* ---- requests -----------------------------------------------------------------------
 */

static bool prepare(struct http_client *client, const char *url, const char *body) {
    CURL *curl = client->curl;
    client->size = 0;
    client->too_large = false;
    client->problem[0] = 0;
    if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK) {
        return false;
    }
    if (body == NULL) {
        return curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    }
    return curl_easy_setopt(curl, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t)strlen(body)) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body) == CURLE_OK;
}

/* Without what may be a password in front of an "@". */
static const char *shown_host(const char *url) {
    const char *at = strchr(url, '@');
    return at == NULL ? url : at + 1;
}

static enum status try_url(struct http_client *client, const char *base, const char *path,
                           const char *body, struct http_reply *reply,
                           struct error *err) {
    char url[HTTP_URL_SIZE_MAX];
    CURLcode code;
    int used = snprintf(url, sizeof(url), "%s%s", base, path);
    if (used < 0 || (size_t)used >= sizeof(url)) {
        return error_set(err, STATUS_INVALID, "the path '%.80s...' is too long", path);
    }
    if (!prepare(client, url, body)) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a request");
    }
    code = curl_easy_perform(client->curl);
    if (client->too_large) {
        return error_set(err, STATUS_INVALID,
                         "schema registry %s: an answer of more than %zu bytes",
                         shown_host(base), HTTP_REPLY_SIZE_MAX);
    }
    if (code != CURLE_OK) {
        return error_set(err, STATUS_AGAIN, "schema registry %s: %s", shown_host(base),
                         client->problem[0] != 0 ? client->problem
                                                 : curl_easy_strerror(code));
    }
    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &reply->code);
    reply->body = span_of(client->size == 0 ? "" : client->body, client->size);
    if (reply->code >= 500 || reply->code == 429) { /* too many requests */
        return error_set(err, STATUS_AGAIN, "schema registry %s: answers with %ld",
                         shown_host(base), reply->code);
    }
    return STATUS_OK;
}

enum status http_client_request(struct http_client *client, const char *path,
                                const char *body, struct http_reply *reply,
                                struct error *err) {
    enum status status = STATUS_AGAIN;
    for (int i = 0; i < client->url_count && status == STATUS_AGAIN; i++) {
        int index = (client->first + i) % client->url_count;
        status = try_url(client, client->urls[index], path, body, reply, err);
        if (status == STATUS_OK) {
            client->first = index;
        }
    }
    return status;
}

char *http_escape(const char *text, char *to, size_t size) {
    static const char digits[] = "0123456789ABCDEF";
    size_t used = 0;
    for (; *text != 0; text++) {
        uint8_t byte = (uint8_t)*text;
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || strchr("-._~", byte) != NULL;
        if (used + 4 > size) {
            return NULL;
        }
        if (plain) {
            to[used++] = (char)byte;
        } else {
            to[used++] = '%';
            to[used++] = digits[byte >> 4];
            to[used++] = digits[byte & 15];
        }
    }
    to[used] = 0;
    return to;
}
