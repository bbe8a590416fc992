/* subject.c - see registry.h: the names of subjects. */
#include <assert.h>

#include "registry/registry.h"

static const char *const names[] = {
    [REGISTRY_TOPIC] = "topic",
    [REGISTRY_RECORD] = "record",
    [REGISTRY_TOPIC_RECORD] = "topic_record",
};
_Static_assert(ARRAY_COUNT(names) == REGISTRY_STRATEGY_COUNT, "every strategy");

enum status registry_subject(enum registry_strategy strategy, const char *topic,
                             const struct avro_schema *schema, char *to, size_t size,
                             struct error *err) {
    const char *record = avro_schema_root(schema)->name;
    int used = 0;
    if (strategy != REGISTRY_TOPIC && record == NULL) {
        return error_set(err, STATUS_INVALID,
                         "the strategy %s needs a schema with a name, and topic '%s' has "
                         "%s",
                         names[strategy], topic,
                         avro_kind_name(avro_schema_root(schema)->kind));
    }
    switch (strategy) {
    case REGISTRY_TOPIC:
        used = snprintf(to, size, "%s-value", topic);
        break;
    case REGISTRY_RECORD:
        used = snprintf(to, size, "%s", record);
        break;
    case REGISTRY_TOPIC_RECORD:
        used = snprintf(to, size, "%s-%s", topic, record);
        break;
    case REGISTRY_STRATEGY_COUNT:
        assert(!"no such strategy");
        break;
    }
    if (used < 0 || (size_t)used >= size) {
        return error_set(err, STATUS_INVALID, "the subject of topic '%.60s' is too long",
                         topic);
    }
    return STATUS_OK;
}
