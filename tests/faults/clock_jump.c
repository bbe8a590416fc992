/* clock_jump.c - a wall clock that can be moved, for the processes that are given it by
 * LD_PRELOAD.
 *
 * The file that CLOCK_JUMP_FILE names holds the number of milliseconds, an int64_t, by
 * which the wall clock is off; it may change at any moment.  As in a kernel whose clock
 * is set, whoever waits until a moment of the wall clock is woken when that clock gets
 * there: so waits go in short turns, and look at the number again.  The monotonic clock,
 * and waits by it, are left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define TURN_MS 50
/* A deadline below is one by the monotonic clock: no machine runs for so long. */
#define WALL_MIN_S 1000000000

static const _Atomic int64_t none;
static const _Atomic int64_t *jump_ms = &none;

__attribute__((constructor)) static void open_jump(void) {
    const char *path = getenv("CLOCK_JUMP_FILE");
    int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page;

    if (file < 0) {
        return;
    }
    page = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) {
        jump_ms = page;
    }
    (void)close(file);
}

static struct timespec add_ms(struct timespec time, int64_t ms) {
    time.tv_sec += ms / 1000;
    time.tv_nsec += ms % 1000 * 1000000;
    if (time.tv_nsec >= 1000000000) {
        time.tv_sec++;
        time.tv_nsec -= 1000000000;
    } else if (time.tv_nsec < 0) {
        time.tv_sec--;
        time.tv_nsec += 1000000000;
    }
    return time;
}

static int is_before(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static struct timespec real_time(void) {
    struct timespec now;
    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    return now;
}

static struct timespec moved_time(void) {
    return add_ms(real_time(), atomic_load(jump_ms));
}

/* ---- who asks for the time ---- */

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock == CLOCK_REALTIME) {
        *now = moved_time();
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, clock, now);
}

int timespec_get(struct timespec *now, int base) {
    *now = moved_time();
    return base;
}

time_t time(time_t *out) {
    time_t now = moved_time().tv_sec;
    if (out != NULL) {
        *out = now;
    }
    return now;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec moved = moved_time();
    (void)zone;
    now->tv_sec = moved.tv_sec;
    now->tv_usec = moved.tv_nsec / 1000;
    return 0;
}

/* ---- who waits for it ---- */

typedef int (*cond_wait_fn)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static cond_wait_fn find_wait(void) {
    static _Atomic(cond_wait_fn) found;
    cond_wait_fn wait = atomic_load(&found);
    if (wait == NULL) {
        /* The symbol has an older version, which waits on another kind of condition. */
        *(void **)&wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
        if (wait == NULL) {
            *(void **)&wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
        }
        atomic_store(&found, wait);
    }
    return wait;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    cond_wait_fn wait = find_wait();

    if (until->tv_sec < WALL_MIN_S) {
        return wait(cond, mutex, until);
    }
    for (;;) {
        struct timespec end = add_ms(*until, -atomic_load(jump_ms));
        struct timespec turn = add_ms(real_time(), TURN_MS);
        int is_last = is_before(&end, &turn);
        int code = wait(cond, mutex, is_last ? &end : &turn);

        if (code != ETIMEDOUT) {
            return code;
        }
        if (is_last) {
            return ETIMEDOUT;
        }
    }
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex,
                  const struct timespec *restrict until) {
    /* glibc's are the same things under other names. */
    int code =
        pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until);
    return code == 0 ? thrd_success : code == ETIMEDOUT ? thrd_timedout : thrd_error;
}
