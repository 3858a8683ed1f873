#include "rounding.h"

/* A multiplication and an addition that became one would round once instead of twice, on some machines alone. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

/* floor(x) within the bounds of symbols. */
static int floor_of(double x) {
    if (!(x > -CAE_SYMBOL_MAX)) /* or not a number */
        return x <= -CAE_SYMBOL_MAX ? -CAE_SYMBOL_MAX : 0;
    if (x >= CAE_SYMBOL_MAX)
        return CAE_SYMBOL_MAX;
    int whole = (int)x;
    return whole - (x < whole);
}

/* Whether a symbol other than 0 should be one nearer to zero. */
static int shrinks(const cae_table *t, int symbol, int shrunk, double residual, double weight, double strength) {
    double saved = 0;
    if (symbol >= -t->tail && symbol <= t->tail)
        saved = t->bits[symbol + t->tail] - t->bits[shrunk + t->tail];
    double error = residual - symbol, error_shrunk = residual - shrunk;
    double added = (error_shrunk * error_shrunk - error * error) * weight;
    return added < strength * saved;
}

void cae_round(const cae_tables *tables, size_t count, const float *values, const int32_t *mean, const uint8_t *index,
               const float *weight, double strength, int16_t *symbols) {
    for (size_t i = 0; i < count; i++) {
        double residual = ((double)values[i] * 1024 - mean[i]) * (1.0 / 1024);
        int symbol = floor_of(residual + 0.5);
        if (symbol && weight) {
            int shrunk = symbol > 0 ? symbol - 1 : symbol + 1;
            if (shrinks(&tables->table[index[i]], symbol, shrunk, residual, weight[i], strength))
                symbol = shrunk;
        }
        symbols[i] = (int16_t)symbol;
    }
}
