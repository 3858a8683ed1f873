/* The walk over a tile's latents: z, then y in four steps. With h' and w' even:
 *
 *     known     (h', w', N + C)  int16: u, what is known of y, zero where nothing is; and psi
 *     stream    (h', w', K)      int32: an adaptor in each phase, and the trunk
 *     features  (h', w', K)      int16
 *     mean, index, symbols       of the batch: phase by phase, cell by cell, N/4 of each cell
 */
#include "photo.h"

#include "arithmetic.h"
#include "cae.h"
#include "rounding.h"

typedef struct {
    const cae_photo *photo;
    cae_coding *coding;
    int rows, columns;           /* h, w */
    int even_rows, even_columns; /* h', w' */
    int step;
    size_t phase_start[CAE_PHASES + 1]; /* positions of the batch before each phase */
    const int32_t *to_u, *to_y, *index_offset; /* rows of this quality */

    int16_t *known, *features;
    int32_t *stream, *sums; /* sums: a row of a head's outputs of each worker */
    int32_t *mean, *y_hat;
    uint8_t *index;
    int16_t *symbols, *work;
} walk;

/* Cells of a row (or rows of a column) of the given parity. */
static int half_of(int count, int parity) { return (count - parity + 1) / 2; }

static int16_t *known_at(const walk *w, int row, int column) {
    const cae_photo *p = w->photo;
    return w->known + ((ptrdiff_t)row * w->even_columns + column) * (p->n + p->psi);
}

/* Where the batch has the cells of a row and of columns of the parity, and of which group. */
static size_t part_at(const walk *w, int row, int parity, int *group) {
    int phase = CAE_PHASE_OF[row % 2][parity], cells = half_of(w->columns, parity);
    *group = w->step ^ phase;
    return w->phase_start[phase] + (size_t)(row / 2) * (size_t)cells * (size_t)(w->photo->n / CAE_STEPS);
}

static void run_first(void *context, int row, int worker) {
    walk *w = context;
    (void)worker;
    const cae_photo *p = w->photo;
    const int16_t *psi = known_at(w, row, 0) + p->n;
    cae_span span[1];
    cae_product job = cae_product_of(&p->first, &psi, p->n + p->psi, w->even_columns, span);
    job.kind = CAE_TO_HIDDEN;
    job.hidden = w->features + (ptrdiff_t)row * w->even_columns * p->context;
    job.out_step = p->context;
    p->kernels->product(&job);
}

static void run_adaptor(void *context, int row, int worker) {
    walk *w = context;
    (void)worker;
    const cae_photo *p = w->photo;
    int quarter = p->n / CAE_STEPS;
    for (int parity = 0; parity < 2; parity++) {
        int phase = CAE_PHASE_OF[row % 2][parity];
        const int16_t *u = known_at(w, row, parity);
        const int16_t *const x[] = {u, u + quarter, u + 2 * quarter, u + 3 * quarter, u + p->n};
        cae_span all[5], span[5];
        cae_product job =
            cae_product_of(&p->adaptor[w->step - 1], x, 2 * (p->n + p->psi), w->even_columns / 2, all);
        job.span = span;
        job.spans = 0;
        for (int step = 0; step < w->step; step++) /* groups that are still unknown are zero everywhere in this phase */
            span[job.spans++] = all[step ^ phase];
        span[job.spans++] = all[4];
        job.kind = CAE_TO_STREAM;
        job.lowest = 0;
        job.highest = CAE_STREAM;
        job.stream = w->stream + ((ptrdiff_t)row * w->even_columns + parity) * p->context;
        job.out_step = 2 * p->context;
        p->kernels->product(&job);
    }
}

/* Mean, scale index and, in an encoder, symbol of every position of a row of cells. */
static void run_head(void *context, int row, int worker) {
    walk *w = context;
    const cae_photo *p = w->photo;
    const cae_unrounded *given = w->coding->given;
    int quarter = p->n / CAE_STEPS;
    ptrdiff_t start = (ptrdiff_t)row * w->even_columns * p->context;
    int32_t *sums = w->sums + (ptrdiff_t)worker * w->even_columns / 2 * 2 * quarter;
    if (w->step > 0)
        p->kernels->narrow(w->stream + start, (size_t)w->even_columns * (size_t)p->context, p->context_narrow,
                           w->features + start);
    for (int parity = 0; parity < 2; parity++) {
        int group, cells = half_of(w->columns, parity);
        size_t at = part_at(w, row, parity, &group);
        ptrdiff_t channels = (ptrdiff_t)group * quarter;
        const int16_t *x = w->features + start + parity * p->context;
        cae_span span[1];
        cae_product job = cae_product_of(&p->head[w->step][group], &x, 2 * p->context, cells, span);
        job.kind = CAE_TO_STREAM;
        job.lowest = INT32_MIN;
        job.highest = INT32_MAX;
        job.stream = sums;
        job.out_step = 2 * quarter;
        p->kernels->product(&job);
        for (int cell = 0; cell < cells; cell++, at += (size_t)quarter) {
            const int32_t *out = sums + (ptrdiff_t)cell * 2 * quarter;
            p->kernels->times_to_mean(out, w->to_y + channels, p->to_y.shift + channels, quarter, w->mean + at);
            p->kernels->indices(out + quarter, w->index_offset + channels, quarter, w->index + at);
            if (given) {
                ptrdiff_t of_cell = (ptrdiff_t)row * w->columns + 2 * cell + parity;
                const float *weight = given->weight ? given->weight + channels : NULL;
                double strength = given->strength ? given->strength[of_cell] : 0;
                cae_round(p->tables, (size_t)quarter, given->y + of_cell * p->n + channels, w->mean + at, w->index + at,
                          weight, strength, w->symbols + at);
            }
        }
    }
}

