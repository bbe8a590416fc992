/* shadow_compare.c - how the answers of two models compare; see shadow.h. */
#include "app/shadow.h"

#include <math.h>

static double value_at(const struct tensor *y, size_t index) {
    return y->dtype == DTYPE_F32 ? (double)((const float *)y->data)[index]
                                 : ((const double *)y->data)[index];
}

/* NaN is what it is in both, or an infinite difference. */
static double difference(double a, double b) {
    if (isnan(a) || isnan(b)) {
        return isnan(a) && isnan(b) ? 0 : INFINITY;
    }
    return a == b ? 0 : fabs(a - b); /* equal infinities, too */
}

struct shadow_verdict shadow_compare(const struct tensor *main,
                                     const struct tensor *other) {
    struct shadow_verdict verdict = {.comparable = false};
    size_t count = tensor_count(main), best[2] = {0, 0};
    if ((main->dtype != DTYPE_F32 && main->dtype != DTYPE_F64) ||
        (other->dtype != DTYPE_F32 && other->dtype != DTYPE_F64) || count == 0 ||
        tensor_count(other) != count) {
        return verdict;
    }
    verdict.comparable = true;
    for (size_t i = 0; i < count; i++) {
        double a = value_at(main, i), b = value_at(other, i), d = difference(a, b);
        verdict.difference = d > verdict.difference ? d : verdict.difference;
        best[0] = a > value_at(main, best[0]) ? i : best[0];
        best[1] = b > value_at(other, best[1]) ? i : best[1];
    }
    verdict.agree = count > 1 ? best[0] == best[1]
                              : (value_at(main, 0) > 0.5) == (value_at(other, 0) > 0.5);
    return verdict;
}
