/* collect_state.c - see collect_state.h. */
#include "tools/collect_state.h"

#include <jansson.h>
#include <stdlib.h>

void collect_state_release(struct collect_state *state) {
    for (int i = 0; i < state->count; i++) {
        free((char *)(uintptr_t)state->starts[i].topic);
    }
    free(state->starts);
    *state = (struct collect_state){.starts = NULL};
}

static enum status set(struct collect_state *state, const char *topic, int partition,
                       int64_t offset, struct error *err) {
    char *copy;
    for (int i = 0; i < state->count; i++) {
        struct kafka_io_start *start = &state->starts[i];
        if (start->partition == partition && strcmp(start->topic, topic) == 0) {
            start->offset = offset;
            return STATUS_OK;
        }
    }
    if (state->count == state->room) {
        int room = state->room * 2 + 16;
        struct kafka_io_start *grown =
            realloc(state->starts, (size_t)room * sizeof(*grown));
        if (grown == NULL) {
            return error_set(err, STATUS_NO_MEMORY, "no memory for a partition");
        }
        state->starts = grown;
        state->room = room;
    }
    copy = strdup(topic);
    if (copy == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a partition");
    }
    state->starts[state->count++] = (struct kafka_io_start){copy, partition, offset};
    return STATUS_OK;
}

enum status collect_state_note(struct collect_state *state,
                               const struct kafka_io_record *record, struct error *err) {
    return set(state, record->topic, record->partition, record->offset + 1, err);
}

/* ---- what was seen: a bit for each answer, four of them a digit ----------------------
 */

static json_t *seen_json(const struct expect *expect) {
    static const char digits[] = "0123456789abcdef";
    size_t size = ((size_t)expect->count + 3) / 4;
    char *text = calloc(size + 1, 1);
    json_t *json;
    for (size_t i = 0; text != NULL && i < size; i++) {
        unsigned bits = 0;
        for (size_t k = 0; k < 4 && i * 4 + k < (size_t)expect->count; k++) {
            bits |= (unsigned)expect->seen[i * 4 + k] << k;
        }
        text[i] = digits[bits];
    }
    json = text == NULL ? NULL : json_stringn(text, size);
    free(text);
    return json;
}

static bool take_seen(struct expect *expect, const json_t *json) {
    const char *text = json_string_value(json);
    if (text == NULL || json_string_length(json) != ((size_t)expect->count + 3) / 4) {
        return false;
    }
    for (int64_t i = 0; i < expect->count; i++) {
        char c = text[i / 4];
        unsigned bits = c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0');
        expect->seen[i] = (bits >> i % 4 & 1) != 0;
        expect->answered += expect->seen[i];
    }
    return true;
}

/* ---- all of it ----------------------------------------------------------------------
 */

json_t *collect_state_json(const struct collect_state *state,
                           const struct expect *expects, int count) {
    json_t *starts = json_array(), *seen = json_array();
    for (int i = 0; i < state->count; i++) {
        const struct kafka_io_start *start = &state->starts[i];
        (void)json_array_append_new(starts,
                                    json_pack("[s, i, I]", start->topic, start->partition,
                                              (json_int_t)start->offset));
    }
    for (int i = 0; i < count; i++) {
        (void)json_array_append_new(seen, json_pack("{s:s%, s:I, s:o}", "prefix",
                                                    (const char *)expects[i].prefix.data,
                                                    expects[i].prefix.size, "first",
                                                    (json_int_t)expects[i].first, "seen",
                                                    seen_json(&expects[i])));
    }
    return json_pack("{s:o, s:o}", "partitions", starts, "seen", seen);
}

enum status collect_state_load(struct collect_state *state, const json_t *json,
                               struct expect *expects, int count, struct error *err) {
    const json_t *seen = json_object_get(json, "seen");
    const json_t *starts = json_object_get(json, "partitions");
    bool fits = json_array_size(seen) == (size_t)count;
    for (int i = 0; i < count && fits; i++) {
        const json_t *item = json_array_get(seen, (size_t)i);
        const json_t *prefix = json_object_get(item, "prefix");
        fits = json_is_string(prefix) &&
               span_equal(span_of(json_string_value(prefix), json_string_length(prefix)),
                          expects[i].prefix) &&
               json_integer_value(json_object_get(item, "first")) == expects[i].first &&
               take_seen(&expects[i], json_object_get(item, "seen"));
    }
    if (!fits) {
        return error_set(err, STATUS_INVALID,
                         "the answers that are there are of other ids: --restart begins "
                         "anew");
    }
    for (size_t i = 0; i < json_array_size(starts); i++) {
        const json_t *start = json_array_get(starts, i);
        const char *topic = json_string_value(json_array_get(start, 0));
        if (topic != NULL &&
            set(state, topic, (int)json_integer_value(json_array_get(start, 1)),
                json_integer_value(json_array_get(start, 2)), err) != STATUS_OK) {
            return err->status;
        }
    }
    return STATUS_OK;
}
