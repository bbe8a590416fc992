/* record_forms.h - what record*.c and keys_record.c share; nobody else includes it.
 *
 * Depends on: config/loader.h.
 * Ownership: what is taken is in the loader's box.
 * Threads: one. */
#ifndef MILLRACE_CONFIG_RECORD_FORMS_H
#define MILLRACE_CONFIG_RECORD_FORMS_H

#include "config/loader.h"

/* A value of the file and what it is called: "routes[0].record.inputs.X[2]". */
struct spot {
    struct loader *loader;
    const char *name;
    const config_setting_t *node;
};

/* A row of the reference, and a name that a group may have. */
struct form {
    const char *name;
    const char *written; /* an example */
    const char *help;
};

/* Settings of a record: see struct key. */
void record_take_inputs(struct loader *loader, const struct given *given, char *base);
void record_take_answers(struct loader *loader, const struct given *given, char *base);
void record_take_deadline(struct loader *loader, const struct given *given, char *base);
void record_take_priority(struct loader *loader, const struct given *given, char *base);

/* Reports what is wrong at the spot. */
void spot_problem(const struct spot *spot, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The member `key` of a group; .node is NULL where there is none. */
struct spot spot_member(const struct spot *spot, const char *key);
struct spot spot_item(const struct spot *spot, int index);

bool spot_is_list(const struct spot *spot); /* or an array */
bool spot_is_group(const struct spot *spot);
bool spot_is_number(const struct spot *spot);

/* Each reports what does not fit, and returns 0, "" or NULL then. */
int64_t spot_integer(const struct spot *spot, int64_t min, int64_t max);
double spot_number(const struct spot *spot);
const char *spot_text(const struct spot *spot);
void spot_words(const struct spot *spot, struct config_words *words);

/* Reports members of a group that are in neither table. */
void spot_check_names(const struct spot *spot, const struct form *forms, size_t count,
                      const char *also);

/* The sources of an input: a text, a number, a group, or a list of them. */
void sources_take(const struct spot *spot, struct config_input *input);

/* The rows for fields and steps. */
void sources_reference(FILE *to);

/* Rows of a table of the reference. */
void forms_print(const struct form *forms, size_t count, FILE *to);

#endif
