/* server.h - an HTTP server in the test's own process, that answers as it is told. */
#ifndef MILLRACE_TESTS_UNIT_REGISTRY_SERVER_H
#define MILLRACE_TESTS_UNIT_REGISTRY_SERVER_H

#include <check.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX 16

struct route { /* the first that fits and is not used up answers */
    const char *method, *path;
    unsigned code;
    const char *body;
    int times; /* that it answers; 0 for ever */
    int used;
};

struct server {
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock; /* of all below */
    struct route routes[ROUTES_MAX];
    int count;
    int requests;
    char authorization[256], posted[1024]; /* of the latest request */
    size_t posted_size;
};

static inline struct route *server_find(struct server *server, const char *method,
                                        const char *path) {
    for (int i = 0; i < server->count; i++) {
        struct route *route = &server->routes[i];
        if (strcmp(route->method, method) == 0 && strcmp(route->path, path) == 0 &&
            (route->times == 0 || route->used < route->times)) {
            return route;
        }
    }
    return NULL;
}

static inline enum MHD_Result server_answer(void *opaque,
                                            struct MHD_Connection *connection,
                                            const char *path, const char *method,
                                            const char *version, const char *body,
                                            size_t *body_size, void **state) {
    static char seen;
    struct server *server = opaque;
    struct MHD_Response *response;
    struct route *route;
    const char *header;
    enum MHD_Result sent;
    (void)version;
    pthread_mutex_lock(&server->lock);
    if (*state == NULL || *body_size > 0) {
        if (*state == NULL) {
            server->posted_size = 0;
        } else if (server->posted_size + *body_size < sizeof(server->posted)) {
            memcpy(server->posted + server->posted_size, body, *body_size);
            server->posted_size += *body_size;
        }
        *state = &seen;
        *body_size = 0;
        pthread_mutex_unlock(&server->lock);
        return MHD_YES;
    }
    server->posted[server->posted_size] = 0;
    header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    snprintf(server->authorization, sizeof(server->authorization), "%s",
             header == NULL ? "" : header);
    server->requests++;
    route = server_find(server, method, path);
    body =
        route == NULL ? "{\"error_code\":40403,\"message\":\"not found\"}" : route->body;
    response = MHD_create_response_from_buffer(strlen(body), (void *)(size_t)body,
                                               MHD_RESPMEM_MUST_COPY);
    if (route != NULL) {
        route->used++;
    }
    sent = MHD_queue_response(connection, route == NULL ? 404 : route->code, response);
    MHD_destroy_response(response);
    pthread_mutex_unlock(&server->lock);
    return sent;
}

static inline void server_open(struct server *server) {
    memset(server, 0, sizeof(*server));
    pthread_mutex_init(&server->lock, NULL);
    server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
                                      server_answer, server, MHD_OPTION_END);
    ck_assert_ptr_nonnull(server->daemon);
}

static inline int server_port(const struct server *server) {
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static inline void server_add(struct server *server, const char *method, const char *path,
                              unsigned code, const char *body, int times) {
    pthread_mutex_lock(&server->lock);
    ck_assert_int_lt(server->count, ROUTES_MAX);
    server->routes[server->count++] = (struct route){
        .method = method, .path = path, .code = code, .body = body, .times = times};
    pthread_mutex_unlock(&server->lock);
}

static inline int server_requests(struct server *server) {
    int count;
    pthread_mutex_lock(&server->lock);
    count = server->requests;
    pthread_mutex_unlock(&server->lock);
    return count;
}

static inline void server_close(struct server *server) {
    MHD_stop_daemon(server->daemon);
    pthread_mutex_destroy(&server->lock);
}

#endif
