/* score_recipe.c - mapping and predictions as a route of a configuration has them; see
 * score.h. */
#include "tools/score.h"

/* Of several routes of records, the one whose model has this path, or is named. */
static const struct config_route *find_route(const struct score_plan *plan,
                                             struct error *err) {
    const struct score_opts *opts = plan->opts;
    const struct config_route *found = NULL;
    int count = 0;
    for (size_t i = 0; i < plan->config->route_count; i++) {
        const struct config_route *route = &plan->config->routes[i];
        if (route->record != NULL &&
            (opts->route == NULL || strcmp(route->input, opts->route) == 0)) {
            found = route;
            count++;
        }
    }
    if (count == 1) {
        return found;
    }
    (void)error_set(err, STATUS_INVALID,
                    count == 0
                        ? "%s: no route %s%s has a 'record'"
                        : "%s: several routes %s%shave a 'record': choose one with "
                          "--route INPUT-TOPIC",
                    opts->mapping, opts->route == NULL ? "" : "with the input ",
                    opts->route == NULL ? "" : opts->route);
    return NULL;
}

/* What the mapping is, for whoever reads along; and for a run that goes on. */
static void say(struct score_plan *plan, const struct config_route *route) {
    char *text = plan->mapping.text;
    size_t size = sizeof(plan->mapping.text);
    size_t used = (size_t)snprintf(text, size, "mapping of %s, route '%s'",
                                   plan->opts->mapping, route->input);
    for (size_t i = 0; i < route->record->input_count && used + 2 < size; i++) {
        const struct config_input *input = &route->record->inputs[i];
        for (size_t k = 0; k < input->source_count && used + 2 < size; k++) {
            const char *field = input->sources[k].field;
            int n = snprintf(text + used, size - used, "%s%s", k == 0 ? ": " : ", ",
                             field == NULL ? "(a constant)" : field);
            used += (size_t)n < size - used ? (size_t)n : size - used - 1;
        }
    }
}

enum status score_recipe_apply(struct score_plan *plan, struct error *err) {
    const struct config_route *route;
    enum status status =
        config_load(plan->opts->mapping, NULL, 0, NULL, NULL, &plan->config, err);
    if (status != STATUS_OK) {
        return status;
    }
    route = find_route(plan, err);
    if (route == NULL) {
        return err->status;
    }
    status = rows_reader_bind(plan->reader, err);
    if (status == STATUS_OK) {
        status = recipe_create(route, &plan->batch_model, &plan->recipe, err);
    }
    if (status == STATUS_OK) {
        say(plan, route);
        status = recipe_apply(plan->recipe, rows_reader_schema(plan->reader), NULL,
                              &plan->mapping.mapping, &plan->out, err);
    }
    return status;
}
