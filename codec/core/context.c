/* The walk in four steps. With h' and w' even:
 *
 *     known     (h', w', N + C)  int16: u, what is known of the latents, zero where nothing is; and psi
 *     stream    (h', w', K)      int32: an adaptor in each phase, and the trunk
 *     features  (h', w', K)      int16
 *     mean, index, symbols       of the batch: phase by phase, cell by cell, N/4 of each cell
 */
#include "context.h"

#include "arithmetic.h"
#include "cae.h"
#include "rounding.h"
#include "trellis.h"

#include <stdio.h>

void cae_load_context(cae_loader *loader, const char *part, const char *prefix, cae_context *c) {
    char name[64];
    snprintf(name, sizeof name, "quality.%sto_u", prefix);
    c->n = cae_load_side(loader, name, CAE_I32, 1);
    cae_load_multiplier(loader, name, loader->rows, c->n, &c->to_u);
    snprintf(name, sizeof name, "quality.%sto_y", prefix);
    cae_load_multiplier(loader, name, loader->rows, c->n, &c->to_y);
    snprintf(name, sizeof name, "quality.%sindex", prefix);
    c->index = cae_load_table(loader, name, loader->rows, c->n, CAE_STREAM);
    snprintf(name, sizeof name, "int.%s.first.weight", part);
    c->psi = cae_load_side(loader, name, CAE_I16, 0);
    c->width = cae_load_side(loader, name, CAE_I16, 1);
    if (!loader->error && c->n % CAE_STEPS)
        loader->error = CAE_ERROR_MODEL;
    snprintf(name, sizeof name, "int.%s.first", part);
    cae_load_even_layer(loader, name, 1, c->psi, c->width, 0, &c->first);
    snprintf(name, sizeof name, "int.%s.trunk", part);
    c->trunk = cae_load_blocks(loader, name, c->width, &c->trunk_blocks);
    int quarter = c->n / CAE_STEPS;
    for (int step = 0; step < CAE_STEPS; step++) {
        if (step > 0) {
            int lengths[] = {quarter, quarter, quarter, quarter, c->psi};
            snprintf(name, sizeof name, "int.%s.adaptors.%d", part, step - 1);
            cae_load_layer(loader, name, 5, lengths, c->width, 0, &c->adaptor[step - 1]);
        }
        for (int group = 0; group < CAE_STEPS; group++) {
            snprintf(name, sizeof name, "int.%s.head.%d.%d", part, step, group);
            cae_load_even_layer(loader, name, 1, c->width, 2 * quarter, 0, &c->head[step][group]);
        }
    }
    snprintf(name, sizeof name, "int.%s.narrow", part);
    c->narrow = cae_load_number(loader, name, CAE_MOST_NARROW);
}

typedef struct {
    const cae_walk *w;
    int even_rows, even_columns; /* h', w' */
    int step;
    size_t phase_start[CAE_PHASES + 1]; /* positions of the batch before each phase */
    const int32_t *to_u, *to_y, *index_offset; /* rows of this quality */

    int16_t *features;
    int32_t *stream, *sums; /* sums: a row of a head's outputs of each worker */
    int32_t *mean;
    uint8_t *index;
    int16_t *symbols, *work;
    int step_of_path; /* of dependent quantisation, or 0 */
    uint8_t *number;  /* of the tables of symbols: where all are plain, `index` */
    cae_on_path *latents, *path; /* what an encoder has on the path, by position and in the order of coding */
    void *path_room;
} run;

/* Cells of a row (or rows of a column) of the given parity. */
static int half_of(int count, int parity) { return (count - parity + 1) / 2; }

static int16_t *known_at(const run *r, int row, int column) {
    const cae_context *c = r->w->context;
    return r->w->known + ((ptrdiff_t)row * r->even_columns + column) * (c->n + c->psi);
}

/* Where the batch has the cells of a row and of columns of the parity, and of which group. */
static size_t part_at(const run *r, int row, int parity, int *group) {
    int phase = CAE_PHASE_OF[row % 2][parity], cells = half_of(r->w->columns, parity);
    *group = r->step ^ phase;
    return r->phase_start[phase] + (size_t)(row / 2) * (size_t)cells * (size_t)(r->w->context->n / CAE_STEPS);
}

static void run_first(void *context, int row, int worker) {
    run *r = context;
    (void)worker;
    const cae_context *c = r->w->context;
    const int16_t *psi = known_at(r, row, 0) + c->n;
    cae_span span[1];
    cae_product job = cae_product_of(&c->first, &psi, c->n + c->psi, r->even_columns, span);
    job.kind = CAE_TO_HIDDEN;
    job.hidden = r->features + (ptrdiff_t)row * r->even_columns * c->width;
    job.out_step = c->width;
    r->w->kernels->product(&job);
}

