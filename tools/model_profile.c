/* model_profile.c - see model_profile.h. */
#include "tools/model_profile.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/size.h"

#define NODES_SHOWN 20

/* One line of a table: a node, or all nodes of an operator. */
struct line {
    const char *type;
    int node;  /* the node, or the operator's first */
    int count; /* nodes */
    int64_t ns;
};

static void on_node(void *context, int node) {
    struct profile *profile = context;
    int64_t now_ns = clock_now_ns();
    profile->node_ns[node] += now_ns - profile->last_ns;
    profile->last_ns = now_ns;
}

enum status profile_open(struct profile *profile, struct session *session,
                         struct error *err) {
    size_t count = (size_t)session_node_count(session) + 1;
    *profile =
        (struct profile){.session = session, .node_ns = calloc(count, sizeof(int64_t))};
    if (profile->node_ns == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a profile");
    }
    session_watch(session, on_node, profile);
    return STATUS_OK;
}

void profile_start(struct profile *profile) {
    profile->runs++;
    profile->last_ns = clock_now_ns();
}

void profile_close(struct profile *profile) {
    if (profile->session != NULL) {
        session_watch(profile->session, NULL, NULL);
    }
    free(profile->node_ns);
    *profile = (struct profile){.session = NULL};
}

/* ---- tables ----------------------------------------------------------------------- */

static int slowest_first(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    return x->ns != y->ns ? (x->ns < y->ns) - (x->ns > y->ns)
                          : (x->node > y->node) - (x->node < y->node);
}

/* A line for each node that was computed; returns how many. */
static int list_nodes(const struct profile *profile, struct line *lines) {
    int count = 0;
    for (int n = 0; n < session_node_count(profile->session); n++) {
        if (profile->node_ns[n] > 0) {
            lines[count] = (struct line){.type = session_node(profile->session, n).type,
                                         .node = n,
                                         .count = 1,
                                         .ns = profile->node_ns[n]};
            count++;
        }
    }
    qsort(lines, (size_t)count, sizeof(*lines), slowest_first);
    return count;
}

/* Nodes to operators. */
static int list_operators(const struct line *nodes, int node_count, struct line *lines) {
    int count = 0;
    for (int i = 0; i < node_count; i++) {
        int at = 0;
        while (at < count && strcmp(lines[at].type, nodes[i].type) != 0) {
            at++;
        }
        if (at == count) {
            lines[count++] = (struct line){.type = nodes[i].type, .node = nodes[i].node};
        }
        lines[at].count++;
        lines[at].ns += nodes[i].ns;
    }
    qsort(lines, (size_t)count, sizeof(*lines), slowest_first);
    return count;
}

static double per_run_us(const struct profile *profile, int64_t ns) {
    return (double)ns / 1e3 / (double)(profile->runs > 0 ? profile->runs : 1);
}

static const char *shape_of(const struct tensor *tensor, char *text) {
    return tensor == NULL ? ""
                          : tensor_shape_text(tensor->dims, tensor->rank, text,
                                              TENSOR_SHAPE_TEXT_MAX);
}

static void print_json(const struct profile *profile, const struct line *operators,
                       int operator_count, const struct line *nodes, int node_count,
                       double run_us) {
    json_t *facts =
        json_pack("{s:I, s:f}", "runs", (json_int_t)profile->runs, "run_us", run_us);
    json_t *list = json_array();
    for (int i = 0; i < operator_count; i++) {
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:f}", "type", operators[i].type,
                                        "nodes", operators[i].count, "us",
                                        per_run_us(profile, operators[i].ns)));
    }
    json_object_set_new(facts, "operators", list);
    list = json_array();
    for (int i = 0; i < node_count; i++) {
        char x[TENSOR_SHAPE_TEXT_MAX], y[TENSOR_SHAPE_TEXT_MAX];
        struct session_node node = session_node(profile->session, nodes[i].node);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s, s:f}", "name", node.name,
                                        "type", node.type, "input", shape_of(node.x0, x),
                                        "output", shape_of(node.y0, y), "us",
                                        per_run_us(profile, nodes[i].ns)));
    }
    json_object_set_new(facts, "nodes", list);
    json_dumpf(facts, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(facts);
}

static void print_tables(const struct profile *profile, const struct line *operators,
                         int operator_count, const struct line *nodes, int node_count,
                         double run_us) {
    double whole_us = run_us > 0.0 ? run_us : 1.0;
    printf("%-24s %6s %12s %7s\n", "operator", "nodes", "us a run", "share");
    for (int i = 0; i < operator_count; i++) {
        double us = per_run_us(profile, operators[i].ns);
        printf("%-24s %6d %12.1f %6.1f%%\n", operators[i].type, operators[i].count, us,
               100.0 * us / whole_us);
    }
    printf("%-24s %6d %12.1f\n\n", "all", node_count, run_us);
    printf("%-24s %12s %7s  %s\n", "slowest nodes", "us a run", "share",
           "first input, first output, name");
    for (int i = 0; i < node_count && i < NODES_SHOWN; i++) {
        char x[TENSOR_SHAPE_TEXT_MAX], y[TENSOR_SHAPE_TEXT_MAX];
        struct session_node node = session_node(profile->session, nodes[i].node);
        double us = per_run_us(profile, nodes[i].ns);
        printf("%-24s %12.1f %6.1f%%  %s %s %s\n", node.type, us, 100.0 * us / whole_us,
               shape_of(node.x0, x), shape_of(node.y0, y), node.name);
    }
}

void profile_print(const struct profile *profile, bool json) {
    size_t room = (size_t)session_node_count(profile->session) + 1;
    struct line *nodes = calloc(room, sizeof(*nodes));
    struct line *operators = calloc(room, sizeof(*operators));
    int64_t all_ns = 0;
    if (nodes != NULL && operators != NULL) {
        int node_count = list_nodes(profile, nodes);
        int operator_count = list_operators(nodes, node_count, operators);
        for (int i = 0; i < operator_count; i++) {
            all_ns += operators[i].ns;
        }
        (json ? print_json : print_tables)(profile, operators, operator_count, nodes,
                                           node_count, per_run_us(profile, all_ns));
    }
    free(nodes);
    free(operators);
}
