/* records.h - record mode: records of any schema as jobs, for the routes that have them.
 *
 *     record ──► framing ──► what is made of its schema ──► struct job, and how to answer
 *                               │ not there yet: the record waits, the others go on
 *                               ▼
 *                   the maker's thread: registry, mapping, answers' schema registered
 *                               │
 *     records_take ◄────────────┘ those that waited, in their order
 *
 * What is made of a schema is made once for each route, and kept.  While a registry does
 * not answer, the records of schemas that are not known wait in their places, bounded by
 * the window, and none is given up; an id that it does not have, or a schema that does
 * not fit the mapping, is the record's own fault.
 *
 * Depends on: app/recipe.h, app/models.h, registry/registry.h, stream/record.h.
 * Ownership: records that wait are the stream's; the config and models outlive it, and it
 * outlives every batch that has rows of it.
 * Threads: records_parse and records_take on the intake thread; records_waiting,
 * records_problem on any; the rest alone, on the main thread. */
#ifndef MILLRACE_APP_RECORDS_H
#define MILLRACE_APP_RECORDS_H

#include "app/models.h"
#include "codec/avro_schema.h"
#include "codec/job.h"
#include "config/config.h"
#include "stream/record.h"

#define RECORDS_SCHEMAS_MAX 1024 /* of one route */

struct records; /* opaque */

/* Who hears what records_open finds; both may be called several times. */
struct records_watch {
    config_problem_fn *mistake;   /* a mapping that is wrong, with its place */
    config_problem_fn *unchecked; /* one that the registry could tell nothing of */
    void *opaque;
};

/* Reads words and schemas, and holds every mapping against its schema: the file's, one of
 * the folder's, or the latest version of the subject; and the answers' schema against
 * those of its subject.  A model that is NULL leaves its routes out.  *out is NULL, with
 * STATUS_OK, where no route has records.  STATUS_INVALID or STATUS_UNSUPPORTED for
 * mistakes, the first in *err. */
MUST_CHECK enum status records_open(const struct config *config,
                                    const struct models *models,
                                    const struct records_watch *watch,
                                    struct records **out, struct error *err);

/* Stops the thread.  Accepts NULL. */
void records_close(struct records *records);

/* Calls `found` with the schema of the answers of the route that reads `input`, and its
 * JSON text: one for each of its files' schemas that fits, or for the latest version of
 * the subject.  STATUS_INVALID where no such route has records; STATUS_AGAIN where the
 * registry has told no schema. */
typedef void records_answer_fn(void *opaque, const struct avro_schema *schema,
                               struct span json);
MUST_CHECK enum status records_answers(const struct records *records, const char *input,
                                       records_answer_fn *found, void *opaque,
                                       struct error *err);

/* Starts the thread; `wake` is called on it when records_take has something. */
MUST_CHECK enum status records_start(struct records *records, void (*wake)(void *opaque),
                                     void *opaque, struct error *err);

/* Ends every wait; for good. */
void records_stop(struct records *records);

/* The record as a job, and how to answer it; *waits where it is kept until its schema is
 * known.  STATUS_POISON for one that is none. */
MUST_CHECK enum status records_parse(struct records *records, struct record *record,
                                     struct job *job, struct batch_row *row, bool *waits,
                                     struct error *err);

/* A chain of records whose schemas are known by now, or NULL.  Quick where there is none.
 */
struct record *records_take(struct records *records);

/* How many wait.  Accepts NULL. */
int64_t records_waiting(const struct records *records);

/* Why some have waited for a while, to `text`; false where none has.  Accepts NULL. */
bool records_problem(struct records *records, char *text, size_t size);

#endif
