/* pause.h - how long all work stood still for a rebalance.
 *
 * A pause begins when the partitions are taken away and ends with the first record of the
 * new ones that is handed out.  A record that was made after the assignment was not
 * waited for, and neither was one that does not come for a while: there the pause has
 * ended with the assignment.  The first assignment of a worker is no pause.
 *
 * Depends on: base/.
 * Ownership: plain data.
 * Threads: poll thread. */
#ifndef MILLRACE_STREAM_PAUSE_H
#define MILLRACE_STREAM_PAUSE_H

#include <stdint.h>

/* Longer than a transaction that nobody ends hides the records behind it. */
#define PAUSE_RECORD_WAIT_US 30000000

struct pause {
    int64_t since_us;         /* by clock_now_us(); 0 for none */
    int64_t assigned_us;      /* 0 for not yet */
    int64_t assigned_wall_ms; /* the same by clock_wall_ms() */
};

/* All partitions are taken away. */
void pause_begin(struct pause *pause, int64_t now_us);

/* Partitions, or none, are given. */
void pause_assigned(struct pause *pause, int64_t now_us, int64_t wall_ms);

/* How long the pause was, where it is known to be over, and forgets it; otherwise -1.
 * `timestamp_ms` is that of the first record handed out since, NULL while there is none.
 */
int64_t pause_end(struct pause *pause, int64_t now_us, const int64_t *timestamp_ms);

#endif
