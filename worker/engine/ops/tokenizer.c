/* tokenizer.c - com.microsoft's Tokenizer, with which skl2onnx's text pipelines begin:
 * every text becomes a row of its tokens, padded to the longest row.
 *
 * Tokens are what `tokenexp` matches (the leftmost match, and of those the longest), or
 * what is left between matches of `separators`, one after the other, or single
 * characters.  How many there are follows from the texts, so shape() finds them, too. */
#include "engine/ops/ops.h"
#include "engine/ops/regex.h"

enum { SEPARATORS_MAX = 64, STEPS_MAX = 1000 };

struct tokenizer {
    struct span pad;
    int64_t characters_min;
    bool mark; /* each row between these: */
    const struct regex *token;
    const struct regex *separators[SEPARATORS_MAX];
    int separator_count; /* without these and `token`: characters */
};

static const uint8_t begin_mark[] = {2}, end_mark[] = {3};

/* ---- prepare ----------------------------------------------------------------------- */

static enum status compile(struct load *load, struct span pattern,
                           const struct regex **regex, struct error *err) {
    enum status status = regex_compile(&load->graph->arena, pattern, regex, err);
    if (status == STATUS_OK && regex_find_size(*regex) > REGEX_FIND_SIZE(STEPS_MAX)) {
        status = error_set(err, STATUS_UNSUPPORTED, "the expression is too large");
    }
    return status == STATUS_OK
               ? status
               : error_prefix(err, "Tokenizer '%.100s'", load->node->name);
}

static enum status read_separators(struct load *load, const struct attr *texts,
                                   struct error *err) {
    struct tokenizer *state = load->node->state;
    if (texts->kind != ATTR_TEXTS || texts->count < 1 || texts->count > SEPARATORS_MAX) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "separators must be 1 to %d texts", SEPARATORS_MAX);
    }
    if (texts->count == 1 && texts->as.texts[0].size == 0) {
        return state->characters_min == 1 ? STATUS_OK
                                          : node_error(load->node, err, STATUS_INVALID,
                                                       "a character is never %lld long",
                                                       (long long)state->characters_min);
    }
    for (size_t i = 0; i < texts->count; i++) {
        enum status status =
            compile(load, texts->as.texts[i], &state->separators[i], err);
        if (status != STATUS_OK) {
            return status;
        }
        state->separator_count++;
    }
    return STATUS_OK;
}

