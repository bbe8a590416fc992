/* regex_parse.c - from a pattern to the program that regex.c runs.
 *
 *     e*      split(+1, over) e jump(back)      e|f     split(+1, f) e jump(over) f
 *     e+      e split(back, +1)                 e{2,3}  e e split(+1, over) e
 *
 * Distances are relative, so that a piece can be copied as it is. */
#include "engine/ops/regex_impl.h"

#include <string.h>

#include "base/compiler.h"

enum { DEPTH_MAX = 100, RANGES_MAX = 40000, REPEAT_MAX = 1000 };

struct flags {
    bool fold, lines, dot_all; /* i, m, s */
};

struct parser {
    struct arena *arena;
    struct span pattern;
    size_t at;
    struct regex *regex;
    struct flags flags;
    int depth;
    struct error *err;
};

static enum status fail(struct parser *p, const char *what) {
    return error_set(p->err, STATUS_UNSUPPORTED, "pattern, at byte %zu: %s", p->at, what);
}

static bool more(const struct parser *p) {
    return p->at < p->pattern.size;
}

static bool next_is(const struct parser *p, const char *text) {
    size_t size = strlen(text);
    return p->pattern.size - p->at >= size &&
           memcmp(p->pattern.data + p->at, text, size) == 0;
}

static bool skip(struct parser *p, const char *text) {
    bool is = next_is(p, text);
    p->at += is ? strlen(text) : 0;
    return is;
}

static uint32_t take(struct parser *p) {
    size_t length;
    uint32_t c = regex_decode(p->pattern, p->at, &length);
    p->at += length;
    return c;
}

/* ---- steps ------------------------------------------------------------------------- */

static enum status add_step(struct parser *p, struct step step) {
    if (p->regex->step_count == REGEX_STEPS_MAX) {
        return fail(p, "the expression is too large");
    }
    p->regex->steps[p->regex->step_count++] = step;
    return STATUS_OK;
}

/* A step in front of those from `start` on. */
static enum status insert_step(struct parser *p, int start, struct step step) {
    enum status status = add_step(p, step);
    struct step *steps = p->regex->steps;
    if (status == STATUS_OK) {
        memmove(steps + start + 1, steps + start,
                (size_t)(p->regex->step_count - 1 - start) * sizeof(*steps));
        steps[start] = step;
    }
    return status;
}

static enum status add_range(struct parser *p, uint32_t low, uint32_t high) {
    if (p->regex->range_count == RANGES_MAX) {
        return fail(p, "the expression has too many classes");
    }
    p->regex->ranges[p->regex->range_count++] = (struct range){low, high};
    return STATUS_OK;
}

