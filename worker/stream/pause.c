#include "stream/pause.h"

#include <stddef.h>

void pause_begin(struct pause *pause, int64_t now_us) {
    if (pause->since_us == 0) {
        *pause = (struct pause){.since_us = now_us};
    }
    pause->assigned_us = 0; /* taken away before anything came of it */
}

void pause_assigned(struct pause *pause, int64_t now_us, int64_t wall_ms) {
    if (pause->since_us != 0 && pause->assigned_us == 0) {
        pause->assigned_us = now_us;
        pause->assigned_wall_ms = wall_ms;
    }
}

int64_t pause_end(struct pause *pause, int64_t now_us, const int64_t *timestamp_ms) {
    int64_t end_us = pause->assigned_us;
    int64_t pause_us;

    if (pause->assigned_us == 0 ||
        (timestamp_ms == NULL && now_us < pause->assigned_us + PAUSE_RECORD_WAIT_US)) {
        return -1;
    }
    if (timestamp_ms != NULL && *timestamp_ms < pause->assigned_wall_ms) {
        end_us = now_us;
    }
    pause_us = end_us - pause->since_us;
    *pause = (struct pause){0};
    return pause_us;
}
