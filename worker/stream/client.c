#include "stream/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "base/text.h"
#include "stream/fetched.h"

#define VALUE_TEXT_MAX 64
#define REASON_TEXT_MAX 512
#define PROPERTIES_KNOWN_MAX 512

/* Cooperative rebalancing is sound from this librdkafka on. */
#define COOPERATIVE_SINCE 0x020601ff
#define LOG_LINES_PER_SECOND 20
#define POLL_INTERVAL_MS 45000 /* as in consumer_defaults */
/* A broker that refuses us is asked again, and says so again, within this. */
#define REFUSED_US ((int64_t)30 * 1000 * 1000)

struct default_property {
    const char *name;
    const char *value;
};

/* The user's properties are set after these and win. */
static const struct default_property common_defaults[] = {
    /* A half-open connection is noticed before the group gives us up. */
    {"socket.timeout.ms", "10000"},
    {"socket.connection.setup.timeout.ms", "10000"},
    {"socket.keepalive.enable", "true"},
    /* The first connection to each broker is made sooner. */
    {"reconnect.backoff.ms", "20"},
    {"reconnect.backoff.max.ms", "2000"},
    /* A topic made after the start is found this soon. */
    {"topic.metadata.refresh.interval.ms", "30000"},
};

static const struct default_property consumer_defaults[] = {
    {"auto.offset.reset", "earliest"},
    {"partition.assignment.strategy", "range"},
    /* A worker that died is replaced this soon; with the transaction's timeout it bounds
     * how long its partitions stand still. */
    {"session.timeout.ms", "10000"},
    {"heartbeat.interval.ms", "2000"},
    /* librdkafka waits so long for an answer to JoinGroup, and for nothing else: one that
     * is lost on the way costs that much.  We poll all the time. */
    {"max.poll.interval.ms", "45000"},
    /* Large fetches, enough of them ahead to last through a commit, memory bounded. */
    {"fetch.message.max.bytes", "4194304"},
    {"fetch.wait.max.ms", "50"},
    {"fetch.error.backoff.ms", "100"},
    {"queued.min.messages", "1000000"},
};

/* Where librdkafka knows them. */
static const struct default_property refill_defaults[] = {
    {"fetch.queue.backoff.ms", "10"},
};

/* A static member's partitions wait for it that long: a restart has to fit in. */
static const struct default_property static_defaults[] = {
    {"session.timeout.ms", "45000"},
};

static const struct default_property producer_defaults[] = {
    {"linger.ms", "5"},
    {"batch.num.messages", "100000"},
    {"batch.size", "1000000"},
    {"queue.buffering.max.messages", "2000000"},
    /* A transaction that begins while the brokers still write the markers of the last one
     * is told to try again; the default of 100 would be most of its duration. */
    {"retry.backoff.ms", "10"},
};

/* Readers and the next owner of our partitions wait this long for a transaction that
 * nobody ends; a transaction that spans a broker's failover has to fit in. */
static const struct default_property transaction_defaults[] = {
    {"transaction.timeout.ms", "20000"},
};

/* What our promises rest on.  Set after the user's properties, which may not name them.
 */
static const struct default_property consumer_fixed[] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"isolation.level", "read_committed"},
};

static const struct default_property producer_fixed[] = {
    {"enable.idempotence", "true"},
};

struct reserved_property {
    const char *name;
    const char *reason;
};

static const struct reserved_property reserved[] = {
    {"enable.auto.commit", "offsets are committed with the results"},
    {"auto.commit.enable", "offsets are committed with the results"},
    {"auto.commit.interval.ms", "offsets are committed with the results"},
    {"enable.auto.offset.store", "offsets are committed with the results"},
    {"offset.store.method", "offsets are committed with the results"},
    {"isolation.level", "aborted records must not be read"},
    {"group.id", "it is the setting of the group"},
    {"group.instance.id", "it is made of the instance name"},
    {"transactional.id", "it is made of the group and the instance name"},
    {"enable.idempotence", "results must not be doubled or change their order"},
    {"enable.gapless.guarantee", "a result that fails is replayed by the worker"},
    {"acks", "a result counts when all replicas in sync have it"},
    {"request.required.acks", "a result counts when all replicas in sync have it"},
    {"delivery.report.only.error", "every delivery is counted"},
    {"queuing.strategy", "results keep their order"},
    {"log.queue", "log lines go to the worker's log"},
    {"test.mock.num.brokers", "each client would get a cluster of its own"},
};

