/* health.h - is the worker alive, and may it be sent work?
 *
 * Ready: every condition of enum health_condition is met; each unmet one carries a
 * reason.  Alive: every stage that was armed has shown progress, or said it is idle,
 * within the limit.  A load balancer reads the first, a supervisor the second.
 *
 * Depends on: base/compiler.h.
 * Ownership: a struct health is the caller's storage; reasons are copied.
 * Threads: health_init and health_release alone, the rest on any thread.  The stamps
 * are atomics; reasons are under health->lock. */
#ifndef MILLRACE_APP_HEALTH_H
#define MILLRACE_APP_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"

#define HEALTH_REASON_MAX 256  /* bytes with the final 0; longer ones are cut */
#define HEALTH_STAGES_MAX 1024 /* poll, commit, and one for each compute thread */
#define HEALTH_NAME_MAX 24     /* bytes with the final 0 */

/* A stage's stamp while it waits for work. */
#define HEALTH_IDLE INT64_MAX

/* What readiness is made of; all begin unmet. */
enum health_condition {
    HEALTH_MODELS,  /* every model is loaded */
    HEALTH_BROKER,  /* a broker answers */
    HEALTH_TOPICS,  /* the routes' topics are there */
    HEALTH_GROUP,   /* the consumer group has given this worker its share */
    HEALTH_SCHEMAS, /* no record has waited long for its schema */
    HEALTH_SERVING, /* not draining, not ended */
    HEALTH_CONDITION_COUNT
};

struct health_stage {
    char name[HEALTH_NAME_MAX]; /* "poll", "commit", "compute-3" */
    _Atomic int64_t since_us;   /* when it last moved, or HEALTH_IDLE */
};

struct health {
    pthread_mutex_t lock;
    bool met[HEALTH_CONDITION_COUNT];                        /* under lock */
    char reasons[HEALTH_CONDITION_COUNT][HEALTH_REASON_MAX]; /* under lock */
    struct health_stage *stages;                             /* owned */
    _Atomic size_t stage_count;                              /* those added so far */
    size_t stage_max;
    int64_t stall_us; /* a stage busy for longer is stalled */
};

/* `stage_max` stages may be added.  False where memory runs out. */
MUST_CHECK bool health_init(struct health *health, size_t stage_max, int64_t stall_us);
void health_release(struct health *health);

/* Adds a stage, idle; returns its index.  From one thread; reports may run already. */
size_t health_stage_add(struct health *health, const char *name);

/* The stage moved at now_us and has more to do: it must move again within stall_us. */
void health_busy(struct health *health, size_t stage, int64_t now_us);

/* The stage waits for work, however long. */
void health_idle(struct health *health, size_t stage);

/* Meets a condition, or takes it back with a reason that says what to do. */
void health_meet(struct health *health, enum health_condition condition);
void health_unmeet(struct health *health, enum health_condition condition,
                   const char *reason);

bool health_is_ready(struct health *health);

/* The same, and writes why not as a JSON object. */
bool health_ready_report(struct health *health, FILE *to);

/* Is no stage stalled at now_us?  Writes the stalled ones as a JSON object. */
bool health_alive_report(const struct health *health, int64_t now_us, FILE *to);

#endif
