#include "rounding.h"

/* A multiplication and an addition that became one would round once instead of twice, on some machines alone. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

/* floor(x) within the bounds of symbols. */
static inline int floor_of(double x) {
    x = x == x ? x : 0;
    x = x > -CAE_SYMBOL_MAX ? x : -CAE_SYMBOL_MAX;
    x = x < CAE_SYMBOL_MAX ? x : CAE_SYMBOL_MAX;
    int whole = (int)x;
    return whole - (x < whole);
}

/* A symbol other than 0, or the one next to it towards zero. Without branches, which nobody could predict: escapes stay as
 * they are, for they save nothing. */
static inline int shrunk(const cae_table *t, int symbol, double residual, double weight, double strength) {
    int nearer = symbol - (symbol > 0) + (symbol < 0), inside = symbol >= -t->tail && symbol <= t->tail;
    double saved = t->bits[t->tail + (inside ? symbol : 0)] - t->bits[t->tail + (inside ? nearer : 0)];
    double error = residual - symbol, error_nearer = residual - nearer;
    double added = (error_nearer * error_nearer - error * error) * weight;
    return added < strength * saved ? nearer : symbol;
}

void cae_round(const cae_tables *tables, size_t count, const float *values, const int32_t *mean, const uint8_t *index,
               const float *weight, double strength, int16_t *symbols) {
    for (size_t i = 0; i < count; i++) {
        double residual = ((double)values[i] * 1024 - mean[i]) * (1.0 / 1024);
        int symbol = floor_of(residual + 0.5);
        if (weight && symbol)
            symbol = shrunk(&tables->table[index[i]], symbol, residual, weight[i], strength);
        symbols[i] = (int16_t)symbol;
    }
}
