/* test_http.c - the pages over a real socket, and what a bad client gets. */
#include "app/http.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/suite.h"

enum { PATIENCE_MS = 20000 };

static struct health health;
static struct metrics *metrics;
static struct http *http;
static char answer[256 * 1024];

static void set_up(void) {
    static const char *const routes[] = {"jobs"};
    const struct metrics_opts metrics_opts = {
        .routes = routes, .route_count = 1, .version = "test"};
    struct http_opts opts = {.address = "127.0.0.1", .health = &health};
    struct error err = {0};
    (void)signal(SIGPIPE, SIG_IGN);
    ck_assert(health_init(&health, 1, 1000000));
    ck_assert_int_eq(metrics_create(&metrics_opts, &metrics, &err), STATUS_OK);
    opts.metrics = metrics;
    ck_assert_msg(http_open(&opts, &http, &err) == STATUS_OK, "%s", err.text);
    ck_assert_int_gt(http_port(http), 0);
}

static void tear_down(void) {
    http_close(http);
    metrics_destroy(metrics);
    health_release(&health);
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Reads until the server hangs up; at most what fits. */
static void read_all(int fd) {
    size_t used = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t count;
        ck_assert_msg(poll(&wait, 1, PATIENCE_MS) == 1, "no answer");
        count = read(fd, answer + used, sizeof(answer) - 1 - used);
        if (count <= 0) {
            break;
        }
        used += (size_t)count;
    }
    answer[used] = 0;
}

/* Sends raw bytes and reads the whole answer. */
static const char *talk(const char *request, size_t size) {
    int fd = connect_to(http_port(http));
    while (size > 0) {
        ssize_t sent = send(fd, request, size, MSG_NOSIGNAL);
        if (sent < 0) {
            break; /* the server may hang up on too much */
        }
        request += sent;
        size -= (size_t)sent;
    }
    read_all(fd);
    (void)close(fd);
    return answer;
}

static const char *ask(const char *method, const char *path) {
    char request[512];
    (void)snprintf(request, sizeof(request),
                   "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", method,
                   path);
    return talk(request, strlen(request));
}

static int status_of(const char *text) {
    ck_assert_msg(strncmp(text, "HTTP/1.1 ", 9) == 0, "%.40s", text);
    return (int)strtol(text + 9, NULL, 10);
}

static const char *body_of(const char *text) {
    const char *body = strstr(text, "\r\n\r\n");
    ck_assert_ptr_nonnull(body);
    return body + 4;
}

static void meet_all(void) {
    for (int i = 0; i < HEALTH_CONDITION_COUNT; i++) {
        health_meet(&health, (enum health_condition)i);
    }
}

START_TEST(index_lists_the_pages) {
    const char *text = ask("GET", "/");
    ck_assert_int_eq(status_of(text), 200);
    ck_assert_ptr_nonnull(strstr(body_of(text), "/metrics"));
    ck_assert_ptr_nonnull(strstr(body_of(text), "/readyz"));
}
END_TEST

