/* orders.h - new versions of models that are ordered by the control topic.
 *
 * A thread reads the topic from its beginning, so that a worker that starts finds what
 * was ordered before; of orders that come together, the last one of each model counts.
 * One that is wrong, or names a file outside of the folder, is refused in the log and
 * counted.
 *
 * Depends on: config, codec/model_order.h, stream/control.h, app/reload.h.
 * Ownership: borrows what is in struct orders_opts.
 * Threads: orders_* on the main thread. */
#ifndef MILLRACE_APP_ORDERS_H
#define MILLRACE_APP_ORDERS_H

#include "app/metrics.h"
#include "app/reload.h"
#include "config/config.h"
#include "stream/control.h"

struct orders_opts {
    const struct config *config;
    const struct stream_opts *stream; /* borrowed for the call alone */
    struct metrics *metrics;
    struct reload *reload;
};

struct orders;

/* Starts the thread; *orders is NULL where no control topic is configured. */
MUST_CHECK enum status orders_create(const struct orders_opts *opts,
                                     struct orders **orders, struct error *err);

/* Accepts NULL.  Before the reload is stopped. */
void orders_destroy(struct orders *orders);

/* The file of that relative path, which exists below `folder`, an absolute path without
 * links in it.  STATUS_INVALID where it does not, or is a link that leads out. */
MUST_CHECK enum status orders_find_file(const char *folder, const char *path, char **file,
                                        struct error *err);

#endif
