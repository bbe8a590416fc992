#include "stream/offsets.h"

#include "stream/care.h"
#include "stream/internal.h"
#include "stream/mark.h"

static const char *input_of(const struct stream *stream, const struct lease *lease) {
    return stream->inputs[lease->input].topic;
}

rd_kafka_topic_partition_list_t *offsets_of_taken(struct stream *stream) {
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(16);

    for (const struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (lease->taken_count > 0) {
            rd_kafka_topic_partition_t *partition = rd_kafka_topic_partition_list_add(
                offsets, input_of(stream, lease), lease->partition);
            care_add_mark(stream, lease, partition);
        }
    }
    return offsets;
}

rd_kafka_topic_partition_list_t *offsets_of_held(struct stream *stream) {
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(16);

    for (const struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (!window_is_lost(&stream->window, lease)) {
            rd_kafka_topic_partition_list_add(offsets, input_of(stream, lease),
                                              lease->partition);
        }
    }
    return offsets;
}

int64_t offsets_find(struct stream *stream, rd_kafka_topic_partition_list_t *offsets,
                     const struct lease *lease, struct ahead *ahead) {
    const rd_kafka_topic_partition_t *found = rd_kafka_topic_partition_list_find(
        offsets, input_of(stream, lease), lease->partition);

    if (found == NULL || found->offset < 0) {
        *ahead = (struct ahead){0};
        return -1;
    }
    mark_parse_ahead(found->metadata, found->metadata_size, found->offset, ahead);
    return found->offset;
}

rd_kafka_resp_err_t offsets_send(struct stream *stream,
                                 const rd_kafka_topic_partition_list_t *offsets,
                                 uint64_t losses, rd_kafka_queue_t *queue, void *opaque) {
    struct window *window = &stream->window;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST;

    /* Under the lock by which leases are lost: librdkafka's thread then meets the commit
     * before it hears that the partitions are given up, and goes on to another
     * generation.  The call only leaves the list to that thread. */
    pthread_mutex_lock(&window->lock);
    if (window->losses == losses) {
        code =
            rd_kafka_commit_queue(stream->source.consumer, offsets, queue, NULL, opaque);
    }
    pthread_mutex_unlock(&window->lock);
    return code;
}

/* The answer to the commit that was sent last; STATUS_AGAIN while there is none. */
static enum status read_reply(struct stream *stream, struct error *err) {
    struct txn *txn = &stream->txn;
    rd_kafka_event_t *event;

    while ((event = rd_kafka_queue_poll(txn->offset_replies, txn->call_timeout_ms)) !=
           NULL) {
        bool ours = rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT &&
                    (uintptr_t)rd_kafka_event_opaque(event) == txn->offset_serial;
        rd_kafka_resp_err_t code = rd_kafka_event_error(event);

        rd_kafka_event_destroy(event);
        if (!ours) {
            continue;
        }
        return code == RD_KAFKA_RESP_ERR_NO_ERROR
                   ? STATUS_OK
                   : error_set(err, STATUS_ABORT_TXN, "committing offsets: %s",
                               rd_kafka_err2str(code));
    }
    return error_set(err, STATUS_AGAIN, "committing offsets: no answer");
}

enum status offsets_commit(struct stream *stream, struct error *err) {
    struct txn *txn = &stream->txn;
    uint64_t losses = window_losses(&stream->window);
    rd_kafka_topic_partition_list_t *offsets;
    rd_kafka_resp_err_t code;

    if (txn->offset_sent) {
        return read_reply(stream, err);
    }
    if (!window_owns_taken(&stream->window)) {
        return error_set(err, STATUS_ABORT_TXN, "partitions were taken away");
    }
    offsets = offsets_of_taken(stream);
    code = offsets_send(stream, offsets, losses, txn->offset_replies,
                        (void *)++txn->offset_serial);
    rd_kafka_topic_partition_list_destroy(offsets);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, STATUS_ABORT_TXN, "committing offsets: %s",
                         rd_kafka_err2str(code));
    }
    txn->offset_sent = true;
    return read_reply(stream, err);
}
