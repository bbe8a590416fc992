/* registry.c - millrace registry: a schema registry in memory, for tests and demos. */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/size.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/registry_store.h"

#define BODY_SIZE_MAX ((size_t)4 << 20)
#define IDLE_TIMEOUT_S 30u
#define CONNECTIONS_MAX 64u
#define MEDIA_TYPE "application/vnd.schemaregistry.v1+json"

struct options {
    const char *address_file;
    int64_t port;
};

static const struct cli_flag flags[] = {
    {.name = "--port",
     .argument = "N",
     .help = "to listen on, at 127.0.0.1; 0 for any that is free",
     .type = CLI_INT,
     .offset = offsetof(struct options, port),
     .initial = "0",
     .min = 0,
     .max = 65535},
    {.name = "--address-file",
     .argument = "FILE",
     .help = "write the URL there once it answers; removed at the end",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, address_file)},
};

static int run(int argc, char **argv);

const struct cli_command registry_cli = {
    .name = "registry",
    .operands = "",
    .summary = "A schema registry in one process, until SIGINT or SIGTERM.",
    .details = "NOT FOR PRODUCTION. It answers the paths of Confluent's Schema Registry\n"
               "for Avro: schemas by id, subjects and versions, references and all\n"
               "levels of compatibility. Everything is in memory and gone at the end;\n"
               "it listens on 127.0.0.1 alone, and asks nobody for a password.",
    .operands_min = 0,
    .operands_max = 0,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* ---- requests; they run on the server's one thread
 * -------------------------------------- */

struct body {
    char *data; /* owned */
    size_t size;
};

/* False where it becomes too large. */
static bool take_body(struct body *body, const char *data, size_t size) {
    char *larger;
    if (size > BODY_SIZE_MAX - body->size) {
        return false;
    }
    larger = realloc(body->data, body->size + size);
    if (larger == NULL) {
        return false;
    }
    memcpy(larger + body->size, data, size);
    body->data = larger;
    body->size += size;
    return true;
}

static enum MHD_Result reply(struct MHD_Connection *connection,
                             struct registry_answer answer) {
    char *text = answer.body == NULL ? NULL : json_dumps(answer.body, JSON_COMPACT);
    struct MHD_Response *response;
    enum MHD_Result sent = MHD_NO;
    json_decref(answer.body);
    if (text == NULL) {
        return MHD_NO;
    }
    response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, MEDIA_TYPE) ==
        MHD_YES) {
        sent = MHD_queue_response(connection, answer.code, response);
    }
    MHD_destroy_response(response);
    return sent;
}

/* MHD calls once with the headers, then once for each piece of a body, then once to
 * answer. */
static enum MHD_Result answer(void *opaque, struct MHD_Connection *connection,
                              const char *path, const char *method, const char *version,
                              const char *data, size_t *size, void **state) {
    struct registry_store *store = opaque;
    struct body *body = *state;
    json_t *json;
    enum MHD_Result sent;
    (void)version; /* MHD's concern */
    if (body == NULL) {
        *state = calloc(1, sizeof(struct body));
        return *state == NULL ? MHD_NO : MHD_YES;
    }
    if (*size > 0) {
        bool taken = take_body(body, data, *size);
        *size = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    json =
        body->size == 0 ? NULL : json_loadb(body->data, body->size, JSON_ALLOW_NUL, NULL);
    sent = reply(connection, registry_store_answer(store, method, path, json));
    json_decref(json);
    return sent;
}

static void on_completed(void *opaque, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    struct body *body = *state;
    (void)opaque;
    (void)connection;
    (void)code;
    if (body != NULL) {
        free(body->data);
        free(body);
    }
}

/* ---- life
 * ----------------------------------------------------------------------------------- */

static struct MHD_Daemon *listen_at(int64_t port, struct registry_store *store) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, store,
                            MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
                            CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                            IDLE_TIMEOUT_S, MHD_OPTION_END);
}

/* Whole or not at all: a reader must never see half an address. */
static enum status write_address(const char *path, const char *url, struct error *err) {
    char part[4096];
    int used = snprintf(part, sizeof(part), "%s.part", path);
    FILE *file = used > 0 && (size_t)used < sizeof(part) ? fopen(part, "w") : NULL;
    bool wrote = file != NULL && fprintf(file, "%s\n", url) > 0;
    if (file == NULL || (fclose(file) != 0) | !wrote || rename(part, path) != 0) {
        return error_set(err, STATUS_INVALID, "%s: cannot write: %s", path,
                         strerror(errno));
    }
    return STATUS_OK;
}

static enum status serve(const struct options *options, struct registry_store *store,
                         const sigset_t *signals, struct error *err) {
    struct MHD_Daemon *server = listen_at(options->port, store);
    char url[64];
    enum status status = STATUS_OK;
    int signal_number = 0;
    if (server == NULL) {
        return error_set(err, STATUS_INVALID,
                         "cannot listen on port %lld of 127.0.0.1: %s",
                         (long long)options->port, strerror(errno));
    }
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u",
                   MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT)->port);
    if (options->address_file != NULL) {
        status = write_address(options->address_file, url, err);
    }
    if (status == STATUS_OK) {
        printf("url=%s\n", url);
        fflush(stdout); /* whoever started us may be reading a pipe */
        fputs("This registry keeps everything in memory and is not for production.\n",
              stderr);
        sigwait(signals, &signal_number);
    }
    if (options->address_file != NULL) {
        unlink(options->address_file);
    }
    MHD_stop_daemon(server);
    return status;
}

static int run(int argc, char **argv) {
    struct options options = {0};
    struct registry_store *store;
    struct error err = {0};
    sigset_t signals;
    int operand_count = 0;
    enum status status;
    enum cli_outcome outcome =
        cli_parse(&registry_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    /* Blocked before the server's thread starts, which inherits it: sigwait gets them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    store = registry_store_create();
    status = store == NULL ? error_set(&err, STATUS_NO_MEMORY, "no memory for schemas")
                           : serve(&options, store, &signals, &err);
    registry_store_destroy(store);
    return status == STATUS_OK ? EXIT_FINE : cli_fail(&registry_cli, &err);
}
