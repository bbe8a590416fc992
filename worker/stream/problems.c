#include "stream/problems.h"

#include <stdarg.h>

#include "base/log.h"

static const char *const kind_names[] = {
    [PROBLEM_BROKER] = "broker",
    [PROBLEM_TOPICS] = "topics",
    [PROBLEM_GROUP] = "group",
    [PROBLEM_COMMIT] = "commit",
};
_Static_assert(ARRAY_COUNT(kind_names) == PROBLEM_KIND_COUNT, "a name for every kind");

bool problems_init(struct problems *problems) {
    *problems = (struct problems){0};
    return pthread_mutex_init(&problems->lock, NULL) == 0;
}

void problems_release(struct problems *problems) {
    pthread_mutex_destroy(&problems->lock);
}

void problems_report(struct problems *problems, enum problem_kind kind, const char *fmt,
                     ...) {
    char text[PROBLEM_TEXT_MAX];
    bool news;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&problems->lock);
    news = strcmp(problems->problem[kind], text) != 0;
    memcpy(problems->problem[kind], text, sizeof text);
    pthread_mutex_unlock(&problems->lock);
    if (news) {
        log_event(LOG_WARN, "stream_problem", LOG_TEXT("kind", kind_names[kind]),
                  LOG_TEXT("problem", text));
    }
}

void problems_clear(struct problems *problems, enum problem_kind kind) {
    bool news;

    pthread_mutex_lock(&problems->lock);
    news = problems->problem[kind][0] != '\0';
    problems->problem[kind][0] = '\0';
    problems->met[kind] = true;
    pthread_mutex_unlock(&problems->lock);
    if (news) {
        log_event(LOG_INFO, "stream_recovered", LOG_TEXT("kind", kind_names[kind]));
    }
}

bool problems_is_clear(struct problems *problems, enum problem_kind kind) {
    bool good;

    pthread_mutex_lock(&problems->lock);
    good = problems->met[kind] && problems->problem[kind][0] == '\0';
    pthread_mutex_unlock(&problems->lock);
    return good;
}

void problems_text(struct problems *problems, char *text, size_t size) {
    text[0] = '\0';
    pthread_mutex_lock(&problems->lock);
    for (int kind = 0; kind < PROBLEM_KIND_COUNT && text[0] == '\0'; kind++) {
        snprintf(text, size, "%s", problems->problem[kind]);
    }
    pthread_mutex_unlock(&problems->lock);
}
