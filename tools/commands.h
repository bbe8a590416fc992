/* commands.h - the commands that worker/main.c lists.
 *
 * Each takes its own name as argv[0] and returns the process's exit code: 0 fine,
 * 1 failed, 2 used wrongly.
 *
 * Depends on: nothing.  Threads: main thread only. */
#ifndef MILLRACE_TOOLS_COMMANDS_H
#define MILLRACE_TOOLS_COMMANDS_H

int worker_command(int argc, char **argv);
int submit_command(int argc, char **argv);
int collect_command(int argc, char **argv);
int broker_command(int argc, char **argv);
int registry_command(int argc, char **argv);
int topics_command(int argc, char **argv);
int schema_command(int argc, char **argv);
int dlq_command(int argc, char **argv); /* dispatches by itself */

int model_command(int argc, char **argv); /* dispatches to those below */
int model_inspect_command(int argc, char **argv);
int model_run_command(int argc, char **argv);
int model_test_command(int argc, char **argv);
int model_bench_command(int argc, char **argv);

#endif
