/* element.c - see element.h. */
#include "tools/element.h"

#include <assert.h>
#include <math.h>

#include "base/small_float.h"

static double small_real(const struct small_float *format, const struct tensor *x,
                         size_t index) {
    return (double)small_to_f32(format, ((const uint8_t *)x->data)[index]);
}

double element_real(const struct tensor *x, size_t index) {
    const void *data = x->data;
    switch (x->dtype) {
    case DTYPE_F32:
        return (double)((const float *)data)[index];
    case DTYPE_F64:
        return ((const double *)data)[index];
    case DTYPE_F16:
        return (double)small_to_f32(&small_f16, ((const uint16_t *)data)[index]);
    case DTYPE_BF16:
        return (double)small_to_f32(&small_bf16, ((const uint16_t *)data)[index]);
    case DTYPE_F8E4M3FN:
        return small_real(&small_f8e4m3fn, x, index);
    case DTYPE_F8E4M3FNUZ:
        return small_real(&small_f8e4m3fnuz, x, index);
    case DTYPE_F8E5M2:
        return small_real(&small_f8e5m2, x, index);
    case DTYPE_F8E5M2FNUZ:
        return small_real(&small_f8e5m2fnuz, x, index);
    case DTYPE_F4E2M1:
        return small_real(&small_f4e2m1, x, index);
    case DTYPE_F8E8M0:
        return (double)e8m0_to_f32(((const uint8_t *)data)[index]);
    case DTYPE_U4:
    case DTYPE_U2:
    case DTYPE_U8:
    case DTYPE_BOOL:
        return ((const uint8_t *)data)[index];
    case DTYPE_I4:
    case DTYPE_I2:
    case DTYPE_I8:
        return ((const int8_t *)data)[index];
    case DTYPE_U16:
        return ((const uint16_t *)data)[index];
    case DTYPE_I16:
        return ((const int16_t *)data)[index];
    case DTYPE_U32:
        return ((const uint32_t *)data)[index];
    case DTYPE_I32:
        return ((const int32_t *)data)[index];
    case DTYPE_U64:
        return (double)((const uint64_t *)data)[index];
    case DTYPE_I64:
        return (double)((const int64_t *)data)[index];
    case DTYPE_NONE:
    case DTYPE_STRING:
    case DTYPE_SEQUENCE:
    case DTYPE_OPTIONAL:
    case DTYPE_COUNT:
        break;
    }
    assert(!"a dtype with numbers");
    return 0.0;
}

static bool real_agrees(double got, double wanted, double relative, double absolute) {
    if (isnan(got) || isnan(wanted)) {
        return isnan(got) && isnan(wanted);
    }
    if (isinf(got) || isinf(wanted)) {
        return isinf(got) && isinf(wanted) && (got > 0.0) == (wanted > 0.0);
    }
    return fabs(got - wanted) <= absolute + relative * fabs(wanted);
}

static enum status compare_texts(const struct tensor *got, const struct tensor *wanted,
                                 struct error *err) {
    const struct span *a = got->data;
    const struct span *b = wanted->data;
    for (size_t i = 0; i < tensor_count(wanted); i++) {
        if (!span_equal(a[i], b[i])) {
            return error_set(err, STATUS_INVALID, "text %zu is '%.*s', not '%.*s'", i,
                             (int)(a[i].size < 40 ? a[i].size : 40), a[i].data,
                             (int)(b[i].size < 40 ? b[i].size : 40), b[i].data);
        }
    }
    return STATUS_OK;
}

static enum status compare_numbers(const struct tensor *got, const struct tensor *wanted,
                                   double relative, double absolute, struct error *err) {
    size_t count = tensor_count(wanted), differing = 0, first = 0;
    for (size_t i = 0; i < count; i++) {
        if (!real_agrees(element_real(got, i), element_real(wanted, i), relative,
                         absolute)) {
            first = differing == 0 ? i : first;
            differing++;
        }
    }
    if (differing > 0) {
        return error_set(err, STATUS_INVALID,
                         "%zu of %zu elements differ; element %zu is %.9g, not %.9g",
                         differing, count, first, element_real(got, first),
                         element_real(wanted, first));
    }
    return STATUS_OK;
}

enum status element_compare(const struct tensor *got, const struct tensor *wanted,
                            double relative, double absolute, struct error *err) {
    char got_shape[TENSOR_SHAPE_TEXT_MAX], wanted_shape[TENSOR_SHAPE_TEXT_MAX];
    bool same = got->rank == wanted->rank;
    if (got->dtype != wanted->dtype) {
        return error_set(err, STATUS_INVALID, "the type is %s, not %s",
                         dtype_name(got->dtype), dtype_name(wanted->dtype));
    }
    for (int i = 0; same && i < wanted->rank; i++) {
        same = got->dims[i] == wanted->dims[i];
    }
    if (!same) {
        return error_set(
            err, STATUS_INVALID, "the shape is %s, not %s",
            tensor_shape_text(got->dims, got->rank, got_shape, sizeof(got_shape)),
            tensor_shape_text(wanted->dims, wanted->rank, wanted_shape,
                              sizeof(wanted_shape)));
    }
    return wanted->dtype == DTYPE_STRING
               ? compare_texts(got, wanted, err)
               : compare_numbers(got, wanted, relative, absolute, err);
}
