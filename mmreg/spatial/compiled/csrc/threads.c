/* Threads that live for one call: nothing is kept, so a forked process finds nothing broken. */
#include <pthread.h>

#include "common.h"

#define MOST_THREADS 64

typedef struct {
    mmreg_task task;
    void *context;
    int64_t count, next;
} queue;

static void *work(void *argument) {
    queue *todo = argument;
    for (;;) {
        int64_t index = __atomic_fetch_add(&todo->next, 1, __ATOMIC_RELAXED);
        if (index >= todo->count) return NULL;
        todo->task(todo->context, index);
    }
}

void mmreg_parallel(mmreg_task task, void *context, int64_t count, int threads) {
    queue todo = {task, context, count, 0};
    pthread_t helpers[MOST_THREADS];
    int started = 0;
    int wanted = (int)mmreg_min(mmreg_min(threads, MOST_THREADS), count) - 1;
    while (started < wanted && pthread_create(&helpers[started], NULL, work, &todo) == 0) started++;
    work(&todo);
    for (int i = 0; i < started; i++) pthread_join(helpers[i], NULL);
}

int mmreg_kernels(void) { return MMREG_KERNELS; }
