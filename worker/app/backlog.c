/* backlog.c - see backlog.h. */
#include "app/backlog.h"

#include <assert.h>

#include "batch/share.h"

void backlog_add(struct backlog *backlog, struct record *record, bool urgent,
                 const struct batcher_progress *progress) {
    struct backlog_line *line = urgent ? &backlog->urgent : &backlog->ordinary;
    record->next = NULL;
    if (line->first == NULL) {
        line->first = record;
        line->progress = *progress;
    } else {
        assert(progress->parts == NULL);
        line->last->next = record;
    }
    line->last = record;
    backlog->count++;
    backlog->size += record->value.size;
}

struct backlog_line *backlog_next(struct backlog *backlog) {
    struct backlog_line *urgent = &backlog->urgent, *ordinary = &backlog->ordinary;
    if (backlog->count == 0) {
        return NULL;
    }
    return share_urgent_first(&backlog->passed, urgent->first != NULL,
                              ordinary->first != NULL)
               ? urgent
               : ordinary;
}

struct backlog_line *backlog_begun(struct backlog *backlog) {
    if (backlog->urgent.progress.parts != NULL) {
        return &backlog->urgent;
    }
    return backlog->ordinary.progress.parts != NULL ? &backlog->ordinary : NULL;
}

void backlog_pop(struct backlog *backlog, struct backlog_line *line, struct record *next,
                 size_t size) {
    assert(line->first != NULL);
    line->first = next;
    line->progress = (struct batcher_progress){.parts = NULL};
    backlog->count--;
    backlog->size -= size;
}
