#include "memory.h"

#include <stdint.h>
#include <stdlib.h>

enum { ALIGNMENT = 64 };

/* In front of each piece. */
typedef struct {
    void *older; /* what malloc gave for the piece before this one */
} header;

void *cae_take(cae_memory *memory, size_t count, size_t size) {
    size_t extra = ALIGNMENT + sizeof(header) + CAE_SLACK;
    header *given = NULL;
    if (size == 0 || count <= (SIZE_MAX - extra) / size)
        given = calloc(1, count * size + extra); /* fresh pages are zero already: calloc knows */
    if (!given) {
        memory->failed = 1;
        return NULL;
    }
    given->older = memory->newest;
    memory->newest = given;
    uintptr_t end = (uintptr_t)(given + 1);
    return (char *)(given + 1) + (ALIGNMENT - end % ALIGNMENT) % ALIGNMENT;
}

void cae_give_back(cae_memory *memory) {
    while (memory->newest) {
        header *given = memory->newest;
        memory->newest = given->older;
        free(given);
    }
}
