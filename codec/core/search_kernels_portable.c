/* For any machine. Vectors of 128 bits as gcc and clang know them: they become what the machine has. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=fast") /* where there is an instruction that multiplies and adds, as on ARM */
#endif

#include <string.h>

#define SET portable
#ifdef __aarch64__
enum { LANES = 4, ROWS = 8 };
#else
enum { LANES = 4, ROWS = 6 };
#endif

typedef float vec __attribute__((vector_size(16)));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *x) {
    vec out;
    memcpy(&out, x, sizeof out);
    return out;
}
INLINE void store(float *out, vec x) { memcpy(out, &x, sizeof x); }
INLINE vec spread(float x) { return (vec){x, x, x, x}; }
INLINE vec multiply_add(vec sum, vec x, vec w) { return sum + x * w; }

#include "search_kernels.inc"
