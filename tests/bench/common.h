/* common.h - what the two benchmark programs share: options, librdkafka's configuration,
 * the time, and the id that a job carries.
 *
 * These are test programs: they run once, for one purpose, and every failure ends them
 * with a sentence and exit code 1 (2 for wrong usage). Nothing of the worker is used
 * here, so that a mistake in the worker cannot hide itself from its own measurement.
 *
 * Threads: any; nothing but the stop flag is shared. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NORETURN __attribute__((noreturn))
#define PRINTF_LIKE(text, rest) __attribute__((format(printf, text, rest)))

enum {
    BENCH_ERROR_SIZE = 512,   /* librdkafka's error texts */
    BENCH_PROPERTIES_MAX = 64 /* --set options on one command line */
};

/* Set by SIGTERM and SIGINT after stop_on_signals(). */
extern volatile sig_atomic_t stop_requested;
void stop_on_signals(void);

NORETURN PRINTF_LIKE(1, 2) void die(const char *format, ...);
NORETURN PRINTF_LIKE(1, 2) void misuse(const char *format, ...);

int64_t wall_us(void);      /* since 1970: compared between processes of one machine */
int64_t monotonic_us(void); /* for durations */

/* The `size`-byte heap block, zeroed; the caller frees it. Ends the program if there is
 * none. */
void *must_alloc(size_t count, size_t size);

/* A whole number from `least` to INT64_MAX, or misuse() naming `option`. */
int64_t parse_number(const char *option, const char *text, int64_t least);

/* --set K=V lines: librdkafka properties given by the user, which win over ours. */
struct properties {
    const char *lines[BENCH_PROPERTIES_MAX]; /* borrowed from argv */
    int count;
};
void properties_add(struct properties *properties, const char *line);

/* One librdkafka property; a list ends with {NULL, NULL}. */
struct setting {
    const char *name, *value;
};

/* A configuration from the broker list, `defaults` and then the user's properties. A
 * property with the prefix "consumer." or "producer." counts only where it equals `role`.
 * The result is taken by rd_kafka_new(). */
rd_kafka_conf_t *make_conf(const char *role, const char *bootstrap,
                           const struct setting *defaults,
                           const struct properties *properties);
/* A client from `conf`, which is taken. */
rd_kafka_t *make_client(rd_kafka_type_t type, rd_kafka_conf_t *conf);

/* The string that begins an Avro record: `data` gets a borrowed pointer into the message.
 * False if the bytes do not hold one. */
bool avro_leading_string(const void *message, size_t size, const char **data,
                         size_t *length);
/* Writes an Avro long (zigzag varint) and returns its length; `out` has room for 10. */
size_t avro_put_long(uint8_t *out, int64_t value);

#endif
