/* The few functions of C's library that the core calls, for WebAssembly. One thread. MIT licence. */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- memory ---------------------------------------------------------------------------------------------------------
 *
 * Free blocks in a list by address; the first that is large enough is taken, neighbours are joined when one is freed
 * (Kernighan and Ritchie, 8.7). A block has one unit of 64 bytes in front, so all are aligned to 64.
 */

enum { UNIT = 64, PAGE = 65536, LEAST_GROWTH = 16 * PAGE };

typedef union block {
    struct {
        union block *next;
        size_t units; /* its own included */
    } head;
    char bytes[UNIT];
} block;

extern char __heap_base[]; /* the linker's: where data and stack end */

static block first = {.head = {&first, 0}};
static uintptr_t heap_end;

/* More memory of the machine as a free block -> the free block before it, or NULL. */
static int grow(size_t units) {
    size_t bytes = units * UNIT;
    if (!heap_end) {
        heap_end = ((uintptr_t)__heap_base + UNIT - 1) & ~(uintptr_t)(UNIT - 1);
    }
    size_t have = __builtin_wasm_memory_size(0) * PAGE - heap_end;
    if (have < bytes) {
        size_t missing = bytes - have;
        if (missing < LEAST_GROWTH) missing = LEAST_GROWTH;
        size_t pages = (missing + PAGE - 1) / PAGE;
        if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) return 0;
        bytes = (have + pages * PAGE) & ~(size_t)(UNIT - 1);
    }
    block *fresh = (block *)heap_end;
    heap_end += bytes;
    fresh->head.units = bytes / UNIT;
    free(fresh + 1);
    return 1;
}

__attribute__((visibility("default"))) void *malloc(size_t size) {
    if (size > (size_t)1 << 31) return NULL;
    size_t units = (size + UNIT - 1) / UNIT + 1;
    for (;;) {
        for (block *before = &first; before->head.next != &first; before = before->head.next) {
            block *found = before->head.next;
            if (found->head.units < units) continue;
            if (found->head.units == units) {
                before->head.next = found->head.next;
            } else { /* its tail */
                found->head.units -= units;
                found += found->head.units;
                found->head.units = units;
            }
            return found + 1;
        }
        if (!grow(units)) return NULL;
    }
}

__attribute__((visibility("default"))) void free(void *memory) {
    if (!memory) return;
    block *freed = (block *)memory - 1, *before = &first;
    while (before->head.next != &first && before->head.next < freed) before = before->head.next;
    block *after = before->head.next;
    freed->head.next = after;
    before->head.next = freed;
    if (after != &first && freed + freed->head.units == after) {
        freed->head.units += after->head.units;
        freed->head.next = after->head.next;
    }
    if (before != &first && before + before->head.units == freed) {
        before->head.units += freed->head.units;
        before->head.next = freed->head.next;
    }
}

void *calloc(size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return NULL;
    void *memory = malloc(count * size);
    return memory ? memset(memory, 0, count * size) : NULL;
}

void *realloc(void *memory, size_t size) {
    if (!memory) return malloc(size);
    size_t have = (((block *)memory - 1)->head.units - 1) * UNIT;
    if (size <= have) return memory;
    void *larger = malloc(size);
    if (larger) {
        memcpy(larger, memory, have);
        free(memory);
    }
    return larger;
}

void *aligned_alloc(size_t alignment, size_t size) { return alignment > UNIT ? NULL : malloc(size); }

/* -- bytes: instructions of the machine where it has them -------------------------------------------------------------*/

void *(memcpy)(void *restrict to, const void *restrict from, size_t size) { return __builtin_memcpy(to, from, size); }
void *(memmove)(void *to, const void *from, size_t size) { return __builtin_memmove(to, from, size); }
void *(memset)(void *to, int byte, size_t size) { return __builtin_memset(to, byte, size); }

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i]) return x[i] - y[i];
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}

int strncmp(const char *a, const char *b, size_t most) {
    for (size_t i = 0; i < most; i++)
        if (a[i] != b[i] || !a[i]) return (unsigned char)a[i] - (unsigned char)b[i];
    return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, SIZE_MAX); }

char *strchr(const char *text, int letter) {
    for (;; text++) {
        if (*text == (char)letter) return (char *)text;
        if (!*text) return NULL;
    }
}

/* -- texts: %s and %d alone -------------------------------------------------------------------------------------------*/

int snprintf(char *to, size_t size, const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    size_t length = 0;
    for (; *format; format++) {
        char digits[12], *text = digits + sizeof digits - 1;
        *text = 0;
        if (*format != '%') {
            *--text = *format;
        } else if (*++format == 's') {
            text = va_arg(rest, char *);
        } else {
            int value = va_arg(rest, int);
            unsigned left = value < 0 ? 0u - (unsigned)value : (unsigned)value;
            do *--text = (char)('0' + left % 10);
            while (left /= 10);
            if (value < 0) *--text = '-';
        }
        for (; *text; text++, length++)
            if (length + 1 < size) to[length] = *text;
    }
    if (size) to[length < size ? length : size - 1] = 0;
    va_end(rest);
    return (int)length;
}

/* -- order ------------------------------------------------------------------------------------------------------------*/

static void swap(char *a, char *b, size_t size) {
    for (; size; size--) {
        char kept = *a;
        *a++ = *b;
        *b++ = kept;
    }
}

/* Heapsort: no input makes it slow. */
void qsort(void *array, size_t count, size_t size, int (*compare)(const void *, const void *)) {
    char *a = array;
    for (size_t start = count / 2, end = count; end > 1;) {
        if (start) {
            start--;
        } else {
            swap(a, a + --end * size, size);
        }
        for (size_t root = start, child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && compare(a + child * size, a + (child + 1) * size) < 0) child++;
            if (compare(a + root * size, a + child * size) >= 0) break;
            swap(a + root * size, a + child * size, size);
        }
    }
}

void *bsearch(const void *key, const void *array, size_t count, size_t size, int (*compare)(const void *, const void *)) {
    const char *low = array;
    while (count) {
        const char *middle = low + count / 2 * size;
        int order = compare(key, middle);
        if (!order) return (void *)middle;
        if (order > 0) {
            low = middle + size;
            count--;
        }
        count /= 2;
    }
    return NULL;
}
