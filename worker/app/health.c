/* health.c - see health.h. */
#include "app/health.h"

#include <assert.h>

static const char *const condition_names[] = {
    [HEALTH_MODELS] = "models",   [HEALTH_BROKER] = "broker",
    [HEALTH_TOPICS] = "topics",   [HEALTH_GROUP] = "group",
    [HEALTH_SCHEMAS] = "schemas", [HEALTH_SERVING] = "serving",
};
_Static_assert(ARRAY_COUNT(condition_names) == HEALTH_CONDITION_COUNT, "all are named");

static void lock(struct health *health) {
    int rc = pthread_mutex_lock(&health->lock);
    assert(rc == 0);
    (void)rc; /* read by the assert alone */
}

static void unlock(struct health *health) {
    int rc = pthread_mutex_unlock(&health->lock);
    assert(rc == 0);
    (void)rc; /* read by the assert alone */
}

bool health_init(struct health *health, size_t stage_max, int64_t stall_us) {
    assert(stage_max > 0);
    assert(stage_max <= HEALTH_STAGES_MAX);
    *health = (struct health){.stage_max = stage_max, .stall_us = stall_us};
    health->stages = calloc(stage_max, sizeof(*health->stages));
    if (health->stages == NULL) {
        return false;
    }
    for (size_t i = 0; i < HEALTH_CONDITION_COUNT; i++) {
        (void)snprintf(health->reasons[i], HEALTH_REASON_MAX, "starting");
    }
    (void)pthread_mutex_init(&health->lock, NULL); /* cannot fail on Linux */
    return true;
}

void health_release(struct health *health) {
    if (health->stages != NULL) {
        (void)pthread_mutex_destroy(&health->lock); /* nobody holds it */
        free(health->stages);
    }
    health->stages = NULL;
    health->stage_count = 0;
}

/* ---- stages --------------------------------------------------------------------- */

size_t health_stage_add(struct health *health, const char *name) {
    size_t index = atomic_load(&health->stage_count);
    struct health_stage *stage = &health->stages[index];
    assert(index < health->stage_max);
    (void)snprintf(stage->name, sizeof(stage->name), "%s", name); /* a cut is fine */
    atomic_init(&stage->since_us, HEALTH_IDLE);
    atomic_store(&health->stage_count, index + 1); /* publishes the name */
    return index;
}

static void stamp(struct health *health, size_t stage, int64_t since_us) {
    assert(stage < atomic_load_explicit(&health->stage_count, memory_order_relaxed));
    atomic_store_explicit(&health->stages[stage].since_us, since_us,
                          memory_order_relaxed);
}

void health_busy(struct health *health, size_t stage, int64_t now_us) {
    stamp(health, stage, now_us);
}

void health_idle(struct health *health, size_t stage) {
    stamp(health, stage, HEALTH_IDLE);
}

/* For how long a stage has been busy without moving. */
static int64_t busy_us(const struct health_stage *stage, int64_t now_us) {
    int64_t since_us = atomic_load_explicit(&stage->since_us, memory_order_relaxed);
    return since_us > now_us ? 0 : now_us - since_us; /* HEALTH_IDLE is never past */
}

/* ---- conditions ----------------------------------------------------------------- */

void health_meet(struct health *health, enum health_condition condition) {
    lock(health);
    health->met[condition] = true;
    unlock(health);
}

void health_unmeet(struct health *health, enum health_condition condition,
                   const char *reason) {
    lock(health);
    health->met[condition] = false;
    (void)snprintf(health->reasons[condition], HEALTH_REASON_MAX, "%s", reason);
    unlock(health);
}

bool health_is_ready(struct health *health) {
    bool ready = true;
    lock(health);
    for (size_t i = 0; i < HEALTH_CONDITION_COUNT; i++) {
        ready = ready && health->met[i];
    }
    unlock(health);
    return ready;
}

/* ---- reports -------------------------------------------------------------------- */

/* A JSON string.  Other than plain ASCII is masked: a reason may have been cut inside a
 * character. */
static void write_string(FILE *to, const char *text) {
    (void)fputc('"', to);
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\') {
            (void)fputc('\\', to);
        }
        (void)fputc(*text >= 0x20 && *text < 0x7f ? *text : '?', to);
    }
    (void)fputc('"', to);
}

bool health_ready_report(struct health *health, FILE *to) {
    struct health now;
    const char *comma = "";
    bool ready = true;
    lock(health);
    memcpy(now.met, health->met, sizeof(now.met));
    memcpy(now.reasons, health->reasons, sizeof(now.reasons));
    unlock(health);
    for (size_t i = 0; i < HEALTH_CONDITION_COUNT; i++) {
        ready = ready && now.met[i];
    }
    (void)fprintf(to, "{\"ready\":%s,\"reasons\":{", ready ? "true" : "false");
    for (size_t i = 0; i < HEALTH_CONDITION_COUNT; i++) {
        if (!now.met[i]) {
            (void)fprintf(to, "%s\"%s\":", comma, condition_names[i]);
            write_string(to, now.reasons[i]);
            comma = ",";
        }
    }
    (void)fputs("}}\n", to);
    return ready;
}

bool health_alive_report(const struct health *health, int64_t now_us, FILE *to) {
    const char *comma = "";
    bool alive = true;
    (void)fputs("{\"stalled_s\":{", to);
    for (size_t i = 0; i < atomic_load(&health->stage_count); i++) {
        int64_t busy = busy_us(&health->stages[i], now_us);
        if (busy > health->stall_us) {
            (void)fputs(comma, to);
            write_string(to, health->stages[i].name);
            (void)fprintf(to, ":%lld", (long long)(busy / 1000000));
            comma = ",";
            alive = false;
        }
    }
    (void)fprintf(to, "},\"alive\":%s}\n", alive ? "true" : "false");
    return alive;
}
