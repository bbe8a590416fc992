#include "stream/rebalance.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "stream/care.h"
#include "stream/fetched.h"
#include "stream/internal.h"
#include "stream/waiting.h"

/* ---- generation ---- */

struct generation *source_generation_take(struct stream *stream) {
    struct generation *generation;

    pthread_mutex_lock(&stream->window.lock);
    generation = stream->source.generation;
    if (generation != NULL) {
        generation->references++;
    }
    pthread_mutex_unlock(&stream->window.lock);
    return generation;
}

void source_generation_drop(struct stream *stream, struct generation *generation) {
    bool last;

    if (generation == NULL) {
        return;
    }
    pthread_mutex_lock(&stream->window.lock);
    last = --generation->references == 0;
    pthread_mutex_unlock(&stream->window.lock);
    if (last) {
        rd_kafka_consumer_group_metadata_destroy(generation->metadata);
        free(generation);
    }
}

static void set_generation(struct stream *stream, struct generation *generation) {
    struct generation *old;

    pthread_mutex_lock(&stream->window.lock);
    old = stream->source.generation;
    stream->source.generation = generation;
    pthread_mutex_unlock(&stream->window.lock);
    source_generation_drop(stream, old);
}

/* The group's metadata, or NULL while we are no member: the broker fences nothing that
 * comes without a member's name, so such metadata must never be used.  The name is asked
 * for before and after, because it may go at any moment. */
static rd_kafka_consumer_group_metadata_t *member_metadata(rd_kafka_t *consumer) {
    char *before = rd_kafka_memberid(consumer), *after = NULL;
    rd_kafka_consumer_group_metadata_t *metadata = NULL;

    if (before != NULL && before[0] != '\0') {
        metadata = rd_kafka_consumer_group_metadata(consumer);
        after = rd_kafka_memberid(consumer);
    }
    if (metadata != NULL && (after == NULL || strcmp(before, after) != 0)) {
        rd_kafka_consumer_group_metadata_destroy(metadata);
        metadata = NULL;
    }
    if (before != NULL) {
        rd_kafka_mem_free(consumer, before);
    }
    if (after != NULL) {
        rd_kafka_mem_free(consumer, after);
    }
    return metadata;
}

void rebalance_refresh(struct stream *stream) {
    rd_kafka_consumer_group_metadata_t *metadata =
        member_metadata(stream->source.consumer);
    struct generation *generation = NULL;

    if (metadata != NULL) {
        generation = malloc(sizeof *generation);
        if (generation == NULL) {
            rd_kafka_consumer_group_metadata_destroy(metadata);
        } else {
            *generation = (struct generation){.metadata = metadata, .references = 1};
        }
    }
    set_generation(stream, generation);
    /* Without a generation nothing can be committed, so ask again at the next poll. */
    if (generation == NULL) {
        atomic_store(&stream->source.generation_stale, true);
    }
}

/* ---- leases ---- */

