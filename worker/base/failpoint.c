#include "base/failpoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *wanted; /* NULL: none */
static size_t wanted_size;
static long every = 1;
static bool again;        /* every time, not only the first */
static atomic_long times; /* that `wanted` was reached */

static void read_variable(void) {
    const char *text = getenv("MILLRACE_FAIL_POINT");
    if (text == NULL || text[0] == '\0') {
        return;
    }
    wanted_size = strcspn(text, ":/");
    again = text[wanted_size] == '/';
    if (text[wanted_size] != '\0') {
        every = strtol(text + wanted_size + 1, NULL, 10);
    }
    wanted = every > 0 ? text : NULL;
}

bool failpoint_hit(const char *name) {
    long count;
    (void)pthread_once(&once, read_variable); /* fails only on misuse */
    if (wanted == NULL || strlen(name) != wanted_size ||
        memcmp(name, wanted, wanted_size) != 0) {
        return false;
    }
    count = atomic_fetch_add(&times, 1) + 1;
    return again ? count % every == 0 : count == every;
}

void failpoint_die(const char *name) {
    if (failpoint_hit(name)) {
        (void)raise(SIGKILL); /* nobody is left to hear of it */
    }
}
