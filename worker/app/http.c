/* http.c - see http.h. */
#include "app/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* A scraper, two probes and a person need few; a flood gets no more. */
enum { CONNECTIONS_MAX = 32, BACKLOG = 16 };
enum { IDLE_TIMEOUT_S = 10 };
enum { HEADERS_SIZE_MAX = 16 * 1024 }; /* bytes a connection may take */

struct http {
    struct MHD_Daemon *daemon; /* owned, and the socket with it */
    struct metrics *metrics;   /* borrowed */
    struct health *health;     /* borrowed */
    int port;
};

/* ---- pages ---------------------------------------------------------------------- */

struct page {
    const char *path;
    const char *type;
    const char *about;
    /* Writes the body; returns the HTTP status. */
    unsigned (*write)(struct http *http, FILE *to);
};

static unsigned write_index(struct http *http, FILE *to);

static unsigned write_metrics(struct http *http, FILE *to) {
    metrics_set(http->metrics, METRIC_READY, 0, health_is_ready(http->health) ? 1 : 0);
    metrics_write(http->metrics, to);
    return MHD_HTTP_OK;
}

static unsigned write_alive(struct http *http, FILE *to) {
    return health_alive_report(http->health, clock_now_us(), to)
               ? MHD_HTTP_OK
               : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned write_ready(struct http *http, FILE *to) {
    return health_ready_report(http->health, to) ? MHD_HTTP_OK
                                                 : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static const struct page pages[] = {
    {"/", "text/plain; charset=utf-8", "this list", write_index},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", "figures for Prometheus",
     write_metrics},
    {"/healthz", "application/json", "is the process alive?", write_alive},
    {"/readyz", "application/json", "may it be sent work?", write_ready},
};

static unsigned write_index(struct http *http, FILE *to) {
    (void)http; /* the list is the same for every server */
    (void)fputs("millrace worker\n\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
        (void)fprintf(to, "%-10s %s\n", pages[i].path, pages[i].about);
    }
    return MHD_HTTP_OK;
}

static const struct page *find_page(const char *path) {
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
        if (strcmp(pages[i].path, path) == 0) {
            return &pages[i];
        }
    }
    return NULL;
}

/* ---- answers; they run on the server's thread ----------------------------------- */

/* Takes `body`, allocated by malloc. */
static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status,
                             const char *type, char *body, size_t size) {
    enum MHD_Result sent = MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(body);
        return MHD_NO;
    }
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) ==
            MHD_YES &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") ==
            MHD_YES &&
        (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
         MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") ==
             MHD_YES)) {
        sent = MHD_queue_response(connection, status, response);
    }
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result reply_error(struct MHD_Connection *connection, unsigned status,
                                   const char *text) {
    char *body = strdup(text);
    return body == NULL ? MHD_NO
                        : reply(connection, status, "text/plain; charset=utf-8", body,
                                strlen(body));
}

static enum MHD_Result reply_page(struct http *http, struct MHD_Connection *connection,
                                  const struct page *page) {
    char *body = NULL;
    size_t size = 0;
    unsigned status;
    FILE *to = open_memstream(&body, &size);
    if (to == NULL) {
        return MHD_NO;
    }
    status = page->write(http, to);
    if (fclose(to) != 0) {
        free(body);
        return MHD_NO;
    }
    return reply(connection, status, page->type, body, size);
}

/* MHD calls once with the headers, then once for each piece of a body, then once to
 * answer.  We answer a method we lack at once, and hang up on a body. */
static enum MHD_Result answer(void *cls, struct MHD_Connection *connection,
                              const char *path, const char *method, const char *version,
                              const char *body, size_t *body_size, void **state) {
    static char seen; /* its address marks a request whose headers came */
    struct http *http = cls;
    const struct page *page = find_page(path);
    (void)version; /* MHD's concern */
    (void)body;    /* is never looked at */
    if (*body_size != 0) {
        return MHD_NO;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return reply_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                           "only GET and HEAD\n");
    }
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    if (page == NULL) {
        return reply_error(connection, MHD_HTTP_NOT_FOUND, "no such page; see /\n");
    }
    return reply_page(http, connection, page);
}

