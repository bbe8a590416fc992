/* avro_logical.c - see avro_parse.h: logical types. */
#include "codec/avro_parse.h"

#define DECIMAL_PRECISION_MAX 1000 /* digits; more is no number of this world */

struct logical {
    const char *name;
    enum avro_logical logical;
    enum avro_kind kind; /* that it may annotate */
};

static const struct logical logicals[] = {
    {"decimal", AVRO_LOGICAL_DECIMAL, AVRO_KIND_BYTES},
    {"decimal", AVRO_LOGICAL_DECIMAL, AVRO_KIND_FIXED},
    {"uuid", AVRO_LOGICAL_UUID, AVRO_KIND_STRING},
    {"date", AVRO_LOGICAL_DATE, AVRO_KIND_INT},
    {"time-millis", AVRO_LOGICAL_TIME_MILLIS, AVRO_KIND_INT},
    {"time-micros", AVRO_LOGICAL_TIME_MICROS, AVRO_KIND_LONG},
    {"timestamp-millis", AVRO_LOGICAL_TIMESTAMP_MILLIS, AVRO_KIND_LONG},
    {"timestamp-micros", AVRO_LOGICAL_TIMESTAMP_MICROS, AVRO_KIND_LONG},
    {"timestamp-nanos", AVRO_LOGICAL_TIMESTAMP_NANOS, AVRO_KIND_LONG},
    {"local-timestamp-millis", AVRO_LOGICAL_LOCAL_TIMESTAMP_MILLIS, AVRO_KIND_LONG},
    {"local-timestamp-micros", AVRO_LOGICAL_LOCAL_TIMESTAMP_MICROS, AVRO_KIND_LONG},
    {"local-timestamp-nanos", AVRO_LOGICAL_LOCAL_TIMESTAMP_NANOS, AVRO_KIND_LONG},
};

/* The specification: a decimal that makes no sense is the bytes it annotates. */
static bool decimal_set(const json_t *json, struct avro_node *node) {
    const json_t *precision = json_object_get(json, "precision");
    const json_t *scale = json_object_get(json, "scale");
    json_int_t digits = json_integer_value(precision);
    json_int_t behind = scale == NULL ? 0 : json_integer_value(scale);
    if (!json_is_integer(precision) || (scale != NULL && !json_is_integer(scale))) {
        return false;
    }
    if (digits < 1 || digits > DECIMAL_PRECISION_MAX || behind < 0 || behind > digits) {
        return false;
    }
    node->precision = (int)digits;
    node->scale = (int)behind;
    return true;
}

void avro_logical_set(const json_t *json, struct avro_node *node) {
    const char *name = json_string_value(json_object_get(json, "logicalType"));
    node->logical = AVRO_LOGICAL_NONE;
    for (size_t i = 0; name != NULL && i < ARRAY_COUNT(logicals); i++) {
        const struct logical *logical = &logicals[i];
        if (strcmp(logical->name, name) != 0 || logical->kind != node->kind) {
            continue;
        }
        if (logical->logical != AVRO_LOGICAL_DECIMAL || decimal_set(json, node)) {
            node->logical = logical->logical;
        }
        return;
    }
}