static enum status prepare(struct load *load, struct error *err) {
    struct tokenizer *state = load_state(load, struct tokenizer);
    const struct attr *separators = attr_find(load->node, "separators");
    struct span pattern;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_text(load->node, "tokenexp", "", &pattern, err);
    if (status == STATUS_OK) {
        status = attr_text(load->node, "pad_value", "", &state->pad, err);
    }
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "mark", false, &state->mark, err);
    }
    if (status == STATUS_OK) {
        status = attr_int(load->node, "mincharnum", 1, &state->characters_min, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (state->characters_min < 1 || (pattern.size > 0) == (separators != NULL)) {
        return node_error(load->node, err, STATUS_INVALID,
                          "needs a mincharnum above 0, and tokenexp or separators");
    }
    return pattern.size > 0 ? compile(load, pattern, &state->token, err)
                            : read_separators(load, separators, err);
}

/* ---- tokens ------------------------------------------------------------------------ */

/* Tokens of one text, counted and, unless `to` is NULL, written. */
struct tokens {
    const struct tokenizer *state;
    struct span *to;
    int64_t count;
    void *scratch; /* for regex_find */
};

static bool continues(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the character at `at`. */
static size_t character(struct span text, size_t at) {
    size_t end = at + 1;
    while (end < text.size && continues(text.data[end])) {
        end++;
    }
    return end - at;
}

/* False where it is too short for a token. */
static bool add(struct tokens *tokens, struct span text, size_t begin, size_t end) {
    int64_t characters = 0;
    for (size_t i = begin; i < end; i++) {
        characters += continues(text.data[i]) ? 0 : 1;
    }
    if (characters < tokens->state->characters_min) {
        return false;
    }
    if (tokens->to != NULL) {
        tokens->to[tokens->count] = span_of(text.data + begin, end - begin);
    }
    tokens->count++;
    return true;
}

static void find_matches(struct tokens *tokens, struct span text) {
    size_t at = 0, begin, end;
    while (at < text.size &&
           regex_find(tokens->state->token, text, at, &begin, &end, tokens->scratch)) {
        if (add(tokens, text, begin, end)) {
            at = end;
        } else if (begin < text.size) { /* it may be empty: one character on */
            at = begin + character(text, begin);
        } else {
            return;
        }
    }
}

/* A piece of text that is being cut by one of the separators. */
struct piece {
    struct span text;
    size_t at; /* past its end once it is done */
};

static void find_between(struct tokens *tokens, struct span text) {
    struct piece pieces[SEPARATORS_MAX];
    int level = 0;
    pieces[0] = (struct piece){.text = text};
    while (level >= 0) {
        struct piece *piece = &pieces[level];
        size_t from = piece->at, begin = piece->text.size, end = begin;
        if (from > piece->text.size) {
            level--;
            continue;
        }
        if (from < piece->text.size &&
            regex_find(tokens->state->separators[level], piece->text, from, &begin, &end,
                       tokens->scratch)) {
            piece->at = end > begin ? end : begin + 1;
        } else {
            piece->at = piece->text.size + 1;
        }
        if (level + 1 < tokens->state->separator_count) {
            pieces[++level] =
                (struct piece){.text = span_of(piece->text.data + from, begin - from)};
        } else {
            (void)add(tokens, piece->text, from, begin); /* short ones are dropped */
        }
    }
}

static void tokenize(struct tokens *tokens, struct span text) {
    size_t length;
    tokens->count = 0;
    if (text.size == 0) {
        return;
    }
    if (tokens->state->token != NULL) {
        find_matches(tokens, text);
    } else if (tokens->state->separator_count > 0) {
        find_between(tokens, text);
    } else {
        for (size_t at = 0; at < text.size; at += length) {
            length = character(text, at);
            (void)add(tokens, text, at, at + length); /* at least one long */
        }
    }
}

/* ---- shape and run ----------------------------------------------------------------- */

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    _Alignas(8) uint8_t scratch[REGEX_FIND_SIZE(STEPS_MAX)];
    struct tokens tokens = {.state = exec->node->state, .scratch = scratch};
    int64_t longest = 0;
    if (x->rank < 1 || x->rank > 2) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, allowed are 1 and 2", x->rank);
    }
    for (size_t i = 0; i < tensor_count(x); i++) {
        tokenize(&tokens, ((const struct span *)x->data)[i]);
        longest = tokens.count > longest ? tokens.count : longest;
    }
    if (longest > 0 && tokens.state->mark) {
        longest += 2; /* where there is no token at all there are no marks either */
    }
    exec_same_shape(exec, 0, 0);
    exec->y[0]->dims[x->rank] = longest;
    exec->y[0]->rank = x->rank + 1;
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0], *y = exec->y[0];
    const struct tokenizer *state = exec->node->state;
    const int64_t width = y->dims[y->rank - 1];
    _Alignas(8) uint8_t scratch[REGEX_FIND_SIZE(STEPS_MAX)];
    struct span *row = y->data;
    (void)err; /* cannot fail */
    for (size_t i = 0; width > 0 && i < tensor_count(x); i++, row += width) {
        struct tokens tokens = {
            .state = state, .to = row + state->mark, .scratch = scratch};
        int64_t used;
        tokenize(&tokens, ((const struct span *)x->data)[i]);
        used = tokens.count;
        if (state->mark) {
            row[0] = span_of(begin_mark, 1);
            row[used + 1] = span_of(end_mark, 1);
            used += 2;
        }
        for (; used < width; used++) {
            row[used] = state->pad;
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .domain = "com.microsoft",
        .name = "Tokenizer",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .shape_inputs = 1,
        .types = {TYPES_STRING},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_tokenizer = OP_LIST(ops);
