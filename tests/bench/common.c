#include "tests/bench/common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

volatile sig_atomic_t stop_requested;

static void request_stop(int signal_number) {
    (void)signal_number;
    stop_requested = 1;
}

void stop_on_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static void complain(const char *format, va_list arguments) {
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void die(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    exit(1);
}

void misuse(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    exit(2);
}

static int64_t clock_us(clockid_t clock) {
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t wall_us(void) {
    return clock_us(CLOCK_REALTIME);
}

int64_t monotonic_us(void) {
    return clock_us(CLOCK_MONOTONIC);
}

void *must_alloc(size_t count, size_t size) {
    void *block = calloc(count > 0 ? count : 1, size);

    if (block == NULL) {
        die("out of memory for %zu items of %zu bytes", count, size);
    }
    return block;
}

int64_t parse_number(const char *option, const char *text, int64_t least) {
    char *end;

    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least) {
        misuse("%s %s: a whole number from %lld on is needed", option, text,
               (long long)least);
    }
    return value;
}

void properties_add(struct properties *properties, const char *line) {
    if (strchr(line, '=') == NULL) {
        misuse("--set %s: NAME=VALUE is needed", line);
    }
    if (properties->count == BENCH_PROPERTIES_MAX) {
        misuse("too many --set");
    }
    properties->lines[properties->count++] = line;
}

static void set_property(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[BENCH_ERROR_SIZE];

    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) {
        misuse("%s=%s: %s", name, value, error);
    }
}

/* Sets one --set line, unless its prefix names another role than ours. */
static void set_user_property(rd_kafka_conf_t *conf, const char *role, const char *line) {
    static const char *const roles[] = {"consumer", "producer"};
    char name[256];
    const char *value = strchr(line, '=') + 1;

    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        size_t length = strlen(roles[i]);
        if (strncmp(line, roles[i], length) != 0 || line[length] != '.') {
            continue;
        }
        if (strcmp(roles[i], role) != 0) {
            return;
        }
        line += length + 1;
        break;
    }
    snprintf(name, sizeof name, "%.*s", (int)(value - line - 1), line);
    set_property(conf, name, value);
}

rd_kafka_conf_t *make_conf(const char *role, const char *bootstrap,
                           const struct setting *defaults,
                           const struct properties *properties) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set_property(conf, "bootstrap.servers", bootstrap);
    for (; defaults->name != NULL; defaults++) {
        set_property(conf, defaults->name, defaults->value);
    }
    for (int i = 0; i < properties->count; i++) {
        set_user_property(conf, role, properties->lines[i]);
    }
    return conf;
}

rd_kafka_t *make_client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char error[BENCH_ERROR_SIZE];
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);

    if (client == NULL) {
        die("no Kafka client: %s", error);
    }
    return client;
}

bool avro_leading_string(const void *message, size_t size, const char **data,
                         size_t *length) {
    const uint8_t *bytes = message;
    uint64_t zigzag = 0;
    size_t used = 0;

    do {
        if (used == size || used == 5) {
            return false;
        }
        zigzag |= (uint64_t)(bytes[used] & 0x7f) << (7 * used);
    } while (bytes[used++] & 0x80);
    if ((zigzag & 1) != 0 || zigzag / 2 > size - used) {
        return false;
    }
    *data = (const char *)bytes + used;
    *length = (size_t)(zigzag / 2);
    return true;
}

size_t avro_put_long(uint8_t *out, int64_t value) {
    uint64_t zigzag = ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
    size_t used = 0;

    for (; zigzag >= 0x80; zigzag >>= 7) {
        out[used++] = (uint8_t)(zigzag | 0x80);
    }
    out[used++] = (uint8_t)zigzag;
    return used;
}
