#include "stream/fetched.h"

#include "stream/internal.h"
#include "stream/rebalance.h"

size_t fetched_max_of(const rd_kafka_conf_t *conf) {
    return rd_kafka_version() >= FETCHED_REFILLS_SINCE
               ? 0
               : (size_t)client_number(conf, "queued.max.messages.kbytes",
                                       FETCHED_KBYTES) *
                     1024;
}

/* Runs on: librdkafka's threads, with a route's queue locked. */
static void on_record(rd_kafka_t *client, void *opaque) {
    (void)client;
    rd_kafka_queue_yield(opaque);
}

enum status fetched_open(struct stream *stream, struct error *err) {
    struct source *source = &stream->source;

    source->events = rd_kafka_queue_get_consumer(source->consumer);
    for (size_t r = 0; source->events != NULL && r < stream->opts.route_count; r++) {
        source->fetched[r].queue = rd_kafka_queue_new(source->consumer);
        if (source->fetched[r].queue == NULL) {
            return error_set(err, STATUS_NO_MEMORY, "no memory for a queue of records");
        }
        rd_kafka_queue_cb_event_enable(source->fetched[r].queue, on_record,
                                       source->events);
    }
    return source->events != NULL
               ? STATUS_OK
               : error_set(err, STATUS_NO_MEMORY, "the consumer has no queue");
}

void fetched_close(struct stream *stream) {
    struct source *source = &stream->source;

    for (size_t r = 0; r < ARRAY_COUNT(source->fetched); r++) {
        if (source->fetched[r].queue != NULL) {
            rd_kafka_queue_cb_event_enable(source->fetched[r].queue, NULL, NULL);
            rd_kafka_queue_destroy(source->fetched[r].queue);
            source->fetched[r].queue = NULL;
        }
    }
    if (source->events != NULL) {
        rd_kafka_queue_destroy(source->events);
        source->events = NULL;
    }
}

void fetched_direct(struct stream *stream,
                    const rd_kafka_topic_partition_list_t *partitions) {
    struct source *source = &stream->source;

    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *partition = &partitions->elems[i];
        int input = rebalance_input_of(stream, partition->topic);
        rd_kafka_queue_t *queue =
            input < 0 ? NULL
                      : rd_kafka_queue_get_partition(source->consumer, partition->topic,
                                                     partition->partition);
        if (queue != NULL) { /* otherwise they come by the consumer's own queue */
            rd_kafka_queue_forward(queue,
                                   source->fetched[stream->inputs[input].route].queue);
            rd_kafka_queue_destroy(queue);
        }
    }
}

rd_kafka_message_t *fetched_next(struct stream *stream, int route) {
    return rd_kafka_consume_queue(stream->source.fetched[route].queue, 0);
}

/* Our partitions of the route's input. */
static rd_kafka_topic_partition_list_t *held_of_route(struct stream *stream, int route) {
    const struct lease_table *table = &stream->source.tables[route];
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

    for (size_t p = 0; p < table->count; p++) {
        if (table->leases[p] != NULL) {
            rd_kafka_topic_partition_list_add(list, stream->inputs[route].topic,
                                              (int32_t)p)
                ->offset = RD_KAFKA_OFFSET_END;
        }
    }
    return list;
}

/* A request to the brokers that hold them makes librdkafka's threads look at once whether
 * there is something to fetch.  Nobody waits for the answer. */
static void wake_fetchers(struct stream *stream, int route) {
    rd_kafka_topic_partition_list_t *list = held_of_route(stream, route);

    if (list->cnt > 0) {
        (void)rd_kafka_offsets_for_times(stream->source.consumer, list, 0);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

void fetched_refill(struct stream *stream, int route, size_t taken, size_t size) {
    const struct source *source = &stream->source;
    struct fetched *fetched = &stream->source.fetched[route];
    size_t count;

    if (source->fetched_max == 0 || taken == 0) {
        return;
    }
    count = rd_kafka_queue_length(fetched->queue);
    if (count >= fetched->most) {
        fetched->most = count;
    } else if (count < fetched->most / 2) {
        if (fetched->most * (size / taken) > source->fetched_max / 4 * 3) {
            wake_fetchers(stream, route);
        }
        fetched->most = count;
    }
}

void fetched_wake(struct stream *stream) {
    if (stream->source.events != NULL) {
        rd_kafka_queue_yield(stream->source.events);
    }
}
