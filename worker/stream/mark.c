#include "stream/mark.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS_MAX 80 /* of the text, without the owner */
#define TEXT_MAX (NUMBERS_MAX + IDENTITY_NAME_MAX + AHEAD_TEXT_MAX)
#define SUSPECTS_MAX 1000000000

static bool is_sound(const struct mark *mark) {
    return mark->crashes >= 0 && mark->alone >= 0 && mark->alone <= mark->crashes &&
           mark->suspects >= 0 && mark->suspects <= SUSPECTS_MAX && mark->step >= 0 &&
           mark->step <= SUSPECTS_MAX;
}

void mark_parse(const char *text, size_t size, struct mark *mark) {
    char copy[TEXT_MAX];
    long long suspects, step;
    int owner = 0;

    if (text != NULL && size < sizeof copy) {
        memcpy(copy, text, size);
        copy[size] = '\0';
        copy[strcspn(copy, "\n")] = '\0';
        if (sscanf(copy, "millrace:2:%c:%9d:%9d:%12lld:%12lld:%n", &mark->state,
                   &mark->crashes, &mark->alone, &suspects, &step, &owner) == 5 &&
            owner > 0 && strlen(copy + owner) < sizeof mark->owner) {
            mark->suspects = suspects;
            mark->step = step;
            memcpy(mark->owner, copy + owner, strlen(copy + owner) + 1);
            if (is_sound(mark)) {
                return;
            }
        }
    }
    *mark = (struct mark){.state = 'c'};
}

void mark_parse_ahead(const char *text, size_t size, int64_t offset,
                      struct ahead *ahead) {
    char copy[TEXT_MAX] = "";
    const char *beyond;

    if (text != NULL && size < sizeof copy) {
        memcpy(copy, text, size);
        copy[size] = '\0';
    }
    beyond = strchr(copy, '\n');
    ahead_read(beyond != NULL ? beyond + 1 : "", offset, ahead);
}

bool mark_take_over(struct mark *mark) {
    bool crashed = mark->state == 'o';

    if (crashed && mark->step == 0) {
        mark->crashes++;
        mark->suspects =
            mark->suspects > MARK_SUSPECTS_MIN ? mark->suspects : MARK_SUSPECTS_MIN;
        mark->step = mark->suspects;
    } else if (crashed && mark->step > 1) {
        mark->crashes++;
        mark->suspects = mark->suspects < mark->step ? mark->suspects : mark->step;
        mark->step = (mark->suspects + MARK_PARTS - 1) / MARK_PARTS;
    } else if (crashed) {
        mark->crashes++;
        mark->alone++;
    }
    if (mark->suspects == 0) { /* all of them are past: whoever ended, it was none */
        mark->crashes = mark->alone = 0;
        mark->step = 0;
    }
    return crashed;
}

void mark_set(rd_kafka_topic_partition_t *partition, const struct mark *mark,
              const struct ahead *ahead) {
    char text[TEXT_MAX], beyond[AHEAD_TEXT_MAX];
    bool any = ahead_write(ahead, partition->offset, beyond) > 0;

    snprintf(text, sizeof text, "millrace:2:%c:%d:%d:%" PRId64 ":%" PRId64 ":%s%s%s",
             mark->state, mark->crashes, mark->alone, mark->suspects, mark->step,
             mark->owner, any ? "\n" : "", beyond);
    free(partition->metadata);
    partition->metadata = strdup(text); /* librdkafka frees it with the list */
    partition->metadata_size = partition->metadata != NULL ? strlen(text) : 0;
}
