/* man_pages.c - what stands on the pages: see man.h. */
#include <stdlib.h>

#include "config/config.h"
#include "tools/man.h"
#include "tools/roff.h"

static void print_ending(void *opaque, const struct cli_ending *ending) {
    (void)opaque;
    printf(".TP\n\\fB%d\\fR\n", ending->code);
    roff_text(ending->when);
}

static void print_endings(const struct cli_command *command) {
    puts(".SH EXIT STATUS");
    cli_each_ending(command, print_ending, NULL);
}

void man_name(const struct cli_command *command, char *name, size_t size) {
    (void)snprintf(name, size, "millrace-%s", command->name);
    for (char *c = name; *c != 0; c++) {
        *c = *c == ' ' ? '-' : *c;
    }
}

/* ---- a command ----------------------------------------------------------------------
 */

/* On a line of their own: what --help puts in brackets. */
static void print_facts(const struct cli_flag *flag) {
    bool limited = flag->min < flag->max;
    char text[64];
    if (flag->required || limited || flag->type == CLI_LIST || flag->initial != NULL) {
        puts(".br");
    }
    if (flag->required) {
        puts("Needed.");
    }
    if (flag->type == CLI_LIST) {
        puts("May be given again.");
    }
    if (limited) {
        (void)snprintf(text, sizeof(text), "From %.15g to %.15g.", flag->min, flag->max);
        roff_text(text);
    }
    if (flag->initial != NULL) {
        fputs("Default: ", stdout);
        roff_font('B', flag->initial);
        putchar('\n');
    }
}

static void print_flag(const struct cli_flag *flag) {
    puts(".TP");
    roff_font('B', flag->name);
    if (flag->argument != NULL) {
        putchar(' ');
        roff_font('I', flag->argument);
    }
    putchar('\n');
    roff_text(flag->help);
    print_facts(flag);
}

void man_command(const struct cli_command *command) {
    static const struct cli_flag help = {.name = "--help",
                                         .help = "The flags, in short."};
    char name[MAN_NAME_MAX];
    man_name(command, name, sizeof(name));
    roff_title(name, 1);
    roff_summary(name, command->summary);
    printf(".SH SYNOPSIS\n\\fBmillrace %s\\fR", command->name);
    if (command->flag_count > 0) {
        fputs(" [\\fIFLAG\\fR]...", stdout);
    }
    if (command->operands[0] != 0) {
        putchar(' ');
        roff_font('I', command->operands);
    }
    puts("\n.SH DESCRIPTION");
    roff_text(command->summary);
    if (command->details != NULL) {
        puts(".PP");
        roff_text(command->details);
    }
    puts(".SH OPTIONS\nFlags may stand between the operands; \\fB\\-\\-\\fR ends them. "
         "\\fB\\-\\-name=value\\fR is the\nsame as \\fB\\-\\-name value\\fR.");
    for (size_t i = 0; i < command->flag_count; i++) {
        print_flag(&command->flags[i]);
    }
    print_flag(&help);
    print_endings(command);
    puts(".SH SEE ALSO\n.BR millrace (1),\n.BR millrace.conf (5)");
}

/* ---- the program --------------------------------------------------------------------
 */

static void print_command(void *opaque, const struct cli_command *command) {
    char name[MAN_NAME_MAX];
    (void)opaque;
    man_name(command, name, sizeof(name));
    puts(".TP");
    roff_font('B', name);
    puts("(1)");
    roff_text(command->summary);
}

void man_program(const struct cli_group *group) {
    roff_title("millrace", 1);
    roff_summary("millrace", group->summary);
    puts(".SH SYNOPSIS\n\\fBmillrace\\fR \\fICOMMAND\\fR [\\fIFLAG\\fR]... "
         "[\\fIARGUMENT\\fR]...\n.br\n\\fBmillrace\\fR \\fICOMMAND\\fR "
         "\\fB\\-\\-help\\fR\n"
         ".SH DESCRIPTION\n"
         "Millrace consumes jobs or records in Avro from Kafka, groups them into small\n"
         "batches, runs them through ONNX models on the CPU, and publishes the answers "
         "and\n"
         "the consumed offsets in one transaction.\n"
         ".SH COMMANDS\nEach has a page of its own.");
    cli_each(group, print_command, NULL);
    print_endings(NULL);
    puts(".PP\nThe page of a command has more words, and codes of its own.\n"
         ".SH ENVIRONMENT\n.TP\n\\fBMILLRACE_KAFKA_BOOTSTRAP_SERVERS\\fR\n"
         "The brokers, where \\fB\\-\\-bootstrap\\fR is not given.\n"
         ".TP\n\\fBMILLRACE_\\fISECTION\\fB_\\fIKEY\\fR\n"
         "A setting of the worker, see\n.BR millrace.conf (5).\n"
         ".SH SEE ALSO\n.BR millrace.conf (5)");
}

/* ---- the settings -------------------------------------------------------------------
 */

bool man_settings(void) {
    char *reference = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&reference, &size);
    if (to == NULL) {
        return false;
    }
    config_reference(to);
    if (fclose(to) != 0) {
        free(reference);
        return false;
    }
    roff_title("millrace.conf", 5);
    roff_summary("millrace.conf", "The configuration of a worker.");
    puts(".SH DESCRIPTION");
    roff_markdown(reference);
    puts(".SH SEE ALSO\n.BR millrace\\-worker (1),\n.BR millrace\\-check\\-config (1),\n"
         ".BR millrace (1)");
    free(reference);
    return true;
}
