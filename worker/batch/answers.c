/* answers.c - the pool of encoded results; see infer.h. */
#include "batch/infer.h"

bool answers_pool_init(struct answers_pool *pool) {
    pool->unused = NULL;
    return pthread_mutex_init(&pool->lock, NULL) == 0;
}

void answers_pool_release(struct answers_pool *pool) {
    while (pool->unused != NULL) {
        struct answers *answers = pool->unused;
        pool->unused = answers->next;
        free(answers->bytes);
        free(answers);
    }
    (void)pthread_mutex_destroy(&pool->lock); /* fails only while locked */
}

void answers_unref(void *opaque) {
    struct answers *answers = opaque;
    struct answers_pool *pool = answers->pool;
    if (atomic_fetch_sub_explicit(&answers->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock); /* fails only on misuse */
    answers->next = pool->unused;
    pool->unused = answers;
    (void)pthread_mutex_unlock(&pool->lock);
}
