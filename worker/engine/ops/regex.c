/* regex.c - see regex.h; the machine. */
#include "engine/ops/regex_impl.h"

#include <string.h>

uint32_t regex_decode(struct span text, size_t at, size_t *length) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first = text.data[at];
    size_t more = first >= 0xf0 && first < 0xf8   ? 3
                  : first >= 0xe0 && first < 0xf0 ? 2
                  : first >= 0xc2 && first < 0xe0 ? 1
                                                  : 0;
    uint32_t code = first & (0x3fU >> more);
    *length = 1;
    if (first < 0x80) {
        return first;
    }
    if (more == 0 || more >= text.size - at) {
        return REGEX_CHAR_MAX + 1 + first;
    }
    for (size_t i = 1; i <= more; i++) {
        if ((text.data[at + i] & 0xc0) != 0x80) {
            return REGEX_CHAR_MAX + 1 + first;
        }
        code = code << 6 | (text.data[at + i] & 0x3f);
    }
    if (code < least[more] || code > REGEX_CHAR_MAX) {
        return REGEX_CHAR_MAX + 1 + first;
    }
    *length = more + 1;
    return code;
}

/* ---- the machine ------------------------------------------------------------------- */

/* States the machine is in: a list, and where in it each step is, so that none is twice.
 */
struct states {
    int count;
    int *list, *place;
};

struct machine {
    const struct regex *regex;
    struct span text;
    struct states now, next;
    int *stack;
};

size_t regex_scratch_size(const struct regex *regex) {
    return 6 * ((size_t)regex->step_count + 1) * sizeof(int);
}

static bool is_in(const struct states *states, int step) {
    int place = states->place[step];
    return place >= 0 && place < states->count && states->list[place] == step;
}

static bool is_word(struct span text, size_t at) {
    uint8_t c = at < text.size ? text.data[at] : ' ';
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           c == '_';
}

static bool holds(const struct machine *machine, enum step_kind kind, size_t at) {
    struct span text = machine->text;
    bool before = at > 0 && is_word(text, at - 1), after = is_word(text, at);
    switch (kind) {
    case STEP_BEGIN:
        return at == 0;
    case STEP_END:
        return at == text.size;
    case STEP_LINE_BEGIN:
        return at == 0 || text.data[at - 1] == '\n';
    case STEP_LINE_END:
        return at == text.size || text.data[at] == '\n';
    case STEP_WORD_EDGE:
        return before != after;
    case STEP_NO_WORD_EDGE:
        return before == after;
    case STEP_SET:
    case STEP_SPLIT:
    case STEP_JUMP:
    case STEP_MATCH:
        break;
    }
    return false;
}

/* Enters `step` and all that is reached from it without a character. */
static void enter(struct machine *machine, struct states *states, int step, size_t at) {
    int depth = 0;
    machine->stack[depth++] = step;
    while (depth > 0) {
        const struct step *s;
        step = machine->stack[--depth];
        if (is_in(states, step)) {
            continue;
        }
        states->place[step] = states->count;
        states->list[states->count++] = step;
        s = &machine->regex->steps[step];
        if (s->kind == STEP_JUMP) {
            machine->stack[depth++] = step + s->a;
        } else if (s->kind == STEP_SPLIT) {
            machine->stack[depth++] = step + s->a;
            machine->stack[depth++] = step + s->b;
        } else if (holds(machine, s->kind, at)) {
            machine->stack[depth++] = step + 1;
        }
    }
}

static bool set_has(const struct regex *regex, const struct step *step, uint32_t c) {
    for (int i = 0; i < step->b; i++) {
        const struct range *range = &regex->ranges[step->a + i];
        if (c >= range->low && c <= range->high) {
            return !step->negated;
        }
    }
    return step->negated;
}

static struct machine machine_of(const struct regex *regex, struct span text,
                                 int *memory) {
    size_t room = (size_t)regex->step_count;
    memset(memory, 0, 4 * room * sizeof(*memory));
    return (struct machine){
        .regex = regex,
        .text = text,
        .now = {.list = memory, .place = memory + room},
        .next = {.list = memory + 2 * room, .place = memory + 3 * room},
        .stack = memory + 4 * room, /* twice: each step puts two there at most once */
    };
}

bool regex_matches(const struct regex *regex, struct span text, void *scratch) {
    struct machine machine = machine_of(regex, text, scratch);
    size_t length;
    enter(&machine, &machine.now, 0, 0);
    for (size_t at = 0; at < text.size && machine.now.count > 0; at += length) {
        uint32_t c = regex_decode(text, at, &length);
        struct states swap = machine.now;
        machine.next.count = 0;
        for (int i = 0; i < machine.now.count; i++) {
            const struct step *step = &regex->steps[machine.now.list[i]];
            if (step->kind == STEP_SET && set_has(regex, step, c)) {
                enter(&machine, &machine.next, machine.now.list[i] + 1, at + length);
            }
        }
        machine.now = machine.next;
        machine.next = swap;
    }
    return is_in(&machine.now, regex->step_count - 1); /* the match is the last step */
}

/* ---- matches inside a text --------------------------------------------------------- */

size_t regex_find_size(const struct regex *regex) {
    return REGEX_FIND_SIZE((size_t)regex->step_count);
}

/* As enter; the states that are new belong to a match that began at `begin`. */
static void enter_from(struct machine *machine, struct states *states, size_t *begins,
                       int step, size_t at, size_t begin) {
    int first = states->count;
    enter(machine, states, step, at);
    for (int i = first; i < states->count; i++) {
        begins[i] = begin;
    }
}

/* One character: from the states that are now, of matches that began no later than
 * `last`, to the next. */
static void advance(struct machine *machine, const size_t *begins, size_t *next_begins,
                    size_t last, size_t at, size_t *length) {
    uint32_t c = regex_decode(machine->text, at, length);
    machine->next.count = 0;
    for (int i = 0; i < machine->now.count; i++) {
        const struct step *step = &machine->regex->steps[machine->now.list[i]];
        if (begins[i] <= last && step->kind == STEP_SET &&
            set_has(machine->regex, step, c)) {
            enter_from(machine, &machine->next, next_begins, machine->now.list[i] + 1,
                       at + *length, begins[i]);
        }
    }
}

/* States are kept in the order of where their matches began, so the first to get to a
 * step is the leftmost. */
bool regex_find(const struct regex *regex, struct span text, size_t from, size_t *begin,
                size_t *end, void *scratch) {
    size_t room = (size_t)regex->step_count + 1, length = 1;
    size_t *begins = scratch, *next_begins = begins + room;
    struct machine machine = machine_of(regex, text, (int *)(next_begins + room));
    int match = regex->step_count - 1; /* the last step */
    bool found = false;
    for (size_t at = from;; at += length) {
        struct states swap;
        size_t *swap_begins = begins;
        if (!found) {
            enter_from(&machine, &machine.now, begins, 0, at, at);
        }
        if (is_in(&machine.now, match)) {
            size_t began = begins[machine.now.place[match]];
            if (!found || began <= *begin) {
                *begin = began;
                *end = at;
                found = true;
            }
        }
        if (at >= text.size || (found && machine.now.count == 0)) {
            return found;
        }
        swap = machine.now;
        advance(&machine, begins, next_begins, found ? *begin : at, at, &length);
        machine.now = machine.next;
        machine.next = swap;
        begins = next_begins;
        next_begins = swap_begins;
    }
}
