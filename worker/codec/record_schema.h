/* record_schema.h - what record_schema.c makes and record_out.c writes by.
 *
 * Inside record_*.c only.
 *
 * Depends on: codec/record_out.h. */
#ifndef MILLRACE_CODEC_RECORD_SCHEMA_H
#define MILLRACE_CODEC_RECORD_SCHEMA_H

#include "codec/record_out.h"

struct out_field {
    char *name; /* owned */
    enum record_form form;
    int output;  /* of the model */
    bool single; /* a row has one element */
    size_t element;
    int top;
    const struct vocabulary *labels;
    size_t label_size_max; /* bytes with their length */
};

struct record_out {
    struct avro_schema *schema; /* owned */
    char *json;                 /* owned; by jansson's allocator */
    bool copies;                /* the input's record comes first */
    int field_count;
    struct out_field fields[RECORD_OUT_FIELDS_MAX];
};

/* The Avro type of a tensor's elements; null where there is none. */
enum avro_kind record_type_of(enum dtype dtype);

#endif
