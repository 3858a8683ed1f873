/* Which kernel sets this machine runs. */
#include "cae.h"
#include "kernels.h"
#include "self_test.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>

/* Bits of cpuid's leaf 7. */
enum { AVX2 = 1 << 5, AVX512F = 1 << 16, AVX512BW = 1 << 30, AVX512VNNI = 1 << 11, AVXVNNI = 1 << 4 };
/* Registers that the operating system keeps. */
enum { OSXSAVE = 1 << 27, STATE_AVX = 0x06, STATE_AVX512 = 0xe6 };

static unsigned kept_registers(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE))
        return 0;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

static int runs(const cae_kernel_set *set) {
    unsigned a = 0, b = 0, c = 0, d, more = 0, state = kept_registers();
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1)
        __get_cpuid_count(7, 1, &more, &a, &a, &d);
    int avx2 = (state & STATE_AVX) == STATE_AVX && b & AVX2;
    int avx512 = (state & STATE_AVX512) == STATE_AVX512 && b & AVX512F && b & AVX512BW;
    if (set == &cae_kernels_avx512vnni)
        return avx512 && c & AVX512VNNI;
    if (set == &cae_kernels_avx512)
        return avx512;
#if CAE_HAS_AVXVNNI
    if (set == &cae_kernels_avxvnni)
        return avx2 && more & AVXVNNI;
#endif
    return set != &cae_kernels_avx2 || avx2;
}

static const cae_kernel_set *const sets[] = {
    &cae_kernels_avx512vnni,
#if CAE_HAS_AVXVNNI
    &cae_kernels_avxvnni,
#endif
    &cae_kernels_avx512,
    &cae_kernels_avx2,
    &cae_kernels_sse2,
    &cae_kernels_portable,
};

#else

static int runs(const cae_kernel_set *set) {
    (void)set;
    return 1;
}

static const cae_kernel_set *const sets[] = {
#if defined(__aarch64__)
    &cae_kernels_neon,
#elif defined(__wasm_simd128__)
    &cae_kernels_wasm,
#endif
    &cae_kernels_portable,
};

#endif

enum { SETS = sizeof sets / sizeof *sets };

const cae_kernel_set *cae_kernels_named(const char *name) {
    for (int i = 0; i < SETS; i++) {
        if (strcmp(sets[i]->name, name) == 0 && runs(sets[i]))
            return sets[i];
    }
    return NULL;
}

static int trusted(const cae_kernel_set *set) { return set == &cae_kernels_portable || cae_kernels_agree(set); }

const cae_kernel_set *cae_chosen_kernels(void) {
    static const cae_kernel_set *_Atomic chosen; /* threads that come here together find the same */
    const cae_kernel_set *set = atomic_load(&chosen);
    if (!set) {
        const char *name = getenv("CAECODEC_KERNELS");
        set = name ? cae_kernels_named(name) : NULL;
        if (set && !trusted(set))
            set = NULL;
        for (int i = 0; !set; i++) {
            if (runs(sets[i]) && trusted(sets[i]))
                set = sets[i];
        }
        atomic_store(&chosen, set);
    }
    return set;
}
