/* lag.h - how many records are still to come, for the metrics.
 *
 * Depends on: stream/internal.h.
 * Threads: poll thread; what it finds is atomic in struct source. */
#ifndef MILLRACE_STREAM_LAG_H
#define MILLRACE_STREAM_LAG_H

struct stream;

/* Counts again, once a second: source's lag, retries_waiting and behind. */
void lag_refresh(struct stream *stream);

#endif