/* Name a file or a folder; what librdkafka says of one that is not there is OpenSSL's. */
static const char *const files[] = {
    "ssl.ca.location",  "ssl.certificate.location", "ssl.key.location",
    "ssl.crl.location", "ssl.keystore.location",
};

/* Their values are not repeated in an error. */
static const char *const secrets[] = {"password", "secret", "pem",  "key",
                                      "username", "config", "token"};

static bool is_secret(const char *name) {
    for (size_t i = 0; i < ARRAY_COUNT(secrets); i++) {
        if (strstr(name, secrets[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* The name that librdkafka knows and that may have been meant. */
static enum status unknown_property(rd_kafka_conf_t *conf, const char *name,
                                    struct error *err) {
    const char *names[PROPERTIES_KNOWN_MAX];
    size_t count = 0, size = 0;
    const char **dump = rd_kafka_conf_dump(conf, &size); /* name, value, name, ... */
    const char *nearest;

    for (size_t i = 0; i < size && count < PROPERTIES_KNOWN_MAX; i += 2) {
        names[count++] = dump[i];
    }
    nearest = text_nearest(name, names, count);
    (void)error_set(err, STATUS_INVALID, "librdkafka knows no property %s%s%s%s", name,
                    nearest != NULL ? "; is " : "", nearest != NULL ? nearest : "",
                    nearest != NULL ? " meant?" : "");
    rd_kafka_conf_dump_free(dump, size);
    return STATUS_INVALID;
}

static enum status set_property(rd_kafka_conf_t *conf, const char *name,
                                const char *value, struct error *err) {
    char reason[REASON_TEXT_MAX];

    switch (rd_kafka_conf_set(conf, name, value, reason, sizeof reason)) {
    case RD_KAFKA_CONF_OK:
        return STATUS_OK;
    case RD_KAFKA_CONF_UNKNOWN:
        return unknown_property(conf, name, err);
    case RD_KAFKA_CONF_INVALID:
        break;
    }
    return error_set(err, STATUS_INVALID, "property %s: %s", name,
                     is_secret(name) ? "its value is not valid (not shown)" : reason);
}

static enum status set_defaults(rd_kafka_conf_t *conf,
                                const struct default_property *defaults, size_t count,
                                struct error *err) {
    enum status status = STATUS_OK;

    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = set_property(conf, defaults[i].name, defaults[i].value, err);
    }
    return status;
}

static enum status check_file(const struct stream_property *property, struct error *err) {
    bool is_file = false;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        is_file = is_file || strcmp(property->name, files[i]) == 0;
    }
    /* "probe" has librdkafka look where certificates are wont to be. */
    if (!is_file || property->value[0] == 0 || strcmp(property->value, "probe") == 0 ||
        access(property->value, R_OK) == 0) {
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID, "property %s: cannot read %s: %s%s",
                     property->name, property->value, strerror(errno),
                     property->value[0] == '/'
                         ? ""
                         : "; it is looked for below the folder the worker runs in");
}

static enum status check_property(const struct stream_property *property,
                                  struct error *err) {
    for (size_t i = 0; i < ARRAY_COUNT(reserved); i++) {
        if (strcmp(property->name, reserved[i].name) == 0) {
            return error_set(err, STATUS_INVALID, "property %s may not be set: %s",
                             reserved[i].name, reserved[i].reason);
        }
    }
    if (strcmp(property->name, "partition.assignment.strategy") == 0 &&
        strstr(property->value, "cooperative") != NULL &&
        rd_kafka_version() < COOPERATIVE_SINCE) {
        return error_set(
            err, STATUS_INVALID,
            "property %s: cooperative rebalancing can loop before librdkafka "
            "2.6.1, and this is %s",
            property->name, rd_kafka_version_str());
    }
    return check_file(property, err);
}

static enum status set_properties(rd_kafka_conf_t *conf,
                                  const struct stream_property *properties, size_t count,
                                  struct error *err) {
    for (size_t i = 0; i < count; i++) {
        enum status status = check_property(&properties[i], err);

        if (status == STATUS_OK) {
            status = set_property(conf, properties[i].name, properties[i].value, err);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static void copy_text(char *out, size_t size, const char *text) {
    snprintf(out, size, "%s", text);
}

/* Whether this second has room for one more of librdkafka's lines: a broker that is down
 * must not fill the log. */
static bool may_log(void) {
    static _Atomic int64_t second;
    static _Atomic int lines;
    int64_t now = clock_now_us() / 1000000;

    if (atomic_exchange(&second, now) != now) {
        atomic_store(&lines, 0);
    }
    return atomic_fetch_add(&lines, 1) < LOG_LINES_PER_SECOND;
}

/* Runs on: librdkafka's threads.  `level` is syslog's: 3 error, 4 warning, 7 debug. */
static void on_log(const rd_kafka_t *client, int level, const char *facility,
                   const char *text) {
    enum log_level ours = level <= 3   ? LOG_ERROR
                          : level == 4 ? LOG_WARN
                          : level < 7  ? LOG_INFO
                                       : LOG_DEBUG;

    if (ours != LOG_DEBUG && !may_log()) {
        return;
    }
    log_event(ours, "librdkafka", LOG_TEXT("client", rd_kafka_name(client)),
              LOG_TEXT("facility", facility), LOG_TEXT("text", text));
}

/* A broker is there, and refuses us: "no broker answers", of which librdkafka tells next,
 * is not why. */
static void refused(struct client_context *context, const char *what, const char *check,
                    const char *reason) {
    const char *after = strstr(reason, " (after "); /* each time another duration */
    int size = after != NULL ? (int)(after - reason) : (int)strlen(reason);

    atomic_store(&context->refused_us, clock_now_us());
    problems_report(context->problems, PROBLEM_BROKER, "%s %s; check %s%.*s",
                    context->brokers, what, check, size, reason);
}

void client_unanswered(struct client_context *context) {
    int64_t refused_us = atomic_load(&context->refused_us);

    if (refused_us == 0 || clock_now_us() - refused_us > REFUSED_US) {
        problems_report(context->problems, PROBLEM_BROKER,
                        "no broker of %s answers; check the address, the network and "
                        "that the brokers run",
                        context->brokers);
    }
}

/* Runs on: the thread that polls the client. */
static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque) {
    struct client_context *context = opaque;

    (void)client;
    switch (code) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        client_unanswered(context);
        break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        refused(context, "refuses us",
                "security.protocol and the sasl.* properties: ", reason);
        break;
    case RD_KAFKA_RESP_ERR__SSL:
        refused(context, "makes no secure connection", "the ssl.* properties: ", reason);
        break;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
        if (strstr(reason, "security.protocol") != NULL) { /* librdkafka's guess */
            refused(context, "hangs up", "security.protocol: ", reason);
        }
        break;
    default:
        break; /* librdkafka retries, and has logged it */
    }
}

int64_t client_number(const rd_kafka_conf_t *conf, const char *name, int64_t otherwise) {
    char text[VALUE_TEXT_MAX];
    size_t size = sizeof text;

    if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK) {
        return otherwise;
    }
    return (int64_t)strtoll(text, NULL, 10);
}

/* librdkafka refuses an interval below the session: where the user chose a longer one,
 * our default follows. */
static enum status fit_poll_interval(rd_kafka_conf_t *conf, struct error *err) {
    int64_t session_ms = client_number(conf, "session.timeout.ms", 0);
    char text[VALUE_TEXT_MAX];

    if (session_ms <= POLL_INTERVAL_MS ||
        client_number(conf, "max.poll.interval.ms", 0) != POLL_INTERVAL_MS) {
        return STATUS_OK;
    }
    snprintf(text, sizeof text, "%" PRId64, session_ms);
    return set_property(conf, "max.poll.interval.ms", text, err);
}

/* What is fetched ahead stands in a queue for each route. */
static enum status bound_fetched(rd_kafka_conf_t *conf, size_t routes,
                                 struct error *err) {
    char text[VALUE_TEXT_MAX];
    enum status status;

    snprintf(text, sizeof text, "%zu",
             size_max(FETCHED_KBYTES_MIN, FETCHED_KBYTES / size_max(1, routes)));
    status = set_property(conf, "queued.max.messages.kbytes", text, err);
    return status != STATUS_OK || rd_kafka_version() < FETCHED_REFILLS_SINCE
               ? status
               : set_defaults(conf, refill_defaults, ARRAY_COUNT(refill_defaults), err);
}

static enum status fill_consumer(const struct stream_opts *opts, const char *member,
                                 rd_kafka_conf_t *conf, struct error *err) {
    enum status status =
        set_defaults(conf, consumer_defaults, ARRAY_COUNT(consumer_defaults), err);

    if (status == STATUS_OK) {
        status = bound_fetched(conf, opts->route_count, err);
    }
    if (status == STATUS_OK && opts->is_static) {
        status = set_defaults(conf, static_defaults, ARRAY_COUNT(static_defaults), err);
    }
    if (status == STATUS_OK) {
        status = set_properties(conf, opts->common, opts->common_count, err);
    }
    if (status == STATUS_OK) {
        status = set_properties(conf, opts->consumer, opts->consumer_count, err);
    }
    if (status == STATUS_OK) {
        status = fit_poll_interval(conf, err);
    }
    if (status == STATUS_OK) {
        status = set_defaults(conf, consumer_fixed, ARRAY_COUNT(consumer_fixed), err);
    }
    /* Whatever the membership: a worker that is started again takes the place of the one
     * that died, and nobody waits for the session of the dead. */
    if (status == STATUS_OK) {
        status = set_property(conf, "group.instance.id", member, err);
    }
    return status == STATUS_OK ? set_property(conf, "group.id", opts->group, err)
                               : status;
}

static enum status fill_producer(const struct stream_opts *opts, const char *id,
                                 rd_kafka_conf_t *conf, struct error *err) {
    bool exactly_once = opts->delivery == STREAM_EXACTLY_ONCE;
    enum status status =
        set_defaults(conf, producer_defaults, ARRAY_COUNT(producer_defaults), err);

    if (status == STATUS_OK && exactly_once) {
        status = set_defaults(conf, transaction_defaults,
                              ARRAY_COUNT(transaction_defaults), err);
    }
    if (status == STATUS_OK) {
        status = set_properties(conf, opts->common, opts->common_count, err);
    }
    if (status == STATUS_OK) {
        status = set_properties(conf, opts->producer, opts->producer_count, err);
    }
    if (status == STATUS_OK) {
        status = set_defaults(conf, producer_fixed, ARRAY_COUNT(producer_fixed), err);
    }
    if (status == STATUS_OK && exactly_once) {
        status = set_property(conf, "transactional.id", id, err);
    }
    return status;
}

enum status client_conf(enum client_role role, const struct stream_opts *opts,
                        const char *name, struct client_context *context,
                        rd_kafka_conf_t **conf, struct error *err) {
    rd_kafka_conf_t *made = rd_kafka_conf_new();
    char brokers[REASON_TEXT_MAX] = "";
    size_t size = sizeof brokers;
    enum status status =
        set_defaults(made, common_defaults, ARRAY_COUNT(common_defaults), err);

    *conf = NULL;
    if (status == STATUS_OK) {
        status = role == CLIENT_CONSUMER ? fill_consumer(opts, name, made, err)
                                         : fill_producer(opts, name, made, err);
    }
    if (status == STATUS_OK && (rd_kafka_conf_get(made, "bootstrap.servers", brokers,
                                                  &size) != RD_KAFKA_CONF_OK ||
                                brokers[0] == '\0')) {
        status = error_set(err, STATUS_INVALID, "property bootstrap.servers is not set");
    }
    if (status != STATUS_OK) {
        rd_kafka_conf_destroy(made);
        return status;
    }
    copy_text(context->brokers, sizeof context->brokers, brokers);
    rd_kafka_conf_set_log_cb(made, on_log);
    rd_kafka_conf_set_error_cb(made, on_error);
    rd_kafka_conf_set_opaque(made, context);
    *conf = made;
    return STATUS_OK;
}

enum status client_create(enum client_role role, rd_kafka_conf_t **conf,
                          rd_kafka_t **client, struct error *err) {
    char reason[REASON_TEXT_MAX];

    *client =
        rd_kafka_new(role == CLIENT_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER,
                     *conf, reason, sizeof reason);
    if (*client == NULL) {
        rd_kafka_conf_destroy(*conf);
    }
    *conf = NULL;
    return *client != NULL ? STATUS_OK
                           : error_set(err, STATUS_INVALID, "librdkafka: %s", reason);
}
