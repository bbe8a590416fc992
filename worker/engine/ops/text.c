/* text.c - StringNormalizer, StringConcat, StringSplit. */
#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#include "base/size.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/ops.h"

/* ---- letters ----------------------------------------------------------------------- */

/* Unicode's simple case mapping, whatever locale the process runs in. */
static locale_t letters;
static pthread_once_t letters_once = PTHREAD_ONCE_INIT;

static void open_letters(void) {
    letters = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* The code point at `at` and its length; a byte that begins none is itself. */
static uint32_t decode(struct span text, size_t at, size_t *length) {
    uint8_t first = text.data[at];
    size_t more = first >= 0xf0 && first < 0xf8   ? 3
                  : first >= 0xe0 && first < 0xf0 ? 2
                  : first >= 0xc2 && first < 0xe0 ? 1
                                                  : 0;
    uint32_t code = more == 0 ? first : first & (0x3fU >> more);
    *length = 1;
    if (more == 0 || more >= text.size - at) {
        return more == 0 && first < 0x80 ? first : UINT32_MAX;
    }
    for (size_t i = 1; i <= more; i++) {
        if ((text.data[at + i] & 0xc0) != 0x80) {
            return UINT32_MAX;
        }
        code = code << 6 | (text.data[at + i] & 0x3f);
    }
    *length = more + 1;
    return code;
}

static size_t encode(uint32_t code, uint8_t *to) {
    size_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t heads[] = {0, 0xc0, 0xe0, 0xf0};
    for (size_t i = more; i > 0; i--, code >>= 6) {
        to[i] = (uint8_t)(0x80 | (code & 0x3f));
    }
    to[0] = (uint8_t)(heads[more] | code);
    return more + 1;
}

/* A letter may take more bytes in its other case, but never twice as many and one. */
static size_t change_case(struct span text, bool upper, uint8_t *to) {
    size_t used = 0, length;
    for (size_t at = 0; at < text.size; at += length) {
        uint32_t code = decode(text, at, &length);
        wint_t changed = code == UINT32_MAX || letters == (locale_t)0 ? (wint_t)code
                         : upper ? towupper_l((wint_t)code, letters)
                                 : towlower_l((wint_t)code, letters);
        if (code == UINT32_MAX || (code >= 0x80 && changed > 0x10ffff)) {
            memcpy(to + used, text.data + at, length);
            used += length;
        } else {
            used += encode((uint32_t)changed, to + used);
        }
    }
    return used;
}

static size_t case_room(size_t size) {
    return 2 * size + 4;
}

/* ---- StringNormalizer -------------------------------------------------------------- */

enum { CASE_NONE, CASE_LOWER, CASE_UPPER };

struct normalizer {
    int action;
    bool sensitive;
    const struct span *stops;
    size_t stop_count;
};

static enum status normalizer_prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"NONE", "LOWER", "UPPER", NULL};
    struct normalizer *state = load_state(load, struct normalizer);
    const struct attr *stops = attr_find(load->node, "stopwords");
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    (void)pthread_once(&letters_once, open_letters); /* without it letters stay */
    attr_ignore(load->node, "locale");
    if (stops != NULL && stops->kind == ATTR_TEXTS) {
        state->stops = stops->as.texts;
        state->stop_count = stops->count;
    }
    status = attr_word(load->node, "case_change_action", 0, words, &state->action, err);
    return status == STATUS_OK
               ? attr_bool(load->node, "is_case_sensitive", false, &state->sensitive, err)
               : status;
}

/* Equal as they are, or where case does not matter, as they are in lower case. */
static bool same_text(struct span a, struct span b, bool sensitive) {
    size_t i = 0, k = 0;
    while (i < a.size && k < b.size) {
        size_t p_length, q_length;
        uint32_t p = decode(a, i, &p_length), q = decode(b, k, &q_length);
        bool map =
            !sensitive && p != UINT32_MAX && q != UINT32_MAX && letters != (locale_t)0;
        if (map ? towlower_l((wint_t)p, letters) != towlower_l((wint_t)q, letters)
                : p != q || a.data[i] != b.data[k]) {
            return false;
        }
        i += p_length;
        k += q_length;
    }
    return i == a.size && k == b.size;
}

