/* roff_markdown.c - see roff.h: the little of Markdown that our references use. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tools/roff.h"

#define CELLS_MAX 8
#define LINE_MAX_BYTES 4096 /* longer lines are cut */

struct table {
    char head[LINE_MAX_BYTES]; /* the texts of `titles` */
    char *titles[CELLS_MAX];
    int count; /* 0 outside of a table */
};

/* Cuts "| a | b |" into its cells; returns how many. */
static int split(char *line, char *cells[CELLS_MAX]) {
    int count = 0;
    char *at = line + strspn(line, "| ");
    while (*at != 0 && count < CELLS_MAX) {
        char *end = strstr(at, " |");
        cells[count++] = at;
        if (end == NULL) {
            break;
        }
        *end = 0;
        at = end + 2 + strspn(end + 2, " ");
    }
    return count;
}

static void print_row(const struct table *table, char *line) {
    char *cells[CELLS_MAX];
    int count = split(line, cells);
    if (count == 0) {
        return;
    }
    puts(".TP");
    roff_text(cells[0]);
    roff_text(cells[count - 1]);
    for (int i = 1; i + 1 < count && i < table->count; i++) {
        printf(".br\n%c", toupper((unsigned char)table->titles[i][0]));
        printf("%s: ", table->titles[i] + 1);
        roff_text(cells[i]);
    }
}

static void take_row(struct table *table, char *line) {
    if (strncmp(line, "|---", 4) == 0) {
        return;
    }
    if (table->count > 0) {
        print_row(table, line);
        return;
    }
    (void)snprintf(table->head, sizeof(table->head), "%s", line);
    table->count = split(table->head, table->titles);
}

static void print_heading(const char *line) {
    size_t level = strspn(line, "#");
    const char *text = line + level + strspn(line + level, " ");
    if (level < 2) {
        return; /* the page has its own */
    }
    fputs(level == 2 ? ".SH " : ".SS ", stdout);
    for (; *text != 0; text++) {
        putchar(level == 2 ? toupper((unsigned char)*text) : *text);
    }
    putchar('\n');
}

static void set_example(bool *example, bool now) {
    if (*example != now) {
        puts(now ? ".nf" : ".fi");
        *example = now;
    }
}

void roff_markdown(const char *text) {
    struct table table = {.count = 0};
    bool example = false, paragraph = false, headed = true;
    char line[LINE_MAX_BYTES];
    while (*text != 0) {
        size_t size = strcspn(text, "\n");
        (void)snprintf(line, sizeof(line), "%.*s", (int)size, text);
        text += size;
        text += *text == '\n';
        if (line[0] != '|') {
            table.count = 0;
        }
        if (line[0] == 0) {
            paragraph = !headed;
            continue;
        }
        set_example(&example, strncmp(line, "    ", 4) == 0);
        if (paragraph && line[0] != '#' && line[0] != '|') {
            puts(".PP");
        }
        paragraph = false;
        headed = line[0] == '#';
        if (headed) {
            print_heading(line);
        } else if (line[0] == '|') {
            take_row(&table, line);
        } else {
            roff_text(line + (example ? 4 : 0));
        }
    }
    set_example(&example, false);
}