/* Symbols of a row of cells -> y_hat, and what is known from now on. */
static void settle(void *context, int row, int worker) {
    walk *w = context;
    (void)worker;
    const cae_photo *p = w->photo;
    float *bits = w->coding->bits_y;
    int quarter = p->n / CAE_STEPS;
    for (int parity = 0; parity < 2; parity++) {
        int group, cells = half_of(w->columns, parity);
        size_t at = part_at(w, row, parity, &group);
        ptrdiff_t channels = (ptrdiff_t)group * quarter;
        for (int cell = 0; cell < cells; cell++, at += (size_t)quarter) {
            int column = 2 * cell + parity;
            ptrdiff_t of_cell = (ptrdiff_t)row * w->columns + column;
            int32_t *y_hat = w->y_hat + of_cell * p->n + channels;
            for (int k = 0; k < quarter; k++)
                y_hat[k] = w->symbols[at + (size_t)k] * CAE_ONE + w->mean[at + (size_t)k];
            if (w->step + 1 < CAE_STEPS)
                p->kernels->times_to_activation(y_hat, w->to_u + channels, p->to_u.shift + channels, quarter,
                                                known_at(w, row, column) + channels);
            if (bits)
                bits[of_cell] += cae_bits(p->tables, w->symbols + at, w->index + at, quarter);
        }
    }
}

static int run_step(walk *w, cae_threads *pool) {
    const cae_photo *p = w->photo;
    if (w->step == 0) {
        cae_parallel(pool, w->even_rows, run_first, w);
    } else {
        cae_parallel(pool, w->even_rows, run_adaptor, w);
        int error = cae_run_blocks(p->kernels, pool, p->trunk, p->trunk_blocks, w->stream, w->even_rows, w->even_columns);
        if (error)
            return error;
    }
    cae_parallel(pool, w->rows, run_head, w);
    int error = cae_code(w->coding, w->index, w->phase_start[CAE_PHASES], w->symbols, w->work);
    if (!error)
        cae_parallel(pool, w->rows, settle, w);
    return error;
}

/* Symbols of z, into w->symbols. */
static int walk_z(walk *w, int quality, size_t cells) {
    const cae_photo *p = w->photo;
    size_t z = (size_t)p->z, count = cells * z;
    const uint8_t *index = p->z_index + (size_t)(quality - 1) * z;
    for (size_t i = 0; i < count; i++)
        w->index[i] = index[i % z];
    if (w->coding->given) {
        const int32_t *mean = p->z_mean + (size_t)(quality - 1) * z;
        for (size_t i = 0; i < cells; i++)
            cae_round(p->tables, z, w->coding->given->z + i * z, mean, index, NULL, 0, w->symbols + i * z);
    }
    int error = cae_code(w->coding, w->index, count, w->symbols, w->work);
    for (size_t i = 0; !error && w->coding->bits_z && i < cells; i++)
        w->coding->bits_z[i] = cae_bits(p->tables, w->symbols + i * z, index, p->z);
    return error;
}

int cae_walk_photo(const cae_photo *p, cae_threads *pool, int quality, int rows, int columns, cae_coding *coding,
                   int32_t *y_hat) {
    cae_memory memory = {0};
    walk w = {.photo = p, .coding = coding, .rows = rows, .columns = columns, .y_hat = y_hat};
    w.even_rows = rows + rows % 2;
    w.even_columns = columns + columns % 2;
    int hz = (rows + 3) / 4, wz = (columns + 3) / 4;
    size_t cells = (size_t)w.even_rows * (size_t)w.even_columns, quarter = (size_t)p->n / CAE_STEPS;
    for (int i = 0; i < CAE_PHASES; i++) {
        static const int parity[CAE_PHASES][2] = {{0, 0}, {1, 1}, {0, 1}, {1, 0}};
        size_t of_phase = (size_t)half_of(rows, parity[i][0]) * (size_t)half_of(columns, parity[i][1]);
        w.phase_start[i + 1] = w.phase_start[i] + of_phase * quarter;
    }
    ptrdiff_t at = (ptrdiff_t)(quality - 1) * p->n;
    w.to_u = p->to_u.factor + at;
    w.to_y = p->to_y.factor + at;
    w.index_offset = p->index + at;

    size_t of_y = cells * quarter, of_z = (size_t)hz * (size_t)wz * (size_t)p->z;
    size_t most = of_y > of_z ? of_y : of_z; /* symbols of a batch */
    w.known = cae_take(&memory, cells * (size_t)(p->n + p->psi), sizeof *w.known);
    w.features = cae_take(&memory, cells * (size_t)p->context, sizeof *w.features);
    w.stream = cae_take(&memory, cells * (size_t)p->context, sizeof *w.stream);
    w.sums = cae_take(&memory, (size_t)cae_thread_count(pool) * (size_t)w.even_columns * quarter, sizeof *w.sums);
    w.mean = cae_take(&memory, of_y, sizeof *w.mean);
    w.index = cae_take(&memory, most, sizeof *w.index);
    w.symbols = cae_take(&memory, most, sizeof *w.symbols);
    w.work = cae_take(&memory, most, sizeof *w.work);
    int error = memory.failed ? CAE_ERROR_MEMORY : walk_z(&w, quality, (size_t)hz * (size_t)wz);
    if (!error)
        error = cae_photo_psi(p, pool, quality, hz, wz, w.symbols, w.even_rows, w.even_columns, w.known + p->n,
                              p->n + p->psi);
    for (size_t i = 0; coding->bits_y && i < (size_t)rows * (size_t)columns; i++)
        coding->bits_y[i] = 0;
    for (w.step = 0; !error && w.step < CAE_STEPS; w.step++)
        error = run_step(&w, pool);
    cae_give_back(&memory);
    return error;
}