static bool is_stop(const struct normalizer *state, struct span text) {
    for (size_t i = 0; i < state->stop_count; i++) {
        if (same_text(text, state->stops[i], state->sensitive)) {
            return true;
        }
    }
    return false;
}

static enum status normalizer_shape(struct exec *exec, struct error *err) {
    const struct normalizer *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    const struct span *texts = x->data;
    int64_t kept = 0;
    if (x->rank < 1 || x->rank > 2 || (x->rank == 2 && x->dims[0] != 1)) {
        char text[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has shape %s, allowed are [C] and [1,C]",
                          tensor_shape_text(x->dims, x->rank, text, sizeof(text)));
    }
    for (int64_t i = 0; i < x->dims[x->rank - 1]; i++) {
        if (!is_stop(state, texts[i])) {
            kept++;
            exec->extra_size += case_room(texts[i].size);
        }
    }
    exec_same_shape(exec, 0, 0);
    exec->y[0]->dims[x->rank - 1] = kept > 0 ? kept : 1; /* then one empty text */
    return STATUS_OK;
}

static enum status normalizer_run(struct exec *exec, struct error *err) {
    const struct normalizer *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    const struct span *texts = x->data;
    struct span *to = exec->y[0]->data;
    uint8_t *memory = exec->extra;
    (void)err; /* cannot fail */
    *to = (struct span){0};
    for (int64_t i = 0; i < x->dims[x->rank - 1]; i++) {
        if (is_stop(state, texts[i])) {
            continue;
        }
        *to = texts[i];
        if (state->action != CASE_NONE) {
            *to = span_of(memory,
                          change_case(texts[i], state->action == CASE_UPPER, memory));
        }
        memory += case_room(texts[i].size);
        to++;
    }
    return STATUS_OK;
}

/* ---- StringConcat ------------------------------------------------------------------ */

static enum status concat_shape(struct exec *exec, struct error *err) {
    const struct span *a = exec->x[0]->data, *b = exec->x[1]->data;
    struct broadcast *plan = exec->memo;
    struct broadcast_walk walk = {0};
    enum status status = broadcast_shape(exec, exec->x, 2, exec->y[0], err);
    if (status != STATUS_OK) {
        return status;
    }
    broadcast_init(plan, exec->x, 2, exec->y[0]);
    if (!broadcast_any(plan)) {
        return STATUS_OK;
    }
    do {
        for (int64_t i = 0; i < plan->line; i++) {
            exec->extra_size += a[walk.at[0] + i * plan->line_step[0]].size +
                                b[walk.at[1] + i * plan->line_step[1]].size;
        }
    } while (broadcast_next(plan, &walk));
    return STATUS_OK;
}

static enum status concat_run(struct exec *exec, struct error *err) {
    const struct span *a = exec->x[0]->data, *b = exec->x[1]->data;
    const struct broadcast *plan = exec->memo;
    struct broadcast_walk walk = {0};
    uint8_t *memory = exec->extra;
    (void)err; /* cannot fail */
    if (!broadcast_any(plan)) {
        return STATUS_OK;
    }
    do {
        for (int64_t i = 0; i < plan->line; i++) {
            struct span p = a[walk.at[0] + i * plan->line_step[0]];
            struct span q = b[walk.at[1] + i * plan->line_step[1]];
            struct span *to = (struct span *)exec->y[0]->data + walk.out + i;
            *to = span_of(memory, p.size + q.size);
            if (p.size > 0) {
                memcpy(memory, p.data, p.size);
            }
            if (q.size > 0) {
                memcpy(memory + p.size, q.data, q.size);
            }
            memory += to->size;
        }
    } while (broadcast_next(plan, &walk));
    return STATUS_OK;
}

/* ---- StringSplit ------------------------------------------------------------------- */

struct splitter {
    struct span delimiter; /* empty: any white space */
    int64_t most;          /* splits, -1 for any number */
};

static enum status split_prepare(struct load *load, struct error *err) {
    struct splitter *state = load_state(load, struct splitter);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    graph_set_output(load->graph, load->node, 1, DTYPE_I64);
    status = attr_text(load->node, "delimiter", "", &state->delimiter, err);
    return status == STATUS_OK ? attr_int(load->node, "maxsplit", -1, &state->most, err)
                               : status;
}

