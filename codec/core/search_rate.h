/* search_rate.h: what a symbol costs under a discretised Gaussian, and how that grows with its scale index.
 *
 * -log2 P(v - 1/2 < N(0, scale) < v + 1/2), at most 24 (Balle 2018, arXiv:1802.01436; Minnen 2018, arXiv:1809.02736). The
 * tables that symbols are coded with are made from it, for whole indices; between these it has a slope.
 */
#ifndef CAE_SEARCH_RATE_H
#define CAE_SEARCH_RATE_H

#include "tables.h"

enum { CAE_RATE_SYMBOLS = 64, CAE_RATE_NODES = 2 * (CAE_SCALES - 1) + 1 };

/* Bits at every half index and their slopes to the next node, of symbols 0 to 63 by magnitude. */
typedef struct {
    float bits[CAE_RATE_SYMBOLS][CAE_RATE_NODES], slope[CAE_RATE_SYMBOLS][CAE_RATE_NODES];
} cae_rate;

void cae_rate_open(cae_rate *rate);

/* index: any real; one below 0 or above 63 counts as these, and its slope is 0 where it points outwards. */
float cae_rate_bits(const cae_rate *rate, float symbol, float index, float *slope);

/* The same of a dependent symbol under a quantiser: between the tables of whole indices a straight line. */
float cae_rate_dependent(const cae_tables *tables, int symbol, int second, float index, float *slope);

/* The symbol of a value at this distance from its mean: nearest, or one nearer to zero where that saves more rate than it costs
 * distortion; weight and strength as in rounding.h. */
float cae_float_choice(const cae_tables *tables, float residual, float index, float weight, float strength);

#endif
