/* threads.h: a loop whose turns run side by side. */
#ifndef CAE_THREADS_H
#define CAE_THREADS_H

#include "cae.h"

/* One turn. `worker` tells which of the threads runs it, from 0 to cae_thread_count - 1: for scratch memory. */
typedef void cae_turn(void *context, int turn, int worker);

int cae_thread_count(const cae_threads *pool); /* 1 for NULL */

/* All turns from 0 to count - 1, in any order; returns when all are done. */
void cae_parallel(cae_threads *pool, int count, cae_turn *turn, void *context);

#endif
