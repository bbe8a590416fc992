/* later.c - see later.h. */
#include "app/later.h"

bool later_init(struct later *later) {
    *later = (struct later){.first = NULL};
    return pthread_mutex_init(&later->lock, NULL) == 0;
}

void later_release(struct later *later) {
    (void)pthread_mutex_destroy(&later->lock); /* fails only while locked */
}

void later_add(struct later *later, struct record *record, int64_t due_us) {
    record->due_us = due_us;
    (void)pthread_mutex_lock(&later->lock); /* fails only on misuse */
    record->next = later->first;
    later->first = record;
    later->count++;
    (void)pthread_mutex_unlock(&later->lock);
}

struct record *later_take(struct later *later, int64_t now_us) {
    struct record *due = NULL;
    struct record **place = &later->first;
    (void)pthread_mutex_lock(&later->lock); /* fails only on misuse */
    while (*place != NULL) {
        struct record *record = *place;
        if (record->due_us > now_us) {
            place = &record->next;
            continue;
        }
        *place = record->next;
        record->next = due;
        due = record;
        later->count--;
    }
    (void)pthread_mutex_unlock(&later->lock);
    return due;
}

int64_t later_count(struct later *later) {
    int64_t count;
    (void)pthread_mutex_lock(&later->lock); /* fails only on misuse */
    count = later->count;
    (void)pthread_mutex_unlock(&later->lock);
    return count;
}