static void run_adaptor(void *context, int row, int worker) {
    run *r = context;
    (void)worker;
    const cae_context *c = r->w->context;
    int quarter = c->n / CAE_STEPS;
    for (int parity = 0; parity < 2; parity++) {
        int phase = CAE_PHASE_OF[row % 2][parity];
        const int16_t *u = known_at(r, row, parity);
        const int16_t *const x[] = {u, u + quarter, u + 2 * quarter, u + 3 * quarter, u + c->n};
        cae_span all[5], span[5];
        cae_product job =
            cae_product_of(&c->adaptor[r->step - 1], x, 2 * (c->n + c->psi), r->even_columns / 2, all);
        job.span = span;
        job.spans = 0;
        for (int step = 0; step < r->step; step++) /* groups that are still unknown are zero everywhere in this phase */
            span[job.spans++] = all[step ^ phase];
        span[job.spans++] = all[4];
        job.kind = CAE_TO_STREAM;
        job.lowest = 0;
        job.highest = CAE_STREAM;
        job.stream = r->stream + ((ptrdiff_t)row * r->even_columns + parity) * c->width;
        job.out_step = 2 * c->width;
        r->w->kernels->product(&job);
    }
}

/* Of a cell's positions from `at` on, those that are on the path. */
static void lay_out(run *r, size_t at, const float *values, const float *weight, double strength) {
    int quarter = r->w->context->n / CAE_STEPS;
    for (size_t k = 0; k < (size_t)quarter; k++) {
        if (r->index[at + k] < r->w->tables->dense)
            continue;
        double residual = ((double)values[k] * 1024 - r->mean[at + k]) * (1.0 / 1024);
        cae_on_path *latent = &r->latents[at + k];
        latent->residual = residual == residual ? residual : 0;
        latent->weight = weight ? weight[k] : 1;
        latent->strength = weight ? cae_path_strength(strength) : 0;
    }
}

/* Mean, scale index and, in an encoder, symbol of every position of a row of cells. */
static void run_head(void *context, int row, int worker) {
    run *r = context;
    const cae_walk *w = r->w;
    const cae_context *c = r->w->context;
    const cae_targets *given = w->given;
    int quarter = c->n / CAE_STEPS;
    ptrdiff_t start = (ptrdiff_t)row * r->even_columns * c->width;
    int32_t *sums = r->sums + (ptrdiff_t)worker * r->even_columns / 2 * 2 * quarter;
    if (r->step > 0)
        w->kernels->narrow(r->stream + start, (size_t)r->even_columns * (size_t)c->width, c->narrow,
                           r->features + start);
    for (int parity = 0; parity < 2; parity++) {
        int group, cells = half_of(w->columns, parity);
        size_t at = part_at(r, row, parity, &group);
        ptrdiff_t channels = (ptrdiff_t)group * quarter;
        const int16_t *x = r->features + start + parity * c->width;
        cae_span span[1];
        cae_product job = cae_product_of(&c->head[r->step][group], &x, 2 * c->width, cells, span);
        job.kind = CAE_TO_STREAM;
        job.lowest = INT32_MIN;
        job.highest = INT32_MAX;
        job.stream = sums;
        job.out_step = 2 * quarter;
        w->kernels->product(&job);
        for (int cell = 0; cell < cells; cell++, at += (size_t)quarter) {
            const int32_t *out = sums + (ptrdiff_t)cell * 2 * quarter;
            w->kernels->times_to_mean(out, r->to_y + channels, c->to_y.shift + channels, quarter, r->mean + at);
            w->kernels->indices(out + quarter, r->index_offset + channels, quarter, r->index + at);
            if (given) {
                ptrdiff_t of_cell = (ptrdiff_t)row * w->columns + 2 * cell + parity;
                const float *weight = given->weight ? given->weight + channels : NULL;
                double strength = given->strength ? given->strength[of_cell] : 0;
                const float *values = given->values + of_cell * c->n + channels;
                cae_round(w->tables, (size_t)quarter, values, r->mean + at, r->index + at, weight, strength,
                          r->symbols + at);
                if (r->step_of_path)
                    lay_out(r, at, values, weight, strength);
            }
        }
    }
}

/* Symbols of a row of cells -> their values, and what is known from now on. */
static void settle(void *context, int row, int worker) {
    run *r = context;
    (void)worker;
    const cae_walk *w = r->w;
    const cae_context *c = r->w->context;
    int quarter = c->n / CAE_STEPS;
    for (int parity = 0; parity < 2; parity++) {
        int group, cells = half_of(w->columns, parity);
        size_t at = part_at(r, row, parity, &group);
        ptrdiff_t channels = (ptrdiff_t)group * quarter;
        for (int cell = 0; cell < cells; cell++, at += (size_t)quarter) {
            int column = 2 * cell + parity;
            ptrdiff_t of_cell = (ptrdiff_t)row * w->columns + column;
            int32_t *hat = w->hat + of_cell * c->n + channels;
            for (size_t k = 0; k < (size_t)quarter; k++)
                hat[k] = cae_offset(r->symbols[at + k], r->number[at + k], r->step_of_path) + r->mean[at + k];
            if (r->step + 1 < CAE_STEPS)
                w->kernels->times_to_activation(hat, r->to_u + channels, c->to_u.shift + channels, quarter,
                                                known_at(r, row, column) + channels);
            if (w->bits)
                w->bits[of_cell] += cae_bits(w->tables, r->symbols + at, r->number + at, quarter);
        }
    }
}

