/* Threads sleep on a condition until there is a loop to run, then take turns from a shared counter. */
#include "threads.h"

#include <stdlib.h>

#if defined(__wasm__)

struct cae_threads {
    int count;
};

int cae_threads_new(int count, cae_threads **pool) {
    *pool = NULL; /* the caller's thread is all there is */
    return count < 1 ? CAE_ERROR_ARGUMENT : CAE_OK;
}

void cae_threads_free(cae_threads *pool) { free(pool); }

int cae_thread_count(const cae_threads *pool) {
    (void)pool;
    return 1;
}

void cae_parallel(cae_threads *pool, int count, cae_turn *turn, void *context) {
    (void)pool;
    for (int i = 0; i < count; i++)
        turn(context, i, 0);
}

#else

#include <stdatomic.h>

#ifdef _WIN32
#include <process.h>
#include <windows.h>
typedef SRWLOCK lock;
typedef CONDITION_VARIABLE condition;
typedef HANDLE thread;
#define lock_init(l) InitializeSRWLock(l)
#define lock_free(l) ((void)(l))
#define lock_take(l) AcquireSRWLockExclusive(l)
#define lock_drop(l) ReleaseSRWLockExclusive(l)
#define condition_init(c) InitializeConditionVariable(c)
#define condition_free(c) ((void)(c))
#define condition_wait(c, l) SleepConditionVariableSRW(c, l, INFINITE, 0)
#define condition_wake_all(c) WakeAllConditionVariable(c)
#define RESULT unsigned __stdcall
#else
#include <pthread.h>
typedef pthread_mutex_t lock;
typedef pthread_cond_t condition;
typedef pthread_t thread;
#define lock_init(l) pthread_mutex_init(l, NULL)
#define lock_free(l) pthread_mutex_destroy(l)
#define lock_take(l) pthread_mutex_lock(l)
#define lock_drop(l) pthread_mutex_unlock(l)
#define condition_init(c) pthread_cond_init(c, NULL)
#define condition_free(c) pthread_cond_destroy(c)
#define condition_wait(c, l) pthread_cond_wait(c, l)
#define condition_wake_all(c) pthread_cond_broadcast(c)
#define RESULT void *
#endif

typedef struct {
    cae_threads *pool;
    int number;
} worker;

struct cae_threads {
    int count; /* with the caller's */
    thread *threads;
    worker *workers;
    lock lock;
    condition begun, ended;
    unsigned loop; /* number of the loop, to tell a new one from the last */
    int busy;      /* threads that have not finished it */
    int closing;
    cae_turn *turn;
    void *context;
    int turns;
    atomic_int next;
};

static void take_turns(cae_threads *pool, int number) {
    for (int i; (i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < pool->turns;)
        pool->turn(pool->context, i, number);
}

static RESULT run(void *argument) {
    worker *self = argument;
    cae_threads *pool = self->pool;
    unsigned seen = 0;
    lock_take(&pool->lock);
    for (;;) {
        while (pool->loop == seen && !pool->closing)
            condition_wait(&pool->begun, &pool->lock);
        if (pool->closing)
            break;
        seen = pool->loop;
        lock_drop(&pool->lock);
        take_turns(pool, self->number);
        lock_take(&pool->lock);
        if (--pool->busy == 0)
            condition_wake_all(&pool->ended);
    }
    lock_drop(&pool->lock);
    return 0;
}

static int start(thread *made, worker *self) {
#ifdef _WIN32
    *made = (HANDLE)_beginthreadex(NULL, 0, run, self, 0, NULL);
    return *made != 0;
#else
    return pthread_create(made, NULL, run, self) == 0;
#endif
}

static void join(thread made) {
#ifdef _WIN32
    WaitForSingleObject(made, INFINITE);
    CloseHandle(made);
#else
    pthread_join(made, NULL);
#endif
}

int cae_threads_new(int count, cae_threads **made) {
    *made = NULL;
    if (count < 1 || count > 1024)
        return CAE_ERROR_ARGUMENT;
    cae_threads *pool = calloc(1, sizeof *pool);
    if (!pool)
        return CAE_ERROR_MEMORY;
    pool->threads = calloc((size_t)count, sizeof *pool->threads);
    pool->workers = calloc((size_t)count, sizeof *pool->workers);
    pool->count = 1;
    lock_init(&pool->lock);
    condition_init(&pool->begun);
    condition_init(&pool->ended);
    for (int i = 1; pool->threads && pool->workers && i < count; i++) {
        pool->workers[i] = (worker){pool, i};
        if (!start(&pool->threads[i], &pool->workers[i]))
            break;
        pool->count++;
    }
    if (pool->count < count) {
        cae_threads_free(pool);
        return CAE_ERROR_MEMORY;
    }
    *made = pool;
    return CAE_OK;
}

void cae_threads_free(cae_threads *pool) {
    if (!pool)
        return;
    lock_take(&pool->lock);
    pool->closing = 1;
    condition_wake_all(&pool->begun);
    lock_drop(&pool->lock);
    for (int i = 1; i < pool->count; i++)
        join(pool->threads[i]);
    condition_free(&pool->begun);
    condition_free(&pool->ended);
    lock_free(&pool->lock);
    free(pool->threads);
    free(pool->workers);
    free(pool);
}

int cae_thread_count(const cae_threads *pool) { return pool ? pool->count : 1; }

void cae_parallel(cae_threads *pool, int count, cae_turn *turn, void *context) {
    if (!pool || pool->count == 1 || count <= 1) {
        for (int i = 0; i < count; i++)
            turn(context, i, 0);
        return;
    }
    lock_take(&pool->lock);
    pool->turn = turn;
    pool->context = context;
    pool->turns = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool->busy = pool->count - 1;
    pool->loop++;
    condition_wake_all(&pool->begun);
    lock_drop(&pool->lock);
    take_turns(pool, 0);
    lock_take(&pool->lock);
    while (pool->busy)
        condition_wait(&pool->ended, &pool->lock);
    lock_drop(&pool->lock);
}

#endif
