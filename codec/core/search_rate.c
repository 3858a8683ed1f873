#include "search_rate.h"

#include <math.h>

static const double SCALE_MIN = 0.11, SCALE_MAX = 64.0;
static const float MOST_BITS = 24;
static const double HALF_ROOT = 0.70710678118654752, DENSITY = 0.39894228040143268; /* of N(0, 1) at 0 */
static const double BITS_PER_NAT = 1.4426950408889634;

/* Bits of symbol v at a real index within 0..63, and their slope, without a bound: where there is one is a bend. */
static double exact(double v, double index, double *slope) {
    double step = log(SCALE_MAX / SCALE_MIN) / (CAE_SCALES - 1), scale = SCALE_MIN * exp(index * step);
    double low = (v - 0.5) / scale, high = (v + 0.5) / scale;
    double mass = 0.5 * (erfc(low * HALF_ROOT) - erfc(high * HALF_ROOT));
    *slope = 0;
    if (mass < 1e-300)
        return 1000;
    double grows = DENSITY * (low * exp(-low * low / 2) - high * exp(-high * high / 2)); /* of mass, with log(scale) */
    *slope = -BITS_PER_NAT * grows / mass * step;
    return -log2(mass);
}

void cae_rate_open(cae_rate *rate) {
    for (int v = 0; v < CAE_RATE_SYMBOLS; v++) {
        for (int node = 0; node < CAE_RATE_NODES; node++) {
            double slope;
            rate->bits[v][node] = (float)exact(v, node * 0.5, &slope);
            rate->slope[v][node] = (float)(slope * 0.5);
        }
    }
}

float cae_rate_bits(const cae_rate *rate, float symbol, float index, float *slope) {
    float size = symbol < 0 ? -symbol : symbol, found;
    float within = index > 0 ? index < CAE_SCALES - 1 ? index : CAE_SCALES - 1 : 0;
    if (size < CAE_RATE_SYMBOLS) { /* a cubic through both nodes (Hermite) */
        int v = (int)size, node = (int)(within * 2);
        node = node < CAE_RATE_NODES - 1 ? node : CAE_RATE_NODES - 2;
        float t = within * 2 - (float)node, b0 = rate->bits[v][node], b1 = rate->bits[v][node + 1];
        float s0 = rate->slope[v][node], s1 = rate->slope[v][node + 1];
        float square = 3 * (b1 - b0) - 2 * s0 - s1, cube = s0 + s1 - 2 * (b1 - b0);
        found = b0 + t * (s0 + t * (square + t * cube));
        *slope = 2 * (s0 + t * (2 * square + t * 3 * cube));
    } else {
        double grows, bits = exact(size, within, &grows);
        found = (float)bits;
        *slope = (float)grows;
    }
    if (found > MOST_BITS) {
        *slope = 0;
        return MOST_BITS;
    }
    if ((index < 0 && *slope > 0) || (index > CAE_SCALES - 1 && *slope < 0))
        *slope = 0;
    return found;
}

float cae_rate_dependent(const cae_tables *tables, int symbol, int second, float index, float *slope) {
    float lowest = (float)tables->dense, highest = CAE_SCALES - 1;
    float within = index > lowest ? index < highest ? index : highest : lowest;
    int node = (int)within, next = node < CAE_SCALES - 1 ? node + 1 : node;
    double below = cae_symbol_bits(tables, symbol, cae_table_number(tables, node, second));
    double above = cae_symbol_bits(tables, symbol, cae_table_number(tables, next, second));
    *slope = index < lowest ? 0 : (float)(above - below);
    return (float)below + (within - (float)node) * *slope;
}

float cae_float_choice(const cae_tables *tables, float residual, float index, float weight, float strength) {
    float symbol = floorf(residual + 0.5f);
    if (symbol == 0 || !(symbol == symbol))
        return symbol;
    float nearer = symbol > 0 ? symbol - 1 : symbol + 1, size = fabsf(symbol), saved = 0;
    float within = index > 0 ? index < CAE_SCALES - 1 ? index : CAE_SCALES - 1 : 0;
    const cae_table *t = &tables->table[(int)(within + 0.5f)];
    if (size <= (float)t->tail) {
        const double *bits = t->bits + t->tail + (int)size;
        saved = (float)(bits[0] - bits[-1]) * strength;
    }
    float error = residual - symbol, error_nearer = residual - nearer;
    return (error_nearer * error_nearer - error * error) * weight < saved ? nearer : symbol;
}
