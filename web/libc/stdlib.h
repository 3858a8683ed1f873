#ifndef STDLIB_H
#define STDLIB_H
#include <stddef.h>
/* Blocks begin at multiples of 64 bytes. */
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void *aligned_alloc(size_t alignment, size_t size); /* up to 64 */
void free(void *block);
void qsort(void *array, size_t count, size_t size, int (*compare)(const void *, const void *));
void *bsearch(const void *key, const void *array, size_t count, size_t size, int (*compare)(const void *, const void *));
static inline char *getenv(const char *name) { return (void)name, (char *)0; } /* there is no environment */
static inline int abs(int x) { return x < 0 ? -x : x; }
#endif
