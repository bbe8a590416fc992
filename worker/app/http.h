/* http.h - the worker's small HTTP server.
 *
 *     /          an index of the pages below
 *     /metrics   figures in Prometheus's text format
 *     /healthz   200 while every stage moves, 503 with the stalled ones
 *     /readyz    200 when work may come, 503 with the reasons why not
 *
 * It answers GET and HEAD, reads no body, and bounds connections, header sizes and
 * idle times.  There is no TLS and no authentication: bind it where only those may
 * reach it who may read it.
 *
 * Depends on: app/metrics.h, app/health.h; libmicrohttpd.
 * Ownership: metrics and health are borrowed until http_close.
 * Threads: http_open and http_close on one thread; answers run on one thread of the
 * server's own, joined by http_close. */
#ifndef MILLRACE_APP_HTTP_H
#define MILLRACE_APP_HTTP_H

#include "app/health.h"
#include "app/metrics.h"
#include "base/status.h"

struct http_opts {
    const char *address; /* numeric IPv4 or IPv6: "127.0.0.1", "::", "0.0.0.0" */
    int port;            /* 1 .. 65535; 0 takes a free one (see http_port) */
    struct metrics *metrics;
    struct health *health;
};

struct http;

/* Binds and starts answering.  STATUS_INVALID names the address, the port and why. */
MUST_CHECK enum status http_open(const struct http_opts *opts, struct http **http,
                                 struct error *err);

/* The port that is listened on. */
int http_port(const struct http *http);

/* Stops and joins the server's thread.  Accepts NULL. */
void http_close(struct http *http);

#endif
