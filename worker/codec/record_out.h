/* record_out.h - record mode, the way out: the input's record and what the model says.
 *
 * The output's schema is the writer's with fields put behind its own, so that a record is
 * written as the bytes that came, copied, and the new fields; or a record of the new
 * fields alone.  The forms of a field:
 *
 *     TENSOR   the output as it is: a number, text or boolean where a row has one
 * element, else a list of them, row-major LABEL    the label of the largest element, or
 * of the index that the output is; without labels the index SCORE    the largest element
 *     ELEMENT  one element, by its index
 *     TOP      a list of the `top` largest, as records of label and score
 *
 * Depends on: codec/avro_schema.h, codec/result.h for rows, codec/vocabulary.h; jansson.
 * Ownership: vocabularies and the writer's schema outlive it.
 * Threads: read-only once made, for any. */
#ifndef MILLRACE_CODEC_RECORD_OUT_H
#define MILLRACE_CODEC_RECORD_OUT_H

#include "codec/avro_schema.h"
#include "codec/result.h"
#include "codec/vocabulary.h"

#define RECORD_OUT_FIELDS_MAX 64
#define RECORD_OUT_TOP_MAX 64

enum record_form {
    RECORD_TENSOR,
    RECORD_LABEL,
    RECORD_SCORE,
    RECORD_ELEMENT,
    RECORD_TOP,
    RECORD_FORM_COUNT
};

struct record_field {
    const char *place;  /* where it was written, for errors: "worker.conf:40"; or NULL */
    const char *name;   /* in the output record */
    const char *output; /* the model's */
    enum record_form form;
    size_t element;                  /* of RECORD_ELEMENT */
    int top;                         /* of RECORD_TOP */
    const struct vocabulary *labels; /* of RECORD_LABEL and RECORD_TOP; or NULL */
};

/* One output of the model: a row's shape, negative where free. */
struct record_output {
    const char *name;
    enum dtype dtype;
    int rank;
    int64_t dims[TENSOR_RANK_MAX];
};

struct record_out_opts {
    const struct avro_schema *writer;     /* NULL: the new fields alone */
    const struct avro_resolver *resolver; /* of the writer's references; or NULL */
    const char *name; /* of the record, without a namespace; NULL: the writer's, or
                         "millrace.Prediction" */
    const struct record_field *fields;
    int field_count;
    const struct record_output *outputs;
    int output_count;
};

struct record_out; /* opaque */

/* STATUS_INVALID names the field's place and what is there instead; STATUS_UNSUPPORTED
 * for a writer's schema that is no record; STATUS_NO_MEMORY. */
MUST_CHECK enum status record_out_create(const struct record_out_opts *opts,
                                         struct record_out **out, struct error *err);

/* Accepts NULL. */
void record_out_destroy(struct record_out *out);

/* The output's schema, and its JSON text as it is to be registered. */
const struct avro_schema *record_out_schema(const struct record_out *out);
struct span record_out_json(const struct record_out *out);

/* Most bytes that record_out_encode needs.  `rows` are the model's outputs in the order
 * of `outputs`, `record` is the input's (without framing). */
size_t record_out_size_max(const struct record_out *out, struct span record,
                           const struct result_output *rows);

/* Writes the record; returns the place behind it in *end.  STATUS_POISON where an index
 * has no label, or a row has not the element that a field asks for. */
MUST_CHECK enum status record_out_encode(const struct record_out *out, struct span record,
                                         const struct result_output *rows, uint8_t *to,
                                         uint8_t **end, struct error *err);

/* "tensor", "label", ...; and the form of a name, or RECORD_FORM_COUNT. */
const char *record_form_name(enum record_form form);
enum record_form record_form_parse(const char *name);

#endif
