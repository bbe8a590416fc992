#include "stream/coverage.h"

#include "base/clock.h"
#include "base/log.h"
#include "stream/internal.h"

#define SOON_US 5000000
#define INTERVAL_US 300000000
#define TIMEOUT_MS 1000
/* Brokers tell each other of a new topic, and cooperative members hand over in two steps:
 * a gap counts once it was seen so often in a row. */
#define GAPS_MIN 2

/* What one answer of the coordinator says. */
struct view {
    const char *topic; /* with a partition that no member holds; NULL: there is none */
    int32_t held, partitions;
    int rank; /* of this member among all, by name: they go one after the other */
};

void coverage_suspect(struct coverage *coverage) {
    coverage->due_us = clock_now_us() + SOON_US;
    coverage->gaps = 0;
}

/* ---- a member's assignment: big-endian numbers, and names with their lengths ---- */

struct bytes {
    const uint8_t *at, *end;
    bool short_of; /* there were fewer than was said */
};

static const uint8_t *take(struct bytes *bytes, size_t size) {
    const uint8_t *at = bytes->at;

    if ((size_t)(bytes->end - bytes->at) < size) {
        bytes->short_of = true;
        return NULL;
    }
    bytes->at += size;
    return at;
}

static int32_t take_number(struct bytes *bytes, size_t size) {
    const uint8_t *at = take(bytes, size);
    uint32_t number = 0;

    for (size_t i = 0; at != NULL && i < size; i++) {
        number = number << 8 | at[i];
    }
    return (int32_t)number;
}

int32_t coverage_count(const void *assignment, size_t size, const char *topic) {
    struct bytes bytes = {.at = assignment, .end = (const uint8_t *)assignment + size};
    int32_t held = 0, topics;

    if (size == 0) {
        return 0; /* a member that holds nothing */
    }
    (void)take_number(&bytes, 2); /* version */
    topics = take_number(&bytes, 4);
    for (int32_t t = 0; t < topics && !bytes.short_of; t++) {
        size_t length = (size_t)take_number(&bytes, 2);
        const uint8_t *name = take(&bytes, length);
        int32_t count = take_number(&bytes, 4);

        if (bytes.short_of || count < 0 ||
            take(&bytes, (size_t)count * sizeof(int32_t)) == NULL) {
            return -1;
        }
        if (strlen(topic) == length && memcmp(name, topic, length) == 0) {
            held += count;
        }
    }
    return bytes.short_of ? -1 : held;
}

/* ---- the group ---- */

/* Partitions of the topic that members hold; -1 where one's assignment cannot be read. */
static int32_t held_of(const struct rd_kafka_group_info *group, const char *topic) {
    int32_t held = 0;

    for (int m = 0; m < group->member_cnt && held >= 0; m++) {
        const struct rd_kafka_group_member_info *member = &group->members[m];
        int32_t count = coverage_count(member->member_assignment,
                                       (size_t)member->member_assignment_size, topic);
        held = count < 0 ? -1 : held + count;
    }
    return held;
}

static int rank_of(const struct rd_kafka_group_info *group, const char *name) {
    int rank = 0;

    for (int m = 0; m < group->member_cnt; m++) {
        rank += strcmp(group->members[m].member_id, name) < 0;
    }
    return rank;
}

static int32_t partitions_of(const struct rd_kafka_metadata *metadata,
                             const char *topic) {
    for (int t = 0; t < metadata->topic_cnt; t++) {
        if (strcmp(metadata->topics[t].topic, topic) == 0) {
            return metadata->topics[t].partition_cnt;
        }
    }
    return 0;
}

static void compare(struct stream *stream, const struct rd_kafka_group_info *group,
                    const struct rd_kafka_metadata *metadata, struct view *view) {
    for (size_t i = 0; i < stream->input_count && view->topic == NULL; i++) {
        const char *name = stream->inputs[i].topic;
        int32_t partitions = partitions_of(metadata, name), held = held_of(group, name);

        if (held >= 0 && held < partitions) {
            *view = (struct view){.topic = name, .held = held, .partitions = partitions};
        }
    }
}

/* Says what of a group at rest nobody holds. */
static void look_at(struct stream *stream, const struct rd_kafka_group_info *group,
                    struct view *view) {
    rd_kafka_t *consumer = stream->source.consumer;
    const struct rd_kafka_metadata *metadata = NULL;
    char *name;

    if (group->err != RD_KAFKA_RESP_ERR_NO_ERROR || strcmp(group->state, "Stable") != 0 ||
        rd_kafka_metadata(consumer, 0, NULL, &metadata, TIMEOUT_MS) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    compare(stream, group, metadata, view);
    rd_kafka_metadata_destroy(metadata);
    name = rd_kafka_memberid(consumer);
    if (name != NULL) {
        view->rank = rank_of(group, name);
        rd_kafka_mem_free(consumer, name);
    }
}

/* An answer that does not come, as from the embedded broker, which does not know the
 * request, says of no gap. */
static void look(struct stream *stream, struct view *view) {
    const struct rd_kafka_group_list *groups = NULL;
    rd_kafka_resp_err_t code = rd_kafka_list_groups(
        stream->source.consumer, stream->opts.group, &groups, TIMEOUT_MS);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__PARTIAL) {
        return;
    }
    if (groups->group_cnt == 1) {
        look_at(stream, &groups->groups[0], view);
    }
    rd_kafka_group_list_destroy(groups);
}

bool coverage_has_gap(struct stream *stream) {
    struct coverage *coverage = &stream->source.coverage;
    struct view view = {0};

    if (coverage->due_us == 0 || clock_now_us() < coverage->due_us) {
        return false;
    }
    if (problems_is_clear(&stream->problems, PROBLEM_BROKER)) {
        look(stream, &view);
    }
    coverage->gaps = view.topic != NULL ? coverage->gaps + 1 : 0;
    coverage->due_us = clock_now_us() + (coverage->gaps > 0 ? SOON_US : INTERVAL_US);
    if (coverage->gaps < GAPS_MIN + view.rank) {
        return false;
    }
    log_event(LOG_WARN, "partitions_unread", LOG_TEXT("topic", view.topic),
              LOG_INT("held", view.held), LOG_INT("partitions", view.partitions),
              LOG_TEXT("action", "joins the group anew, to have them shared out"));
    return true;
}
