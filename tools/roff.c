/* roff.c - see roff.h. */
#include "tools/roff.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "app/worker.h"

/* One line; `bold` goes on from line to line. */
static void print_line(const char *line, size_t size, bool *bold) {
    if (size > 0 && (line[0] == '.' || line[0] == '\'')) {
        fputs("\\&", stdout); /* it would be a request */
    }
    for (size_t i = 0; i < size; i++) {
        switch (line[i]) {
        case '`':
            *bold = !*bold;
            fputs(*bold ? "\\fB" : "\\fR", stdout);
            break;
        case '\\':
            fputs("\\e", stdout);
            break;
        case '-':
            fputs("\\-", stdout); /* plain, or it would be a hyphen */
            break;
        case '\'':
            fputs("\\(aq", stdout);
            break;
        default:
            putchar(line[i]);
        }
    }
}

void roff_text(const char *text) {
    bool bold = false, as_is = false;
    while (*text != 0) {
        size_t size = strcspn(text, "\n");
        bool indented = size > 0 && text[0] == ' ';
        if (indented != as_is) {
            puts(indented ? ".nf" : ".fi");
            as_is = indented;
        }
        if (size == 0) {
            fputs(".PP", stdout);
        }
        print_line(text, size, &bold);
        text += size;
        text += *text == '\n';
        putchar('\n');
    }
    if (as_is) {
        puts(".fi");
    }
}

void roff_font(char font, const char *text) {
    bool bold = false;
    printf("\\f%c", font);
    print_line(text, strlen(text), &bold);
    fputs("\\fR", stdout);
}

void roff_title(const char *name, int section) {
    fputs(".TH ", stdout);
    for (const char *c = name; *c != 0; c++) {
        if (*c == '-') {
            putchar('\\');
        }
        putchar(toupper((unsigned char)*c));
    }
    printf(" %d \"\" \"millrace %s\" \"Millrace\"\n", section, WORKER_VERSION);
}

void roff_summary(const char *name, const char *summary) {
    bool bold = false;
    size_t size = strlen(summary);
    puts(".SH NAME");
    print_line(name, strlen(name), &bold);
    printf(" \\- %c", tolower((unsigned char)summary[0]));
    print_line(summary + 1, size - 1 - (summary[size - 1] == '.'), &bold);
    putchar('\n');
}
