/* ahead.h - what is published beyond the offset that is committed.
 *
 * On a route that keeps the order of each key, a record that is put off waits in its
 * place, and later ones of its key behind it, while those of other keys are published.
 * The offset that is committed stays at the first record that is left, and its metadata
 * say how far the others are done and which are left:
 *
 *     offset 7, ahead "13:0,2,5":  7, 9 and 12 are left of those below 20
 *
 * Whoever holds the partition next passes over the rest, so that nothing is done twice.
 *
 * Depends on: base/.
 * Ownership: plain data.
 * Threads: pure. */
#ifndef MILLRACE_STREAM_AHEAD_H
#define MILLRACE_STREAM_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most records that may be left behind in one partition: their places have to fit into
 * the metadata of an offset, of which a broker takes 4096 bytes. */
#define AHEAD_LEFT_MAX 96
#define AHEAD_TEXT_MAX 2048

struct ahead {
    int64_t upto; /* records below it are done, but for those left */
    int left_count;
    int64_t left[AHEAD_LEFT_MAX]; /* offsets, ascending */
};

/* Was the record of that offset published? */
bool ahead_has(const struct ahead *ahead, int64_t offset);

/* Writes it for the metadata of `offset`; "" where there is nothing beyond.  Returns the
 * length. */
size_t ahead_write(const struct ahead *ahead, int64_t offset, char text[AHEAD_TEXT_MAX]);

/* Reads what ahead_write has written; leaves *ahead empty for anything else. */
void ahead_read(const char *text, int64_t offset, struct ahead *ahead);

#endif
