/* record.h - a route's `record` group: how Avro records become a model's inputs, and what
 * of its outputs their answers carry.
 *
 * It is what the file says, checked as far as that goes without a model, a schema and a
 * file of words; `place` is "FILE:LINE", for whoever finds the rest.
 *
 * Depends on: base/status.h.
 * Ownership: the struct config owns all of it.
 * Threads: immutable once loaded. */
#ifndef MILLRACE_CONFIG_RECORD_H
#define MILLRACE_CONFIG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_INPUTS_MAX 64    /* of one route's record */
#define CONFIG_SOURCES_MAX 4096 /* of one input */
#define CONFIG_STEPS_MAX 8      /* of one source */
#define CONFIG_ANSWER_FIELDS_MAX 64
#define CONFIG_WORDS_MAX 65536 /* written in the file; a file of words may hold more */

/* Words: the lines of a file, or those written here; neither where path is NULL and count
 * is 0. */
struct config_words {
    const char *path;
    const char *const *items;
    size_t count;
};

/* What is done to a value; which members hold depends on the step (record_steps.c). */
struct config_step {
    const char *name; /* "scale", "one_hot", ... */
    double a, b;
    int64_t count;
    struct config_words words;
    int64_t unknown;     /* the number of a word that is not among the words */
    bool refuse_unknown; /* there is none: such a record is a dead letter */
};

enum config_constant_kind {
    CONFIG_CONSTANT_NONE,
    CONFIG_CONSTANT_INTEGER,
    CONFIG_CONSTANT_REAL,
    CONFIG_CONSTANT_TEXT
};

struct config_constant {
    enum config_constant_kind kind;
    int64_t integer;
    double real;
    const char *text;
};

/* Elements of an input, behind those of the source before it. */
struct config_source {
    const char *place;
    const char *field;            /* its path; NULL: the constant */
    struct config_constant value; /* or what stands for null */
    int64_t count;                /* of a list; 0: what the input has room for */
    const struct config_step *steps;
    size_t step_count;
};

struct config_input {
    const char *place;
    const char *name; /* the model's; empty: the only one */
    const struct config_source *sources;
    size_t source_count;
};

/* A field of the answers. */
struct config_answer_field {
    const char *place;
    const char *name;
    const char *output; /* the model's; empty: the only one */
    const char *form;   /* "tensor", "label", "score", "element" or "top" */
    int64_t element, top;
    struct config_words labels;
};

enum config_answer { CONFIG_ANSWER_RECORD, CONFIG_ANSWER_PREDICTION };

enum config_answer_framing {
    CONFIG_FRAMING_SAME,
    CONFIG_FRAMING_CONFLUENT,
    CONFIG_FRAMING_SINGLE_OBJECT,
    CONFIG_FRAMING_BARE
};

/* What becomes of a record without a value, which deletes its key from a compacted topic.
 */
enum config_tombstones { CONFIG_TOMBSTONES_PASS, CONFIG_TOMBSTONES_DEAD };

/* Whether answers have headers that say which model made them. */
enum config_model_headers { CONFIG_HEADERS_FULL, CONFIG_HEADERS_NONE };

/* How the subject of the answers' schema is named in the registry. */
enum config_strategy { CONFIG_BY_TOPIC, CONFIG_BY_RECORD, CONFIG_BY_TOPIC_RECORD };

struct config_record {
    const struct config_input *inputs;
    size_t input_count;
    struct config_source deadline, priority;   /* a field each; NULL: none */
    const struct config_answer_field *outputs; /* none: all outputs as they are */
    size_t output_count;
    const char *schema;  /* file of bare records; or empty */
    const char *schemas; /* folder for single-object encoding; or empty */
    const char *reader;  /* file of the schema that fields are looked up in; or empty */
    const char *subject; /* empty: by the strategy "topic" */
    enum config_strategy strategy;
    enum config_answer answer;
    const char *answer_name;
    enum config_answer_framing answer_framing;
    enum config_tombstones tombstones;
    enum config_model_headers model_headers;
};

#endif