static bool is_space(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static size_t skip(struct span text, size_t at, bool spaces) {
    while (at < text.size && is_space(text.data[at]) == spaces) {
        at++;
    }
    return at;
}

static struct span part(struct span text, size_t from, size_t to) {
    return span_of(text.data + from, to - from);
}

/* Writes the words to `parts`, or counts them where that is NULL. */
static int64_t split_spaces(const struct splitter *state, struct span text,
                            struct span *parts) {
    int64_t count = 0;
    size_t at = skip(text, 0, true);
    while (at < text.size) {
        bool rest = state->most >= 0 && count == state->most;
        size_t end = rest ? text.size : skip(text, at, false);
        while (rest && is_space(text.data[end - 1])) {
            end--;
        }
        if (parts != NULL) {
            parts[count] = part(text, at, end);
        }
        count++;
        at = skip(text, end, true);
    }
    return count;
}

static size_t find(struct span text, struct span what, size_t from) {
    for (size_t at = from; at + what.size <= text.size; at++) {
        if (memcmp(text.data + at, what.data, what.size) == 0) {
            return at;
        }
    }
    return text.size;
}

static int64_t split_text(const struct splitter *state, struct span text,
                          struct span *parts) {
    int64_t count = 0;
    size_t at = 0;
    if (state->delimiter.size == 0) {
        return split_spaces(state, text, parts);
    }
    for (;;) {
        bool rest = state->most >= 0 && count == state->most;
        size_t end = rest ? text.size : find(text, state->delimiter, at);
        if (parts != NULL) {
            parts[count] = part(text, at, end);
        }
        count++;
        if (end == text.size) {
            return count;
        }
        at = end + state->delimiter.size;
    }
}

static enum status split_shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    size_t count = tensor_count(x);
    int64_t most = 0;
    if (x->rank == TENSOR_RANK_MAX) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, one less is handled", x->rank);
    }
    for (size_t i = 0; i < count; i++) {
        int64_t parts =
            split_text(exec->node->state, ((const struct span *)x->data)[i], NULL);
        most = parts > most ? parts : most;
    }
    *(int64_t *)exec->memo = most;
    if (exec_wants(exec, 0)) {
        exec_same_shape(exec, 0, 0);
        exec->y[0]->dims[x->rank] = most;
        exec->y[0]->rank = x->rank + 1;
    }
    exec->scratch_size = (size_t)most * sizeof(struct span);
    if (exec_wants(exec, 1)) {
        exec_same_shape(exec, 1, 0);
    }
    return STATUS_OK;
}

static enum status split_run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    size_t count = tensor_count(x), most = (size_t) * (const int64_t *)exec->memo;
    struct span *parts = exec->scratch;
    (void)err; /* cannot fail */
    for (size_t i = 0; i < count; i++) {
        int64_t made;
        if (most > 0) {
            memset(parts, 0, most * sizeof(*parts));
        }
        made = split_text(exec->node->state, ((const struct span *)x->data)[i], parts);
        if (most > 0 && exec_wants(exec, 0)) {
            memcpy((struct span *)exec->y[0]->data + i * most, parts,
                   most * sizeof(*parts));
        }
        if (exec_wants(exec, 1)) {
            ((int64_t *)exec->y[1]->data)[i] = made;
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "StringNormalizer",
        .since = 10,
        .inputs_min = 1,
        .inputs_max = 1,
        .shape_inputs = 1,
        .types = {TYPES_STRING},
        .prepare = normalizer_prepare,
        .shape = normalizer_shape,
        .run = normalizer_run,
    },
    {
        .name = "StringConcat",
        .since = 20,
        .inputs_min = 2,
        .inputs_max = 2,
        .shape_inputs = 3,
        .types = {TYPES_STRING},
        .memo_size = sizeof(struct broadcast),
        .shape = concat_shape,
        .run = concat_run,
    },
    {
        .name = "StringSplit",
        .since = 20,
        .inputs_min = 1,
        .inputs_max = 1,
        .outputs_max = 2,
        .shape_inputs = 1,
        .types = {TYPES_STRING},
        .memo_size = sizeof(int64_t),
        .prepare = split_prepare,
        .shape = split_shape,
        .run = split_run,
    },
};

const struct op_list ops_text = OP_LIST(ops);
