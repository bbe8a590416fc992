/* fetch.h - one schema of a registry, fetched with those that it refers to.
 *
 * Inside the registry layer only.
 *
 * Depends on: registry/registry.h.
 * Ownership: what is fetched is the caller's, to be released.
 * Threads: that of the client. */
#ifndef MILLRACE_REGISTRY_FETCH_H
#define MILLRACE_REGISTRY_FETCH_H

#include "registry/registry.h"

/* Statuses as registry_find has them. */
MUST_CHECK enum status fetch_schema(struct http_client *client, uint32_t id,
                                    struct registry_schema *schema, struct error *err);

/* Accepts a zeroed schema. */
void fetch_release(struct registry_schema *schema);

/* Sets the error of an answer that is not 200: what the registry said, `what` asked for.
 * `refused` is the status of a 4xx other than 401, 403, 404 and 408. */
enum status fetch_refused(const struct http_reply *reply, const char *what,
                          enum status missing, enum status refused, struct error *err);

#endif
