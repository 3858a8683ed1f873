#include "tables.h"

#include <stdlib.h>
#include <string.h>

#include "cae.h"
#include "model_file.h"

/* libm's logarithms differ in the last bit from machine to machine, and encoders decide by them. This one is of additions,
 * multiplications and divisions alone, each rounded by itself. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

enum { GUESSES = 1 << CAE_GUESS_BITS };

/* log2 of an integer from 1: exponent + 2/ln(2) * artanh((m - 1)/(m + 1)), m from 1/sqrt(2) to sqrt(2). */
static double log2_of(uint32_t x) {
    int exponent = 31 - __builtin_clz(x);
    double m = (double)x / (double)(UINT32_C(1) << exponent);
    if (m > 1.4142135623730951) {
        m /= 2;
        exponent++;
    }
    double s = (m - 1) / (m + 1), square = s * s, sum = 0;
    for (int k = 25; k >= 1; k -= 2)
        sum = sum * square + 1.0 / k;
    return exponent + 2.8853900817779268 * (s * sum);
}

/* Room for everything that so many tables point to, of `count` entries in all. */
static int allocate(cae_tables *tables, size_t made, size_t count) {
    size_t bits = count * sizeof(double), starts = (count + made) * sizeof(uint32_t);
    size_t guesses = made * (GUESSES * sizeof(cae_guess)), guessed = made * (GUESSES + 1) * sizeof(uint16_t);
    char *memory = malloc(bits + guesses + starts + guessed);
    if (memory == NULL)
        return CAE_ERROR_MEMORY;
    tables->memory = memory;
    tables->table[0].bits = (double *)memory;
    tables->table[0].guess = (cae_guess *)(memory + bits);
    tables->table[0].start = (uint32_t *)(memory + bits + guesses);
    tables->table[0].guessed = (uint16_t *)(memory + bits + guesses + starts);
    return CAE_OK;
}

/* One table, whose four arrays are those of `t`. */
static int fill(cae_table *t, const void *frequencies, size_t first) {
    uint32_t *start = (uint32_t *)t->start;
    double *bits = (double *)t->bits;
    cae_guess *guess = (cae_guess *)t->guess;
    uint16_t *guessed = (uint16_t *)t->guessed;
    uint32_t sum = 0, most = 0, entries = 2 * (uint32_t)t->tail + 2, at = 0;
    for (uint32_t i = 0; i < entries; i++) {
        int32_t frequency = cae_read_i32(frequencies, first + i);
        if (frequency < 1 || (uint32_t)frequency > (UINT32_C(1) << CAE_PRECISION) - sum)
            return CAE_ERROR_MODEL;
        if ((uint32_t)frequency > most) {
            most = (uint32_t)frequency;
            t->mode = i;
        }
        start[i] = sum;
        bits[i] = CAE_PRECISION - log2_of((uint32_t)frequency);
        sum += (uint32_t)frequency;
    }
    start[entries] = sum;
    if (sum != UINT32_C(1) << CAE_PRECISION)
        return CAE_ERROR_MODEL;
    for (uint32_t g = 0; g < GUESSES; g++) {
        while (start[at + 1] <= g << (CAE_PRECISION - CAE_GUESS_BITS))
            at++;
        guess[g] = (cae_guess){start[at], start[at + 1] - start[at]};
        guessed[g] = (uint16_t)at;
    }
    guessed[GUESSES] = (uint16_t)(entries - 1);
    return CAE_OK;
}

int cae_tables_open(cae_tables *tables, const void *tail, size_t tails, const void *frequencies, size_t count) {
    memset(tables, 0, sizeof *tables);
    if (tails < CAE_SCALES || tails > CAE_MOST_TABLES || tails % 2)
        return CAE_ERROR_MODEL;
    tables->dense = CAE_SCALES - (int)(tails - CAE_SCALES) / 2;
    size_t entries = 0;
    for (size_t k = 0; k < tails; k++) {
        int32_t t = cae_read_i32(tail, k);
        if (t < 0 || t > CAE_SYMBOL_MAX)
            return CAE_ERROR_MODEL;
        tables->table[k].tail = t;
        entries += 2 * (size_t)t + 2;
    }
    if (entries != count)
        return CAE_ERROR_MODEL;
    int error = allocate(tables, tails, count);
    for (size_t k = 0, first = 0; !error && k < tails; k++) {
        cae_table *t = &tables->table[k], *zero = &tables->table[0];
        t->bits = zero->bits + first;
        t->start = zero->start + first + k;
        t->guess = zero->guess + k * GUESSES;
        t->guessed = zero->guessed + k * (GUESSES + 1);
        error = fill(t, frequencies, first);
        first += 2 * (size_t)t->tail + 2;
    }
    if (error)
        cae_tables_close(tables);
    return error;
}

void cae_tables_close(cae_tables *tables) {
    free(tables->memory);
    memset(tables, 0, sizeof *tables);
}

/* Eight sums side by side, as numpy's. */
double cae_symbols_cost(const cae_tables *tables, const int16_t *symbols, const uint8_t *index, size_t count) {
    double sums[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (int j = 0; j < 8; j++)
            sums[j] += cae_symbol_bits(tables, symbols[i + (size_t)j], index[i + (size_t)j]);
    double sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; i < count; i++)
        sum += cae_symbol_bits(tables, symbols[i], index[i]);
    return sum;
}