START_TEST(metrics_page_has_its_type_and_figures) {
    const char *text;
    metrics_add(metrics, METRIC_JOBS_RECEIVED, 0, 42);
    text = ask("GET", "/metrics");
    ck_assert_int_eq(status_of(text), 200);
    ck_assert_ptr_nonnull(
        strstr(text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    ck_assert_ptr_nonnull(
        strstr(body_of(text), "\nmillrace_jobs_received_total{route=\"jobs\"} 42\n"));
    ck_assert_ptr_nonnull(strstr(body_of(text), "\nmillrace_ready 0\n"));
    meet_all();
    ck_assert_ptr_nonnull(
        strstr(body_of(ask("GET", "/metrics")), "\nmillrace_ready 1\n"));
}
END_TEST

START_TEST(readyz_follows_the_conditions) {
    const char *text = ask("GET", "/readyz");
    ck_assert_int_eq(status_of(text), 503);
    meet_all();
    ck_assert_int_eq(status_of(ask("GET", "/readyz")), 200);
    health_unmeet(&health, HEALTH_TOPICS, "create digits.jobs");
    text = ask("GET", "/readyz");
    ck_assert_int_eq(status_of(text), 503);
    ck_assert_ptr_nonnull(strstr(body_of(text), "create digits.jobs"));
}
END_TEST

START_TEST(healthz_fails_when_a_stage_stalls) {
    size_t stage = health_stage_add(&health, "commit");
    const char *text;
    ck_assert_int_eq(status_of(ask("GET", "/healthz")), 200);
    health_busy(&health, stage, clock_now_us() - 5000000);
    text = ask("GET", "/healthz");
    ck_assert_int_eq(status_of(text), 503);
    ck_assert_ptr_nonnull(strstr(body_of(text), "\"commit\""));
    health_idle(&health, stage);
    ck_assert_int_eq(status_of(ask("GET", "/healthz")), 200);
}
END_TEST

START_TEST(head_has_the_status_and_no_body) {
    const char *text = ask("HEAD", "/readyz");
    ck_assert_int_eq(status_of(text), 503);
    ck_assert_str_eq(body_of(text), "");
}
END_TEST

START_TEST(other_methods_and_pages_are_refused) {
    static const char post[] =
        "POST /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        "Content-Length: 5\r\n\r\nhello";
    const char *text = talk(post, sizeof(post) - 1);
    ck_assert_int_eq(status_of(text), 405);
    ck_assert_ptr_nonnull(strstr(text, "Allow: GET, HEAD\r\n"));
    ck_assert_int_eq(status_of(ask("DELETE", "/")), 405);
    ck_assert_int_eq(status_of(ask("GET", "/metrics/")), 404);
    ck_assert_int_eq(status_of(ask("GET", "/../../etc/passwd")), 404);
}
END_TEST

START_TEST(a_body_is_hung_up_on) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                  "Content-Length: 4\r\n\r\nbody";
    const char *text = talk(request, sizeof(request) - 1);
    ck_assert(text[0] == 0 || status_of(text) >= 400);
}
END_TEST

START_TEST(huge_headers_are_refused) {
    static char request[64 * 1024] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    const char *text;
    memset(request + strlen(request), 'a', sizeof(request) - strlen(request) - 1);
    text = talk(request, sizeof(request) - 1);
    /* An error or a hang-up, never the page. */
    ck_assert(text[0] == 0 || status_of(text) >= 400);
    ck_assert_int_eq(status_of(ask("GET", "/")), 200);
}
END_TEST

START_TEST(noise_is_survived) {
    static const char *const noise[] = {
        "\r\n\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        "GET /%00%ff%gg?a=%s%n HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(noise); i++) {
        int fd = connect_to(http_port(http));
        ck_assert_int_gt(send(fd, noise[i], strlen(noise[i]), MSG_NOSIGNAL), 0);
        (void)shutdown(fd, SHUT_WR);
        read_all(fd);
        (void)close(fd);
        ck_assert_int_eq(status_of(ask("GET", "/")), 200);
    }
}
END_TEST

START_TEST(more_connections_than_allowed_leave_the_server_alive) {
    int fds[64];
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        fds[i] = connect_to(http_port(http));
    }
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        (void)close(fds[i]);
    }
    ck_assert_int_eq(status_of(ask("GET", "/")), 200);
}
END_TEST

START_TEST(a_taken_port_is_named_with_what_to_do) {
    struct http_opts opts = {.address = "127.0.0.1",
                             .port = http_port(http),
                             .metrics = metrics,
                             .health = &health};
    struct http *second;
    struct error err = {0};
    char wanted[64];
    ck_assert_int_eq(http_open(&opts, &second, &err), STATUS_INVALID);
    ck_assert_ptr_null(second);
    (void)snprintf(wanted, sizeof(wanted), "127.0.0.1 port %d", opts.port);
    ck_assert_ptr_nonnull(strstr(err.text, wanted));
    ck_assert_ptr_nonnull(strstr(err.text, "choose another port"));
}
END_TEST

START_TEST(bad_addresses_are_named) {
    static const char *const bad[] = {"localhost", "", "256.0.0.1", "203.0.113.7"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct http_opts opts = {
            .address = bad[i], .metrics = metrics, .health = &health};
        struct http *second;
        struct error err = {0};
        ck_assert_int_eq(http_open(&opts, &second, &err), STATUS_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, bad[i]));
    }
}
END_TEST

START_TEST(close_accepts_null) {
    http_close(NULL);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        index_lists_the_pages,
        metrics_page_has_its_type_and_figures,
        readyz_follows_the_conditions,
        healthz_fails_when_a_stage_stalls,
        head_has_the_status_and_no_body,
        other_methods_and_pages_are_refused,
        a_body_is_hung_up_on,
        huge_headers_are_refused,
        noise_is_survived,
        more_connections_than_allowed_leave_the_server_alive,
        a_taken_port_is_named_with_what_to_do,
        bad_addresses_are_named,
        close_accepts_null,
    };
    return suite_run_with("http", tests, ARRAY_COUNT(tests), set_up, tear_down);
}
