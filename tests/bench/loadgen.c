/* loadgen.c - makes load for a worker and measures its answers. See usage below. */
#include "tests/bench/loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: loadgen COMMAND --bootstrap B --topic T [OPTION]...\n"
    "  create    make the topic\n"
    "      --partitions N (default 4), --replication N (default 1),\n"
    "      --config K=V of the topic, may be repeated\n"
    "  drop      delete the topic; it is no error if there is none\n"
    "  fill      send --count jobs as fast as it can, ids \"SEQ-0\"\n"
    "  paced     send --rate jobs a second for --seconds, ids \"SEQ-TIME\", TIME being "
    "the\n"
    "            wall clock in microseconds at which the job was due\n"
    "      --input FILE.npy   rows [n, ...], sent in turn\n"
    "      --input-name NAME  of the tensor (default empty: the model's only input)\n"
    "      --model NAME       (default empty: the route's model)\n"
    "      --records          not jobs but bare records: the id, and a field for each\n"
    "                         float of the row\n"
    "  measure   read committed results from the topic's start and print what they show\n"
    "      --count N          until so many different jobs are answered\n"
    "      --to-end           until the topic's end\n"
    "      --skip-seconds S   leave the first S seconds out of rates and latencies (out "
    "of\n"
    "                         rates the first third, if that is less)\n"
    "      --timeout S        give up after S seconds without a result (default 60)\n"
    "  wait      wait for a consumer --group of the topic\n"
    "      --assigned         until a member has partitions\n"
    "      --count N          until so many records are committed as consumed\n"
    "      --timeout S        give up after S seconds (default 60)\n"
    "  --set K=V  a librdkafka property\n"
    "Each prints one line of JSON. Exit code 0, 1 failed or gave up, 2 used wrongly.\n";

static const struct command {
    const char *name;
    int (*run)(const struct load_options *options);
} commands[] = {
    {"create", load_create_topic}, {"drop", load_drop_topic}, {"fill", load_fill},
    {"paced", load_paced},         {"measure", load_measure}, {"wait", load_wait},
};

/* Takes a text or number option; false if there is none of that name. */
static bool set_option(struct load_options *o, const char *name, const char *value) {
    const struct {
        const char *name;
        const char **text;
    } texts[] = {
        {"--bootstrap", &o->bootstrap}, {"--topic", &o->topic},
        {"--group", &o->group},         {"--input", &o->input_path},
        {"--model", &o->model},         {"--input-name", &o->input_name},
    };
    const struct {
        const char *name;
        int64_t *number;
        int64_t least;
    } numbers[] = {
        {"--partitions", &o->partitions, 1},
        {"--replication", &o->replication, 1},
        {"--count", &o->count, 1},
        {"--rate", &o->rate, 1},
        {"--seconds", &o->seconds, 1},
        {"--skip-seconds", &o->skip_seconds, 0},
        {"--timeout", &o->timeout_seconds, 1},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].text = value;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].number = parse_number(name, value, numbers[i].least);
            return true;
        }
    }
    if (strcmp(name, "--set") == 0) {
        properties_add(&o->properties, value);
    } else if (strcmp(name, "--config") == 0) {
        properties_add(&o->topic_config, value);
    } else {
        return false;
    }
    return true;
}

static struct load_options parse(int argc, char **argv) {
    struct load_options o = {.input_name = "",
                             .model = "",
                             .partitions = 4,
                             .replication = 1,
                             .timeout_seconds = 60};

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        } else if (strcmp(argv[i], "--to-end") == 0) {
            o.to_end = true;
        } else if (strcmp(argv[i], "--records") == 0) {
            o.records = true;
        } else if (strcmp(argv[i], "--assigned") == 0) {
            o.assigned = true;
        } else if (i + 1 == argc || !set_option(&o, argv[i], argv[i + 1])) {
            misuse("%s: unknown option, or no value\n%s", argv[i], usage);
        } else {
            i++;
        }
    }
    if (o.bootstrap == NULL || o.topic == NULL) {
        misuse("--bootstrap and --topic are needed\n%s", usage);
    }
    return o;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            struct load_options options = parse(argc, argv);
            stop_on_signals();
            return commands[i].run(&options);
        }
    }
    misuse("which command?\n%s", usage);
}