static bool is_letter(uint32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* With the flag i, ASCII letters of a range are added in their other case. */
static enum status add_folded(struct parser *p, uint32_t low, uint32_t high) {
    enum status status = add_range(p, low, high);
    for (uint32_t c = 'A'; status == STATUS_OK && p->flags.fold && c <= 'z'; c++) {
        if (is_letter(c) && c >= low && c <= high) {
            status = add_range(p, c ^ 0x20U, c ^ 0x20U);
        }
    }
    return status;
}

static enum status add_set(struct parser *p, int first_range, bool negated) {
    return add_step(p, (struct step){.kind = STEP_SET,
                                     .a = first_range,
                                     .b = p->regex->range_count - first_range,
                                     .negated = negated});
}

static enum status add_char(struct parser *p, uint32_t c) {
    int first = p->regex->range_count;
    enum status status = add_folded(p, c, c);
    return status == STATUS_OK ? add_set(p, first, false) : status;
}

/* ---- classes ----------------------------------------------------------------------- */

struct class {
    const char *name;
    struct range ranges[4];
};

static const struct class classes[] = {
    {"d", {{'0', '9'}}},
    {"s", {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}},
    {"w", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
    {"[:alnum:]", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
    {"[:alpha:]", {{'A', 'Z'}, {'a', 'z'}}},
    {"[:ascii:]", {{0, 0x7f}}},
    {"[:blank:]", {{'\t', '\t'}, {' ', ' '}}},
    {"[:cntrl:]", {{0, 0x1f}, {0x7f, 0x7f}}},
    {"[:digit:]", {{'0', '9'}}},
    {"[:graph:]", {{'!', '~'}}},
    {"[:lower:]", {{'a', 'z'}}},
    {"[:print:]", {{' ', '~'}}},
    {"[:punct:]", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
    {"[:space:]", {{'\t', '\r'}, {' ', ' '}}},
    {"[:upper:]", {{'A', 'Z'}}},
    {"[:word:]", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
    {"[:xdigit:]", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
};

/* The class's ranges, or what lies between them. */
static enum status add_class(struct parser *p, const struct class *class, bool negated) {
    uint32_t from = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < ARRAY_COUNT(class->ranges); i++) {
        struct range range = class->ranges[i];
        if (range.high == 0) {
            break; /* none begins and ends at 0 */
        }
        if (!negated) {
            status = add_folded(p, range.low, range.high);
        } else if (range.low > from) {
            status = add_range(p, from, range.low - 1);
        }
        from = range.high + 1;
    }
    return status == STATUS_OK && negated ? add_range(p, from, UINT32_MAX) : status;
}

/* The class of the letter behind a backslash, which may be a capital; or NULL. */
static const struct class *letter_class(uint8_t letter, bool *negated) {
    *negated = letter >= 'A' && letter <= 'Z';
    for (size_t i = 0; i < 3; i++) {
        if (classes[i].name[0] == (letter | 0x20)) {
            return &classes[i];
        }
    }
    return NULL;
}

static int hex_value(uint8_t c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Behind \x: two digits, or any number of them in braces. */
static enum status take_hex(struct parser *p, uint32_t *c) {
    bool braces = skip(p, "{");
    int digits = 0;
    for (*c = 0; more(p) && (braces || digits < 2); digits++, p->at++) {
        int value = hex_value(p->pattern.data[p->at]);
        if (value < 0 || *c > REGEX_CHAR_MAX) {
            break;
        }
        *c = *c * 16 + (uint32_t)value;
    }
    if (*c > REGEX_CHAR_MAX || digits < (braces ? 1 : 2) || (braces && !skip(p, "}"))) {
        return fail(p, "\\x needs two digits, or some in braces");
    }
    return STATUS_OK;
}

/* The one character that an escape stands for; `p` is behind the backslash. */
static enum status take_escape(struct parser *p, uint32_t *c) {
    static const char letters[] = "tnrfav", values[] = "\t\n\r\f\a\v";
    const char *found;
    if (!more(p)) {
        return fail(p, "a backslash at the end");
    }
    *c = take(p);
    if (*c == 'x') {
        return take_hex(p, c);
    }
    if (*c == '0') {
        *c = 0;
        return STATUS_OK;
    }
    found = *c < 0x80 && *c > 0 ? strchr(letters, (int)*c) : NULL;
    if (found != NULL) {
        *c = (uint32_t)values[found - letters];
        return STATUS_OK;
    }
    if (is_letter(*c) || (*c >= '1' && *c <= '9')) {
        return fail(p, "an escape that is not known");
    }
    return STATUS_OK;
}

/* An item of a class in brackets that is a class itself; *done tells whether it was. */
static enum status bracket_class(struct parser *p, bool *done) {
    bool negated = false;
    *done = true;
    for (size_t i = 3; next_is(p, "[:") && i < ARRAY_COUNT(classes); i++) {
        if (skip(p, classes[i].name)) {
            return add_class(p, &classes[i], false);
        }
    }
    if (next_is(p, "[:")) {
        return fail(p, "a class that is not known");
    }
    if (next_is(p, "\\") && p->pattern.size - p->at > 1) {
        const struct class *class = letter_class(p->pattern.data[p->at + 1], &negated);
        if (class != NULL) {
            p->at += 2;
            return add_class(p, class, negated);
        }
    }
    *done = false;
    return STATUS_OK;
}

static enum status bracket_char(struct parser *p, uint32_t *c) {
    if (skip(p, "\\")) {
        return take_escape(p, c);
    }
    *c = take(p);
    return STATUS_OK;
}

/* Behind the opening bracket. */
static enum status take_brackets(struct parser *p) {
    int first = p->regex->range_count;
    bool negated = skip(p, "^"), begun = false;
    enum status status = STATUS_OK;
    for (; more(p) && (!begun || !next_is(p, "]")); begun = true) {
        uint32_t low = 0, high;
        bool done;
        status = bracket_class(p, &done);
        if (status == STATUS_OK && !done) {
            status = bracket_char(p, &low);
            high = low;
            if (status == STATUS_OK && next_is(p, "-") && p->pattern.size - p->at > 1 &&
                p->pattern.data[p->at + 1] != ']') {
                p->at++;
                status = bracket_char(p, &high);
            }
            if (status == STATUS_OK) {
                status = high < low ? fail(p, "a range that ends before it begins")
                                    : add_folded(p, low, high);
            }
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return skip(p, "]") ? add_set(p, first, negated) : fail(p, "a bracket is not closed");
}

/* ---- expressions ------------------------------------------------------------------- */

static enum status take_choice(struct parser *p);

/* Flags as in (?i-s:...) and (?i); *whole: they hold to the end of the group around. */
static enum status take_flags(struct parser *p, bool *whole) {
    bool on = true;
    for (; more(p); p->at++) {
        uint8_t c = p->pattern.data[p->at];
        if (c == '-' && on) {
            on = false;
        } else if (c == 'i') {
            p->flags.fold = on;
        } else if (c == 'm') {
            p->flags.lines = on;
        } else if (c == 's') {
            p->flags.dot_all = on;
        } else if (c == ':' || c == ')') {
            *whole = c == ')';
            p->at++;
            return STATUS_OK;
        } else if (c != 'U') { /* which of equal matches wins does not matter here */
            break;
        }
    }
    return fail(p, "a flag that is not known");
}

/* Behind the opening parenthesis. */
static enum status take_group(struct parser *p) {
    struct flags outside = p->flags;
    enum status status = STATUS_OK;
    bool whole = false;
    if (skip(p, "?P<") || skip(p, "?<")) {
        while (more(p) && !next_is(p, ">")) {
            p->at++;
        }
        status = skip(p, ">") ? STATUS_OK : fail(p, "a name is not closed");
    } else if (skip(p, "?")) {
        status = take_flags(p, &whole);
    }
    if (status != STATUS_OK || whole) {
        return status;
    }
    if (p->depth == DEPTH_MAX) {
        return fail(p, "too many groups in each other");
    }
    p->depth++;
    status = take_choice(p);
    p->depth--;
    p->flags = outside;
    if (status == STATUS_OK && !skip(p, ")")) {
        status = fail(p, "a group is not closed");
    }
    return status;
}

/* \Q...\E: what is between stands for itself. */
static enum status take_quoted(struct parser *p) {
    enum status status = STATUS_OK;
    while (status == STATUS_OK && more(p) && !skip(p, "\\E")) {
        status = add_char(p, take(p));
    }
    return status;
}

/* Behind the backslash. */
static enum status take_escaped(struct parser *p) {
    static const struct {
        const char *text;
        enum step_kind kind;
    } edges[] = {{"b", STEP_WORD_EDGE},
                 {"B", STEP_NO_WORD_EDGE},
                 {"A", STEP_BEGIN},
                 {"z", STEP_END}};
    const struct class *class;
    bool negated;
    uint32_t c = 0;
    enum status status;
    for (size_t i = 0; i < ARRAY_COUNT(edges); i++) {
        if (skip(p, edges[i].text)) {
            return add_step(p, (struct step){.kind = edges[i].kind});
        }
    }
    if (skip(p, "Q")) {
        return take_quoted(p);
    }
    class = more(p) ? letter_class(p->pattern.data[p->at], &negated) : NULL;
    if (class != NULL) {
        int first = p->regex->range_count;
        p->at++;
        status = add_class(p, class, negated);
        return status == STATUS_OK ? add_set(p, first, false) : status;
    }
    status = take_escape(p, &c);
    return status == STATUS_OK ? add_char(p, c) : status;
}

static enum status take_dot(struct parser *p) {
    int first = p->regex->range_count;
    enum status status = STATUS_OK;
    if (!p->flags.dot_all) {
        status = add_range(p, '\n', '\n');
    }
    return status == STATUS_OK ? add_set(p, first, true) : status;
}

static enum status take_atom(struct parser *p) {
    if (skip(p, "(")) {
        return take_group(p);
    }
    if (skip(p, "[")) {
        return take_brackets(p);
    }
    if (skip(p, "\\")) {
        return take_escaped(p);
    }
    if (skip(p, ".")) {
        return take_dot(p);
    }
    if (skip(p, "^")) {
        return add_step(
            p, (struct step){.kind = p->flags.lines ? STEP_LINE_BEGIN : STEP_BEGIN});
    }
    if (skip(p, "$")) {
        return add_step(p,
                        (struct step){.kind = p->flags.lines ? STEP_LINE_END : STEP_END});
    }
    if (next_is(p, "*") || next_is(p, "+") || next_is(p, "?")) {
        return fail(p, "nothing to repeat");
    }
    return add_char(p, take(p));
}

/* ---- repetition -------------------------------------------------------------------- */

static int take_number(struct parser *p) {
    int value = -1;
    while (more(p) && p->pattern.data[p->at] >= '0' && p->pattern.data[p->at] <= '9') {
        value = (value < 0 ? 0 : value) * 10 + (p->pattern.data[p->at++] - '0');
        value = value > REPEAT_MAX ? REPEAT_MAX + 1 : value;
    }
    return value;
}

/* {n}, {n,} and {n,m}; anything else in braces is itself, and `p` stays. */
static bool take_bounds(struct parser *p, int *low, int *high) {
    size_t start = p->at;
    bool is = skip(p, "{");
    *low = is ? take_number(p) : -1;
    *high = *low;
    if (*low >= 0 && skip(p, ",")) {
        *high = next_is(p, "}") ? -1 : take_number(p);
        is = *high >= 0 || next_is(p, "}");
    }
    is = is && *low >= 0 && skip(p, "}");
    p->at = is ? p->at : start;
    return is;
}

/* A copy of the piece behind all others; with `optional` it may be passed over. */
static enum status add_copy(struct parser *p, const struct step *piece, int length,
                            bool optional) {
    enum status status = STATUS_OK;
    if (optional) {
        status = add_step(p, (struct step){.kind = STEP_SPLIT, .a = 1, .b = length + 1});
    }
    for (int i = 0; status == STATUS_OK && i < length; i++) {
        status = add_step(p, piece[i]);
    }
    return status;
}

/* The piece from `start` on, as often as it is allowed; high -1: without end. */
static enum status repeat(struct parser *p, int start, int low, int high) {
    int length = p->regex->step_count - start;
    struct step *piece;
    enum status status = STATUS_OK;
    if (low > REPEAT_MAX || high > REPEAT_MAX || (high >= 0 && high < low)) {
        return fail(p, "a repetition out of range");
    }
    piece = arena_alloc(p->arena, (size_t)length + 1, sizeof(*piece));
    if (piece == NULL) {
        return error_set(p->err, STATUS_NO_MEMORY, "out of memory");
    }
    memcpy(piece, p->regex->steps + start, (size_t)length * sizeof(*piece));
    p->regex->step_count = start;
    for (int i = 0; status == STATUS_OK && i < low; i++) {
        status = add_copy(p, piece, length, false);
    }
    for (int i = low; status == STATUS_OK && i < high; i++) {
        status = add_copy(p, piece, length, true);
    }
    if (status != STATUS_OK || high >= 0) {
        return status;
    }
    status = add_step(p, (struct step){.kind = STEP_SPLIT, .a = 1, .b = length + 2});
    if (status == STATUS_OK) {
        status = add_copy(p, piece, length, false);
    }
    return status == STATUS_OK
               ? add_step(p, (struct step){.kind = STEP_JUMP, .a = -(length + 1)})
               : status;
}

static enum status take_repeated(struct parser *p) {
    int start = p->regex->step_count, low = 1, high = 1;
    enum status status = take_atom(p);
    while (status == STATUS_OK) {
        if (next_is(p, "*") || next_is(p, "+") || next_is(p, "?")) {
            low = next_is(p, "+") ? 1 : 0;
            high = next_is(p, "?") ? 1 : -1;
            p->at++;
        } else if (!take_bounds(p, &low, &high)) {
            return STATUS_OK;
        }
        (void)skip(p, "?"); /* lazy or not, the same texts match as a whole */
        status = repeat(p, start, low, high);
    }
    return status;
}

/* Alternatives: each ends in a jump over those behind it, chained by `b` until its aim is
 * known. */
static enum status take_choice(struct parser *p) {
    int start = p->regex->step_count, chain = -1;
    enum status status = STATUS_OK;
    for (;;) {
        while (status == STATUS_OK && more(p) && !next_is(p, "|") && !next_is(p, ")")) {
            status = take_repeated(p);
        }
        if (status != STATUS_OK || !skip(p, "|")) {
            break;
        }
        status = insert_step(p, start,
                             (struct step){.kind = STEP_SPLIT,
                                           .a = 1,
                                           .b = p->regex->step_count - start + 2});
        if (status == STATUS_OK) {
            status = add_step(p, (struct step){.kind = STEP_JUMP, .b = chain});
            chain = p->regex->step_count - 1;
        }
        start = p->regex->step_count;
    }
    while (status == STATUS_OK && chain >= 0) {
        struct step *jump = &p->regex->steps[chain];
        int next = jump->b;
        jump->a = p->regex->step_count - chain;
        jump->b = 0;
        chain = next;
    }
    return status;
}

enum status regex_compile(struct arena *arena, struct span pattern,
                          const struct regex **out, struct error *err) {
    struct regex *regex = arena_alloc(arena, 1, sizeof(*regex));
    struct step *steps = arena_alloc(arena, REGEX_STEPS_MAX, sizeof(*steps));
    struct range *ranges = arena_alloc(arena, RANGES_MAX, sizeof(*ranges));
    struct parser p = {.arena = arena, .pattern = pattern, .regex = regex, .err = err};
    enum status status;
    if (regex == NULL || steps == NULL || ranges == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    *regex = (struct regex){.steps = steps, .ranges = ranges};
    status = take_choice(&p);
    if (status == STATUS_OK && more(&p)) {
        status = fail(&p, "a group is closed that was not opened");
    }
    if (status == STATUS_OK) {
        status = add_step(&p, (struct step){.kind = STEP_MATCH});
    }
    *out = regex;
    return status;
}
