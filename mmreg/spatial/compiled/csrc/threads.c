/* Threads that live for one call: nothing is kept, so a forked process finds nothing broken. */
#include <pthread.h>

#include "common.h"

#define MOST_THREADS 64

typedef struct {
    mmreg_task task;
    void *context;
    int64_t count, next, room;
} queue;

static void take_tasks(queue *todo, void *room) {
    for (;;) {
        int64_t index = __atomic_fetch_add(&todo->next, 1, __ATOMIC_RELAXED);
        if (index >= todo->count) return;
        todo->task(todo->context, index, room);
    }
}

/* A thread that finds no memory leaves the tasks to the others. */
static void *help(void *argument) {
    queue *todo = argument;
    void *room = malloc((size_t)todo->room);
    if (room) take_tasks(todo, room);
    free(room);
    return NULL;
}

int mmreg_parallel(mmreg_task task, void *context, int64_t count, int64_t room, int threads) {
    queue todo = {task, context, count, 0, mmreg_max(room, 1)};
    pthread_t helpers[MOST_THREADS];
    void *own = malloc((size_t)todo.room);
    if (!own) return MMREG_NO_MEMORY;
    int started = 0;
    int wanted = (int)mmreg_min(mmreg_min(threads, MOST_THREADS), count) - 1;
    while (started < wanted && pthread_create(&helpers[started], NULL, help, &todo) == 0) started++;
    take_tasks(&todo, own);
    for (int i = 0; i < started; i++) pthread_join(helpers[i], NULL);
    free(own);
    return MMREG_DONE;
}

int mmreg_kernels(void) { return MMREG_KERNELS; }

#define TEXT(name, arguments) #name #arguments ";"

const char *mmreg_signatures(void) { return MMREG_TABLE(TEXT); }
