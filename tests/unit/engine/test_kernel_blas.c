/* test_kernel_blas.c - OpenBLAS gets the kernels that fit the processor. */
#include "engine/kernels/blas.h"

#include <stdlib.h>

#include "base/cpu.h"
#include "tests/unit/suite.h"

START_TEST(wide_processor_gets_wide_kernels) {
    static const char *const wide[] = {"SkylakeX", "Cooperlake", "Sapphirerapids"};
    bool found = false;
    ck_assert_int_eq(unsetenv("OPENBLAS_CORETYPE"), 0);
    ck_assert(blas_load());
    for (size_t i = 0; i < ARRAY_COUNT(wide); i++) {
        found = found || strcmp(blas_core_name(), wide[i]) == 0;
    }
    ck_assert_msg(found || cpu_level() < CPU_AVX512, "%s", blas_core_name());
}
END_TEST

START_TEST(operator_has_the_last_word) {
    ck_assert_int_eq(setenv("OPENBLAS_CORETYPE", "Haswell", 1), 0);
    ck_assert(blas_load());
    ck_assert_msg(strcmp(blas_core_name(), "Haswell") == 0 || cpu_level() == CPU_PORTABLE,
                  "%s", blas_core_name());
}
END_TEST

START_TEST(sizes_beyond_its_integers_are_left_to_others) {
    double c = 7.0;
    ck_assert(
        !blas_gemm_f64(false, false, INT64_MAX, 1, 1, 1.0, &c, 1, &c, 1, 0.0, &c, 1));
    ck_assert(c == 7.0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        wide_processor_gets_wide_kernels,
        operator_has_the_last_word,
        sizes_beyond_its_integers_are_left_to_others,
    };
    return suite_run("engine kernels: blas", tests, ARRAY_COUNT(tests));
}