/* The symbols of a batch as they are coded: those on the path are chosen here, or read. */
static int code_batch(run *r) {
    const cae_walk *w = r->w;
    size_t count = r->phase_start[CAE_PHASES];
    if (!r->step_of_path)
        return cae_code(w->coding, r->index, count, r->symbols, r->work);
    if (w->given) {
        size_t begin[CAE_SCALES] = {0}, length = 0;
        for (size_t i = 0; i < count; i++)
            begin[r->index[i]]++;
        for (int k = w->tables->dense; k < CAE_SCALES; k++) {
            size_t here = begin[k];
            begin[k] = length;
            length += here;
        }
        memcpy(r->number, r->index, count);
        for (size_t i = 0; i < count; i++) {
            if (r->index[i] < w->tables->dense)
                continue;
            cae_on_path *latent = &r->path[begin[r->index[i]]++];
            *latent = r->latents[i];
            latent->index = r->index[i];
            latent->place = (uint32_t)i;
        }
        cae_best_path(w->tables, r->path, length, r->step_of_path, r->path_room, r->symbols, r->number);
    }
    return cae_code_dependent(w->coding, r->index, r->number, count, r->symbols, r->work);
}

static int run_step(run *r, cae_threads *pool) {
    const cae_walk *w = r->w;
    const cae_context *c = r->w->context;
    if (r->step == 0) {
        cae_parallel(pool, r->even_rows, run_first, r);
    } else {
        cae_parallel(pool, r->even_rows, run_adaptor, r);
        int error = cae_run_blocks(w->kernels, pool, c->trunk, c->trunk_blocks, r->stream, r->even_rows, r->even_columns);
        if (error)
            return error;
    }
    cae_parallel(pool, w->rows, run_head, r);
    int error = code_batch(r);
    if (!error)
        cae_parallel(pool, w->rows, settle, r);
    return error;
}

int cae_walk_cells(const cae_walk *w, cae_threads *pool) {
    const cae_context *c = w->context;
    cae_memory memory = {0};
    run r = {.w = w};
    r.even_rows = w->rows + w->rows % 2;
    r.even_columns = w->columns + w->columns % 2;
    size_t cells = (size_t)r.even_rows * (size_t)r.even_columns, quarter = (size_t)c->n / CAE_STEPS;
    for (int i = 0; i < CAE_PHASES; i++) {
        size_t of_phase = (size_t)half_of(w->rows, CAE_PARITY_OF[i][0]) * (size_t)half_of(w->columns, CAE_PARITY_OF[i][1]);
        r.phase_start[i + 1] = r.phase_start[i] + of_phase * quarter;
    }
    ptrdiff_t at = (ptrdiff_t)(w->quality - 1) * c->n;
    r.to_u = c->to_u.factor + at;
    r.to_y = c->to_y.factor + at;
    r.index_offset = c->index + at;

    r.features = cae_take(&memory, cells * (size_t)c->width, sizeof *r.features);
    r.stream = cae_take(&memory, cells * (size_t)c->width, sizeof *r.stream);
    r.sums = cae_take(&memory, (size_t)cae_thread_count(pool) * (size_t)r.even_columns * quarter, sizeof *r.sums);
    r.mean = cae_take(&memory, cells * quarter, sizeof *r.mean);
    r.index = cae_take(&memory, cells * quarter, sizeof *r.index);
    r.symbols = cae_take(&memory, cells * quarter, sizeof *r.symbols);
    r.step_of_path = c->step ? c->step[w->quality - 1] : 0;
    r.work = cae_take(&memory, (r.step_of_path && w->given ? 2 : 1) * cells * quarter, sizeof *r.work);
    r.number = r.step_of_path ? cae_take(&memory, cells * quarter, sizeof *r.number) : r.index;
    if (r.step_of_path && w->given) {
        r.latents = cae_take(&memory, cells * quarter, sizeof *r.latents);
        r.path = cae_take(&memory, cells * quarter, sizeof *r.path);
        r.path_room = cae_take(&memory, cae_path_room(cells * quarter), 1);
    }
    for (size_t i = 0; w->bits && i < (size_t)w->rows * (size_t)w->columns; i++)
        w->bits[i] = 0;
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    for (r.step = 0; !error && r.step < CAE_STEPS; r.step++)
        error = run_step(&r, pool);
    cae_give_back(&memory);
    return error;
}
