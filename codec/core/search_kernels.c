/* Which float kernels this machine runs. */
#include "search_kernels.h"

#include <string.h>

extern const cae_float_kernels cae_float_kernels_portable;

#if defined(__x86_64__)

#include <cpuid.h>

extern const cae_float_kernels cae_float_kernels_avx2;

static int has_avx2(void) {
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX2 = 1 << 5, STATE_AVX = 0x06 };
    unsigned a, b, c, d, state;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE) || !(c & FMA))
        return 0;
    __asm__("xgetbv" : "=a"(state), "=d"(d) : "c"(0)); /* registers that the operating system keeps */
    return (state & STATE_AVX) == STATE_AVX && __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & AVX2;
}

const cae_float_kernels *cae_chosen_float_kernels(void) {
    return has_avx2() ? &cae_float_kernels_avx2 : &cae_float_kernels_portable;
}

#else

const cae_float_kernels *cae_chosen_float_kernels(void) { return &cae_float_kernels_portable; }

#endif

const cae_float_kernels *cae_float_kernels_named(const char *name) {
    const cae_float_kernels *chosen = cae_chosen_float_kernels();
    if (strcmp(name, chosen->name) == 0)
        return chosen;
    return strcmp(name, "portable") == 0 ? &cae_float_kernels_portable : NULL;
}