int rebalance_input_of(const struct stream *stream, const char *topic) {
    for (size_t i = 0; i < stream->input_count; i++) {
        if (strcmp(stream->inputs[i].topic, topic) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Where the table keeps the partition's lease; NULL for what is not of our routes. */
static struct lease **lease_place(struct stream *stream,
                                  const rd_kafka_topic_partition_t *partition) {
    int input = rebalance_input_of(stream, partition->topic);
    struct lease_table *table;
    size_t index = (size_t)partition->partition;
    struct lease **grown;

    if (input < 0 || partition->partition < 0) {
        return NULL;
    }
    table = &stream->source.tables[input];
    if (index >= table->count) {
        grown = realloc(table->leases, (index + 1) * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        memset(grown + table->count, 0, (index + 1 - table->count) * sizeof *grown);
        table->leases = grown;
        table->count = index + 1;
    }
    return &table->leases[index];
}

static void add_leases(struct stream *stream,
                       const rd_kafka_topic_partition_list_t *partitions) {
    for (int i = 0; i < partitions->cnt; i++) {
        struct lease **place = lease_place(stream, &partitions->elems[i]);

        /* Records of a partition without a lease are ignored, not lost: their offsets
         * are never committed. */
        if (place != NULL && *place == NULL) {
            int input = rebalance_input_of(stream, partitions->elems[i].topic);
            *place = window_lease(&stream->window, stream->inputs[input].route, input,
                                  partitions->elems[i].partition);
        }
    }
}

/* Takes back from the batch, which nobody else has seen, what is of a revoked lease. */
static void discard_batch(struct stream *stream) {
    struct source *source = &stream->source;
    struct slot *slot = source->batch_first;

    source->batch_first = source->batch_last = NULL;
    source->batch_count = source->batch_size = 0;
    while (slot != NULL) {
        struct slot *next = slot->link;
        if (slot->lease->state != LEASE_HELD) { /* only this thread writes it */
            atomic_fetch_sub(&slot->lease->polled, 1);
            slot->lease->polled_size -= slot->size;
            stream_let_go(stream, slot);
            window_untake(&stream->window, slot);
        } else {
            slot->link = NULL;
            slot->record.next = NULL;
            if (source->batch_last == NULL) {
                source->batch_first = slot;
            } else {
                source->batch_last->link = slot;
                source->batch_last->record.next = &slot->record;
            }
            source->batch_last = slot;
            source->batch_count++;
            source->batch_size += slot->size;
        }
        slot = next;
    }
}

/* librdkafka keeps a partition paused beyond its revocation: where it came back, nothing
 * would ever be fetched. */
static void resume_lease(struct stream *stream, struct lease *lease) {
    rd_kafka_topic_partition_list_t *list;

    if (!lease->paused) {
        return;
    }
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, stream->inputs[lease->input].topic,
                                      lease->partition);
    (void)rd_kafka_resume_partitions(stream->source.consumer, list); /* or it is gone */
    rd_kafka_topic_partition_list_destroy(list);
    lease->paused = false;
}

/* Whether what is revoked is another's by now. */
static bool is_lost(const struct stream *stream) {
    return stream->source.spoilt || rd_kafka_assignment_lost(stream->source.consumer);
}

static void revoke_leases(struct stream *stream,
                          const rd_kafka_topic_partition_list_t *partitions, bool wait) {
    int64_t deadline_us = clock_now_us() + stream->source.revoke_wait_us;
    rd_kafka_topic_partition_list_t *closed = rd_kafka_topic_partition_list_new(16);

    for (int i = 0; i < partitions->cnt; i++) {
        struct lease **place = lease_place(stream, &partitions->elems[i]);
        if (place != NULL && *place != NULL) {
            waiting_drop(stream, *place);
            resume_lease(stream, *place);
            window_revoke(&stream->window, *place);
        }
    }
    discard_batch(stream);
    for (int i = 0; i < partitions->cnt; i++) {
        struct lease **place = lease_place(stream, &partitions->elems[i]);
        if (place == NULL || *place == NULL) {
            continue;
        }
        if (window_wait_drained(&stream->window, *place, wait ? deadline_us : 0) &&
            !is_lost(stream)) {
            care_close_add(stream, closed, *place);
        }
        window_lose(&stream->window, *place);
        *place = NULL;
    }
    care_close(stream, closed);
}

/* ---- pausing ---- */

/* Lists the partitions that are to be paused and are not, or the other way round, and
 * takes it as done. */
static rd_kafka_topic_partition_list_t *changed_pauses(struct stream *stream,
                                                       bool pause) {
    struct source *source = &stream->source;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

    for (size_t i = 0; i < stream->input_count; i++) {
        for (size_t p = 0; p < source->tables[i].count; p++) {
            struct lease *lease = source->tables[i].leases[p];
            if (lease == NULL || lease->paused == pause || lease->pause_wanted != pause) {
                continue;
            }
            rd_kafka_topic_partition_list_add(list, stream->inputs[i].topic,
                                              lease->partition);
            lease->paused = pause;
        }
    }
    return list;
}

void rebalance_apply_pauses(struct stream *stream) {
    rd_kafka_topic_partition_list_t *pause = changed_pauses(stream, true);
    rd_kafka_topic_partition_list_t *resume = changed_pauses(stream, false);

    /* They fail only for partitions that are not ours any more. */
    if (pause->cnt > 0) {
        (void)rd_kafka_pause_partitions(stream->source.consumer, pause);
    }
    if (resume->cnt > 0) {
        (void)rd_kafka_resume_partitions(stream->source.consumer, resume);
    }
    rd_kafka_topic_partition_list_destroy(pause);
    rd_kafka_topic_partition_list_destroy(resume);
    stream->source.pauses_changed = false;
}

/* ---- the callback ---- */

static void check_error(rd_kafka_error_t *error, const char *call) {
    if (error != NULL) {
        log_event(LOG_WARN, "rebalance_failed", LOG_TEXT("call", call),
                  LOG_TEXT("reason", rd_kafka_error_string(error)));
        rd_kafka_error_destroy(error);
    }
}

/* Ready, and yet without work: nothing else would say so. */
static void tell_idle(const struct stream *stream) {
    for (size_t i = 0; i < stream->input_count; i++) {
        for (size_t p = 0; p < stream->source.tables[i].count; p++) {
            if (stream->source.tables[i].leases[p] != NULL) {
                return;
            }
        }
    }
    log_event(LOG_INFO, "no_partitions",
              LOG_TEXT("reason", "the group has as many workers as there are partitions, "
                                 "or more: this one waits until one of them is free"));
}

static void assign(struct stream *stream, rd_kafka_topic_partition_list_t *partitions,
                   bool cooperative) {
    rd_kafka_t *consumer = stream->source.consumer;

    fetched_direct(stream, partitions);
    if (cooperative) {
        check_error(rd_kafka_incremental_assign(consumer, partitions),
                    "incremental_assign");
    } else {
        (void)rd_kafka_assign(consumer, partitions); /* an error comes by the poll, too */
    }
    add_leases(stream, partitions);
    rebalance_refresh(stream);
    tell_idle(stream);
    coverage_suspect(&stream->source.coverage);
    pause_assigned(&stream->source.pause, clock_now_us(), clock_wall_ms());
}

static void revoke(struct stream *stream, rd_kafka_topic_partition_list_t *partitions,
                   bool cooperative) {
    rd_kafka_t *consumer = stream->source.consumer;
    bool lost = rd_kafka_assignment_lost(consumer);

    /* Of what is revoked in cooperation, the rest goes on. */
    if (partitions->cnt > 0 && (lost || !cooperative)) {
        pause_begin(&stream->source.pause, clock_now_us());
    }
    revoke_leases(stream, partitions, !lost && !atomic_load(&stream->closing));
    if (cooperative) {
        check_error(rd_kafka_incremental_unassign(consumer, partitions),
                    "incremental_unassign");
    } else {
        set_generation(stream, NULL);
        (void)rd_kafka_assign(consumer, NULL);
    }
}

void rebalance_lose_all(struct stream *stream) {
    struct source *source = &stream->source;
    rd_kafka_topic_partition_list_t *held = rd_kafka_topic_partition_list_new(16);

    assert(source->spoilt);
    for (size_t i = 0; i < stream->input_count; i++) {
        for (size_t p = 0; p < source->tables[i].count; p++) {
            if (source->tables[i].leases[p] != NULL) {
                rd_kafka_topic_partition_list_add(held, stream->inputs[i].topic,
                                                  (int32_t)p);
            }
        }
    }
    atomic_fetch_add(&stream->counters.rebalances, 1);
    log_event(LOG_WARN, "rebalance", LOG_TEXT("kind", "fenced"),
              LOG_INT("partitions", held->cnt));
    if (held->cnt > 0) {
        pause_begin(&source->pause, clock_now_us());
    }
    revoke_leases(stream, held, false);
    set_generation(stream, NULL);
    rd_kafka_topic_partition_list_destroy(held);
}

/* librdkafka says that all brokers are down only where it has an address for each, and it
 * forgets a coordinator's that has resigned.  The next look at the topics clears this. */
static void tell_loss(struct stream *stream) {
    problems_report(&stream->problems, PROBLEM_BROKER,
                    "no broker of %s has kept up the group's session; check the network "
                    "and that the brokers run",
                    stream->context.brokers);
}

void rebalance_cb(rd_kafka_t *consumer, rd_kafka_resp_err_t code,
                  rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct client_context *context = opaque;
    struct stream *stream = context->owner;
    bool assigning = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    const char *protocol = rd_kafka_rebalance_protocol(consumer);
    bool cooperative = protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;

    atomic_fetch_add(&stream->counters.rebalances, 1);
    stream->source.last_topic = NULL;
    log_event(LOG_INFO, "rebalance",
              LOG_TEXT("kind", assigning                            ? "assigned"
                               : rd_kafka_assignment_lost(consumer) ? "lost"
                                                                    : "revoked"),
              LOG_INT("partitions", partitions->cnt));
    if (assigning) {
        assign(stream, partitions, cooperative);
        return;
    }
    if (rd_kafka_assignment_lost(consumer)) {
        tell_loss(stream);
    }
    revoke(stream, partitions, cooperative);
}
