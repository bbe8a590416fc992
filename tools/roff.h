/* roff.h - text for manual pages.
 *
 * Depends on: nothing.  Ownership: nothing is kept.  Threads: main thread only. */
#ifndef MILLRACE_TOOLS_ROFF_H
#define MILLRACE_TOOLS_ROFF_H

/* Prints text so that roff takes none of it for its own; what stands between two `s is
 * bold, and lines that begin with a blank are shown as they are. */
void roff_text(const char *text);

/* The same within a font: 'B' bold, 'I' italic. */
void roff_font(char font, const char *text);

/* The same of Markdown: headings, tables, text, and examples, which are indented.  A row
 * becomes an entry of its first cell, what its last says, and the others behind that. The
 * title is left out. */
void roff_markdown(const char *text);

/* The first line of a page: ".TH". */
void roff_title(const char *name, int section);

/* One line of the NAME section: without the full stop, and begun small. */
void roff_summary(const char *name, const char *summary);

#endif
