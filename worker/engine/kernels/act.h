/* act.h - activation functions, alone or as the last step of gemm, conv and rnn.
 *
 * Depends on: nothing.
 * Ownership: arrays are the caller's.
 * Threads: pure; any. */
#ifndef MILLRACE_ENGINE_KERNELS_ACT_H
#define MILLRACE_ENGINE_KERNELS_ACT_H

#include <stdint.h>

enum act_kind {
    ACT_NONE,         /* x */
    ACT_RELU,         /* max(x, 0); NaN stays NaN, here and in all below */
    ACT_LEAKY_RELU,   /* x < 0 ? alpha x : x */
    ACT_CLIP,         /* min(max(x, alpha), beta); alpha > beta gives beta */
    ACT_HARD_SIGMOID, /* min(max(alpha x + beta, 0), 1) */
    ACT_AFFINE,       /* alpha x + beta */
    ACT_THRESHOLD,    /* x > alpha ? x : 0 (ThresholdedRelu) */
    ACT_SIGMOID,      /* 1 / (1 + exp(-x)) */
    ACT_TANH,
    ACT_SCALED_TANH, /* alpha tanh(beta x) */
    ACT_SOFTPLUS,    /* log(1 + exp(x)) */
    ACT_SOFTSIGN,    /* x / (1 + |x|) */
    ACT_ELU,         /* x < 0 ? alpha (exp(x) - 1) : x */
    ACT_SELU,        /* x < 0 ? beta alpha (exp(x) - 1) : beta x */
    ACT_GELU,        /* x/2 (1 + erf(x / sqrt 2)) */
    ACT_GELU_TANH,   /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    ACT_SWISH,       /* x sigmoid(alpha x); alpha 1 is SiLU */
    ACT_HARD_SWISH,  /* x min(max(x/6 + 1/2, 0), 1) */
    ACT_KIND_COUNT
};

/* A zeroed struct is "no activation". */
struct act {
    enum act_kind kind;
    float alpha, beta; /* as the kind says; ignored by the others */
};

/* y[i] = act(x[i]) for i < count.  y may be x, but may not overlap it otherwise.
 * No alignment is needed. */
void act_run(const struct act *act, int64_t count, const float *x, float *y);

#endif