static void log_message(void *cls, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

static void log_message(void *cls, const char *fmt, va_list args) {
    char text[256];
    size_t size;
    (void)cls;                                      /* the log is one for all */
    (void)vsnprintf(text, sizeof(text), fmt, args); /* a cut is fine */
    size = strlen(text);
    while (size > 0 && text[size - 1] == '\n') {
        text[--size] = 0;
    }
    log_event(LOG_DEBUG, "http", LOG_TEXT("message", text));
}

/* ---- life ----------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t parse_address(const struct http_opts *opts, union address *to) {
    *to = (union address){0};
    if (inet_pton(AF_INET, opts->address, &to->v4.sin_addr) == 1) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons((uint16_t)opts->port);
        return sizeof(to->v4);
    }
    if (inet_pton(AF_INET6, opts->address, &to->v6.sin6_addr) == 1) {
        to->v6.sin6_family = AF_INET6;
        to->v6.sin6_port = htons((uint16_t)opts->port);
        return sizeof(to->v6);
    }
    return 0;
}

static const char *bind_hint(int error) {
    switch (error) {
    case EADDRINUSE:
        return "; another process listens there: choose another port, or 0 for none";
    case EACCES:
        return "; ports below 1024 need a privilege: choose a higher one";
    case EADDRNOTAVAIL:
        return "; this host has no such address: use one of its own, or 0.0.0.0 for all";
    default:
        return "";
    }
}

/* A listening socket, or -1.  We bind it, not MHD, to know why it failed. */
static int listen_on(const struct http_opts *opts, int *port, struct error *err) {
    static const int on = 1;
    union address address;
    socklen_t size = parse_address(opts, &address);
    int fd;
    if (size == 0) {
        (void)error_set(err, STATUS_INVALID,
                        "http: address '%s' is not a numeric IPv4 or IPv6 address",
                        opts->address);
        return -1;
    }
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, &address.any, size) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &address.any, &size) != 0) {
        int error = errno;
        (void)error_set(err, STATUS_INVALID, "http: cannot listen on %s port %d: %s%s",
                        opts->address, opts->port, strerror(error), bind_hint(error));
        if (fd >= 0) {
            (void)close(fd); /* nothing was sent */
        }
        return -1;
    }
    *port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port
                                                   : address.v6.sin6_port);
    return fd;
}

/* Signals are for the threads that wait for them: MHD's inherits a full mask. */
static struct MHD_Daemon *start_daemon(struct http *http, int fd) {
    struct MHD_Daemon *daemon;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all); /* cannot fail */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    daemon = MHD_start_daemon(
        MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, answer, http,
        MHD_OPTION_EXTERNAL_LOGGER, log_message, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_SIZE_MAX, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

enum status http_open(const struct http_opts *opts, struct http **http,
                      struct error *err) {
    struct http *h = calloc(1, sizeof(*h));
    int fd;
    *http = NULL;
    if (h == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "http: out of memory");
    }
    *h = (struct http){.metrics = opts->metrics, .health = opts->health};
    fd = listen_on(opts, &h->port, err);
    if (fd < 0) {
        free(h);
        return err->status;
    }
    h->daemon = start_daemon(h, fd);
    if (h->daemon == NULL) {
        (void)close(fd); /* nothing was sent */
        free(h);
        return error_set(err, STATUS_FATAL,
                         "http: the server on %s port %d did not start", opts->address,
                         opts->port);
    }
    *http = h;
    return STATUS_OK;
}

int http_port(const struct http *http) {
    return http->port;
}

void http_close(struct http *http) {
    if (http == NULL) {
        return;
    }
    MHD_stop_daemon(http->daemon);
    free(http);
}
