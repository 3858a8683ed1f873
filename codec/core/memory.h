/* memory.h: memory that is taken piece by piece and given back at once. */
#ifndef CAE_MEMORY_H
#define CAE_MEMORY_H

#include <stddef.h>

typedef struct {
    void *newest;
    int failed; /* whether an allocation did */
} cae_memory;

/* Zeros, aligned to 64 bytes, and CAE_SLACK bytes more: depthwise kernels reach past the end of a row. NULL where there is no
 * memory, which `failed` remembers: callers may take several and look once. */
enum { CAE_SLACK = 256 };
void *cae_take(cae_memory *memory, size_t count, size_t size);
void cae_give_back(cae_memory *memory);

#endif
