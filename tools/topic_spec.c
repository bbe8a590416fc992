/* topic_spec.c - see topic_spec.h. */
#include "tools/topic_spec.h"

#include <ctype.h>

#include "base/text.h"

#define NUMBER_SIZE_MAX 16 /* bytes */

enum status topic_spec_take(const char **list, struct topic_spec *spec,
                            struct error *err) {
    const char *entry = *list;
    size_t size = strcspn(entry, ",");
    size_t name_size = strcspn(entry, ":,");
    int64_t partitions = TOPIC_PARTITIONS_DEFAULT;
    *list = entry + size + (entry[size] == ',' ? 1 : 0);
    if (name_size == 0 || name_size > TOPIC_NAME_SIZE_MAX) {
        return error_set(err, STATUS_INVALID, "'%.*s': a name of 1 to %d bytes is needed",
                         (int)(size < 64 ? size : 64), entry, TOPIC_NAME_SIZE_MAX);
    }
    for (size_t i = 0; i < name_size; i++) {
        if (!isalnum((unsigned char)entry[i]) && strchr("._-", entry[i]) == NULL) {
            return error_set(
                err, STATUS_INVALID,
                "'%.*s': a topic's name is of letters, digits, '.', '_' and '-'",
                (int)(size < 300 ? size : 300), entry);
        }
    }
    if (name_size < size) {
        char number[NUMBER_SIZE_MAX] = "";
        size_t number_size = size - name_size - 1;
        if (number_size < sizeof(number)) {
            memcpy(number, entry + name_size + 1, number_size);
        }
        if (!text_parse_int(number, &partitions) || partitions < 1 ||
            partitions > TOPIC_PARTITIONS_MAX) {
            return error_set(err, STATUS_INVALID,
                             "'%.*s': a number of partitions from 1 to %d is needed",
                             (int)(size < 300 ? size : 300), entry, TOPIC_PARTITIONS_MAX);
        }
    }
    memcpy(spec->name, entry, name_size);
    spec->name[name_size] = 0;
    spec->partitions = (int)partitions;
    return STATUS_OK;
}

enum status topic_spec_check(const char *list, struct error *err) {
    struct topic_spec spec;
    while (*list != 0) {
        if (topic_spec_take(&list, &spec, err) != STATUS_OK) {
            return err->status;
        }
    }
    return STATUS_OK;
}
