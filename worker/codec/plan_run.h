/* plan_run.h - a plan at work: where it stands in a record, and what its steps do.
 *
 * Inside plan_*.c only.  A function for a step reads at run->r.at and is false after an
 * error; one that may go elsewhere than to the step behind sets *next.
 *
 * Depends on: codec/plan_steps.h, codec/reader.h.
 * Ownership: all is borrowed for one run. */
#ifndef MILLRACE_CODEC_PLAN_RUN_H
#define MILLRACE_CODEC_PLAN_RUN_H

#include "codec/plan_compile.h"

struct frame {          /* an array or map that is being walked */
    size_t left;        /* items of this block */
    size_t total;       /* items of the blocks so far */
    const uint8_t *end; /* of the block, or NULL */
    uint64_t seen;      /* keys of the map */
};

/* But for `depth` and `frames`, made at the first step that is not a quick one. */
struct run {
    struct reader r;
    const struct plan *plan; /* NULL until then */
    struct plan_out *out;
    const struct plan_step *step; /* being run */
    const uint8_t *mark;
    int depth;
    struct frame frames[AVRO_DEPTH_MAX + 1]; /* set when entered */
    size_t levels[PLAN_LEVELS_MAX + 1]; /* items of lists in lists; SIZE_MAX at first */
};

/* plan_store.c: one value, or a list of them, to the slot of the step. */
bool run_store_value(struct run *run, struct value value);
bool run_store_null(struct run *run);
bool run_take_int(struct run *run);
bool run_take_long(struct run *run);
bool run_take_float(struct run *run);
bool run_take_double(struct run *run);
bool run_take_boolean(struct run *run);
bool run_take_enum(struct run *run);
bool run_take_text(struct run *run);
bool run_take_decimal(struct run *run);
bool run_take_list(struct run *run);
bool run_note_list(struct run *run);
bool run_take_raw(struct run *run);

/* plan_walk.c: through lists, maps and unions. */
bool run_check_level(struct run *run, size_t count);
bool run_enter_list(struct run *run, const struct plan_step **next);
bool run_next_item(struct run *run, const struct plan_step **next);
bool run_read_key(struct run *run, const struct plan_step **next);
bool run_take_branch(struct run *run, const struct plan_step **next);

/* plan_walk.c: past what nobody wants. */
bool run_skip_varints(struct reader *r, uint32_t count, bool ints);
bool run_skip_bytes(struct reader *r, uint32_t count);
bool run_skip_boolean(struct reader *r);
bool run_skip_enum(struct reader *r, uint32_t count);
bool run_skip_empties(struct reader *r);
bool run_skip_list(struct run *run);

#endif
