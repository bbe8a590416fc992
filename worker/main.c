/* main.c - one program, many commands: see tools/commands.c. */
#include <stdio.h>
#include <string.h>

#include "tools/commands.h"

static int dispatch(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        return version_cli.run(1, argv);
    }
    return cli_dispatch(&commands, argc, argv);
}

int main(int argc, char **argv) {
    int code = dispatch(argc, argv);
    /* Output that a full disk has swallowed was not given. */
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr, "millrace: cannot write to standard output\n");
        return code == EXIT_FINE ? EXIT_FAILED : code;
    }
    return code;
}
