#include "trellis.h"

/* As in rounding.c: encoders on all machines shall find the same path. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

/* Of a latent: the smaller of its two symbols under each quantiser, by size, and by which way each state was come to. */
typedef struct {
    int16_t low[2];
    uint8_t came; /* a bit for each state: 1 is the second of the two before it */
} trace;

/* The two states before each, and the parities that lead there. */
static const struct {
    uint8_t state[2], odd[2];
} BEFORE[CAE_STATES] = {
    {{0, 4}, {0, 1}}, {{2, 6}, {0, 1}}, {{0, 4}, {1, 0}}, {{2, 6}, {1, 0}},
    {{3, 5}, {1, 0}}, {{1, 7}, {0, 1}}, {{3, 5}, {0, 1}}, {{1, 7}, {1, 0}},
};

size_t cae_path_room(size_t count) { return count * sizeof(trace); }

/* The symbols on both sides of a latent, of which one is odd: the smaller sizes by quantiser, and costs by quantiser and
 * parity. */
static void candidates(const cae_tables *tables, const cae_on_path *latent, double per_step, double step, int16_t *low,
                       double cost[2][2]) {
    double size = latent->residual < 0 ? -latent->residual : latent->residual;
    int sign = latent->residual < 0 ? -1 : 1;
    for (int second = 0; second < 2; second++) {
        double half = (size * per_step + second) * 0.5;
        int smaller = half < CAE_DEPENDENT_MAX - 1 ? (int)half : CAE_DEPENDENT_MAX - 1;
        int number = cae_table_number(tables, latent->index, second);
        low[second] = (int16_t)smaller;
        for (int symbol = smaller; symbol <= smaller + 1; symbol++) {
            double error = size - (2 * symbol - second * (symbol > 0)) * step;
            double bits = cae_symbol_bits(tables, sign * symbol, number);
            cost[second][symbol & 1] = error * error * latent->weight + latent->strength * bits;
        }
    }
}

void cae_best_path(const cae_tables *tables, const cae_on_path *latents, size_t count, int step, void *room,
                   int16_t *symbols, uint8_t *number) {
    trace *traces = room;
    double per_step = 1024.0 / step, unit = step / 1024.0, total[CAE_STATES] = {0};
    for (int state = 1; state < CAE_STATES; state++)
        total[state] = __builtin_inf();
    for (size_t i = 0; i < count; i++) {
        double cost[2][2], least[CAE_STATES];
        candidates(tables, &latents[i], per_step, unit, traces[i].low, cost);
        unsigned came = 0;
        for (int state = 0; state < CAE_STATES; state++) {
            int a = BEFORE[state].state[0], b = BEFORE[state].state[1];
            double first = total[a] + cost[a & 1][BEFORE[state].odd[0]];
            double second = total[b] + cost[b & 1][BEFORE[state].odd[1]];
            came |= (unsigned)(second < first) << state;
            least[state] = second < first ? second : first;
        }
        traces[i].came = (uint8_t)came;
        for (int state = 0; state < CAE_STATES; state++)
            total[state] = least[state];
    }
    int state = 0;
    for (int other = 1; other < CAE_STATES; other++)
        if (total[other] < total[state])
            state = other;
    for (size_t i = count; i-- > 0;) {
        int way = traces[i].came >> state & 1, odd = BEFORE[state].odd[way];
        state = BEFORE[state].state[way];
        int second = state & 1, size = traces[i].low[second];
        size += (size ^ odd) & 1;
        symbols[latents[i].place] = (int16_t)(latents[i].residual < 0 ? -size : size);
        number[latents[i].place] = (uint8_t)cae_table_number(tables, latents[i].index, second);
    }
}
