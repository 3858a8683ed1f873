/* The walk of context.c over y, in float32. With K = width and q = N/4:
 *
 *     start    (h, w, K)   what a step's adaptor makes of psi alone: the same in all rounds
 *     stream   (h, w, K)   an adaptor of what is known too, ReLU, the trunk
 *     sums     (w/2, 2q)   means and indices of a row's cells of one phase, for the group that a step codes there
 *
 * A step's symbols move y_hat as they are chosen; what is chosen does not follow a slope, but means do: y_hat = symbol +
 * mean, so that whatever grows with y_hat grows with the mean, and with what the mean is made of. Bits grow with indices.
 */
#include "search_walk.h"

#include "arithmetic.h"
#include "cae.h"
#include "rounding.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

void cae_load_float_context(cae_float_loader *loader, const cae_photo *photo, cae_float_context *c) {
    *c = (cae_float_context){.photo = photo, .exact = &photo->of_y};
    const cae_context *exact = c->exact;
    int n = exact->n, quarter = n / CAE_STEPS;
    char name[64];
    cae_load_float_layer(loader, "int.context.first", exact->psi, exact->width, 1, &c->first, NULL, NULL);
    for (int step = 0; step < CAE_STEPS; step++) {
        snprintf(name, sizeof name, "int.context.adaptors.%d", step - 1);
        if (step > 0)
            cae_load_float_layer(loader, name, n + exact->psi, exact->width, 1, &c->adaptor[step - 1], NULL, NULL);
        for (int group = 0; group < CAE_STEPS; group++) {
            if (step > 0)
                cae_load_float_part_back(loader, name, n + exact->psi, exact->width, group * quarter, quarter,
                                         &c->adaptor_back[step - 1][group]);
        }
        for (int group = 0; group < CAE_STEPS; group++) {
            snprintf(name, sizeof name, "int.context.head.%d.%d", step, group);
            cae_load_float_layer(loader, name, exact->width, 2 * quarter, 1, &c->head[step][group],
                                 &c->head_back[step][group], NULL);
        }
    }
    c->trunk = cae_load_float_blocks(loader, "int.context.trunk", exact->width, exact->trunk_blocks);
    c->head_unit = cae_load_float_narrow(loader, "int.context.narrow");
    cae_rate_open(&c->rate);
}

typedef struct {
    cae_float_walk *w;
    const float *psi; /* (rows, columns, C) */
    const float *target, *strength;
    float *y_hat, *slope;
    int step, keeps;
} run;

static const cae_context *exact_of(const run *r) { return r->w->context->exact; }
static ptrdiff_t cells_before(const run *r, int row) { return (ptrdiff_t)row * r->w->columns; }
static float *scratch_of(const run *r, int worker) { return r->w->scratch + (size_t)worker * r->w->scratch_count; }
static float *stream_row(const run *r, int row) { return r->w->stream + cells_before(r, row) * exact_of(r)->width; }

/* A head at a row's cells of one column parity: sums (columns/2, 2q). */
static void run_head(const run *r, int group, const float *x, float *sums) {
    int wide = exact_of(r)->width, outputs = exact_of(r)->n / 2;
    const cae_float_layer *head = &r->w->context->head[r->step][group];
    cae_float_product job = cae_float_product_of(head, x, 2 * wide, r->w->columns / 2, sums, outputs);
    r->w->kernels->product(&job);
}

/* What does not change from round to round: adaptors of psi, and all of step 0. */
static void run_start(void *context, int row, int worker) {
    const run *r = context;
    cae_float_walk *w = r->w;
    const cae_context *c = exact_of(r);
    int wide = c->width, outputs = c->n / 2;
    ptrdiff_t cells = cells_before(r, row);
    const float *psi = r->psi + cells * c->psi;
    float *features = scratch_of(r, worker), *sums = features + (ptrdiff_t)w->columns * wide;
    for (int step = 1; step < CAE_STEPS; step++) {
        float *out = w->start[step - 1] + cells * wide;
        cae_float_product job =
            cae_float_product_of(&w->context->adaptor[step - 1], psi, c->psi, w->columns, out, wide);
        job.span[0] = (cae_float_span){psi, c->psi, c->n};
        w->kernels->product(&job);
    }
    cae_float_product job = cae_float_product_of(&w->context->first, psi, c->psi, w->columns, features, wide);
    w->kernels->product(&job);
    w->kernels->rectify(features, (size_t)w->columns * (size_t)wide, FLT_MAX, NULL);
    for (int parity = 0; parity < 2; parity++) {
        run_head(r, CAE_PHASE_OF[row % 2][parity], features + (ptrdiff_t)parity * wide, sums);
        for (int i = 0; i < w->columns / 2; i++)
            memcpy(w->first + (cells + 2 * i + parity) * outputs, sums + (ptrdiff_t)i * outputs,
                   (size_t)outputs * sizeof *sums);
    }
}

/* The adaptor of a row: psi's part, and that of the groups that are known in each phase. */
static void run_adaptor(void *context, int row, int worker) {
    const run *r = context;
    cae_float_walk *w = r->w;
    (void)worker;
    const cae_context *c = exact_of(r);
    int quarter = c->n / CAE_STEPS, wide = c->width;
    ptrdiff_t cells = cells_before(r, row);
    size_t count = (size_t)w->columns * (size_t)wide;
    float *stream = stream_row(r, row);
    memcpy(stream, w->start[r->step - 1] + cells * wide, count * sizeof *stream);
    for (int parity = 0; parity < 2; parity++) {
        int phase = CAE_PHASE_OF[row % 2][parity];
        const float *u = w->known + (cells + parity) * c->n;
        cae_float_product job = cae_float_product_of(&w->context->adaptor[r->step - 1], NULL, 2 * c->n, w->columns / 2,
                                                     stream + (ptrdiff_t)parity * wide, 2 * wide);
        job.bias = NULL;
        job.spans = 0;
        for (int step = 0; step < r->step; step++) {
            int first = (step ^ phase) * quarter;
            job.span[job.spans++] = (cae_float_span){u + first, quarter, first};
        }
        w->kernels->product(&job);
    }
    w->kernels->rectify(stream, count, FLT_MAX, r->keeps ? w->kept_adaptor[r->step - 1] + cells * wide : NULL);
}

/* Where means and indices of a row's cells of one column parity are, of the group that a step codes there. */
static const float *found_at(const run *r, int row, int parity, const float *sums, int i) {
    const cae_float_walk *w = r->w;
    int outputs = exact_of(r)->n / 2;
    ptrdiff_t cell = cells_before(r, row) + 2 * i + parity;
    if (r->step == 0)
        return w->first + cell * outputs;
    return w->step_of_path ? w->found + cell * outputs : sums + (ptrdiff_t)i * outputs;
}

/* A real scale index as the tables have it. */
static int whole_index(float index) {
    float within = index > 0 ? index < CAE_SCALES - 1 ? index : CAE_SCALES - 1 : 0;
    return (int)(within + 0.5f);
}

/* Symbols of one group of one cell, of means and indices as a head gives them; those on the path have been chosen. */
static double choose_cell(const run *r, ptrdiff_t cell, int group, const float *sums) {
    cae_float_walk *w = r->w;
    const cae_context *c = exact_of(r);
    int quarter = c->n / CAE_STEPS, first = group * quarter;
    ptrdiff_t at = cell * c->n + first;
    const cae_tables *tables = w->context->photo->tables;
    const float *to_y = w->to_y + first, *to_u = w->to_u + first, *offset = w->index_offset + first;
    double bits = 0;
    for (int k = 0; k < quarter; k++) {
        float mean = sums[k] * to_y[k], index = (sums[quarter + k] + offset[k]) * (1.0f / CAE_ONE), value;
        if (w->step_of_path && whole_index(index) >= tables->dense) {
            int symbol = w->symbols[at + k], number = w->number[at + k];
            value = (float)cae_offset(symbol, number, w->step_of_path) * (1.0f / CAE_ONE);
            bits += (double)cae_rate_dependent(tables, symbol, number & 1, index, &w->of_index[at + k]);
        } else {
            value = cae_float_choice(tables, r->target[at + k] - mean, index, w->weight[first + k], r->strength[cell]);
            bits += (double)cae_rate_bits(&w->context->rate, value, index, &w->of_index[at + k]);
        }
        r->y_hat[at + k] = value + mean;
        w->known[at + k] = (value + mean) * to_u[k];
    }
    return bits;
}

/* Means and indices of a row's cells -> sums, or `found`. */
static void run_heads(void *context, int row, int worker) {
    const run *r = context;
    cae_float_walk *w = r->w;
    const cae_context *c = exact_of(r);
    int wide = c->width, outputs = c->n / 2;
    float *features = stream_row(r, row), *sums = scratch_of(r, worker);
    for (size_t i = 0; i < (size_t)w->columns * (size_t)wide; i++)
        features[i] *= w->context->head_unit;
    for (int parity = 0; parity < 2; parity++) {
        run_head(r, r->step ^ CAE_PHASE_OF[row % 2][parity], features + (ptrdiff_t)parity * wide, sums);
        for (int i = 0; i < w->columns / 2; i++)
            memcpy(w->found + (cells_before(r, row) + 2 * i + parity) * outputs, sums + (ptrdiff_t)i * outputs,
                   (size_t)outputs * sizeof *sums);
    }
}

/* Writes those latents of a cell that are on the path, each to the place that `at_index` has for its scale index, which
 * moves on by one. Where `path` is NULL they are only counted. */
static void lay_out(const run *r, int row, int column, cae_on_path *path, size_t *at_index) {
    const cae_float_walk *w = r->w;
    const cae_context *c = exact_of(r);
    int quarter = c->n / CAE_STEPS, first = (r->step ^ CAE_PHASE_OF[row % 2][column % 2]) * quarter;
    const float *sums = found_at(r, row, column % 2, NULL, column / 2);
    ptrdiff_t cell = cells_before(r, row) + column;
    for (int k = 0; k < quarter; k++) {
        int index = whole_index((sums[quarter + k] + w->index_offset[first + k]) * (1.0f / CAE_ONE));
        if (index < w->context->photo->tables->dense)
            continue;
        size_t place = (size_t)cell * (size_t)c->n + (size_t)(first + k), at = at_index[index]++;
        if (!path)
            continue;
        double residual = (double)(r->target[place] - sums[k] * w->to_y[first + k]);
        path[at] = (cae_on_path){residual == residual ? residual : 0, (double)w->weight[first + k],
                                 cae_path_strength((double)r->strength[cell]), (uint8_t)index, (uint32_t)place};
    }
}

/* The path of a step, in the order of coding. */
static void choose_path(const run *r) {
    cae_float_walk *w = r->w;
    size_t at_index[CAE_SCALES] = {0}, count = 0;
    for (int row = 0; row < w->rows; row++)
        for (int column = 0; column < w->columns; column++)
            lay_out(r, row, column, NULL, at_index);
    for (int index = 0; index < CAE_SCALES; index++) {
        size_t here = at_index[index];
        at_index[index] = count;
        count += here;
    }
    for (int phase = 0; phase < CAE_PHASES; phase++)
        for (int row = CAE_PARITY_OF[phase][0]; row < w->rows; row += 2)
            for (int column = CAE_PARITY_OF[phase][1]; column < w->columns; column += 2)
                lay_out(r, row, column, w->path, at_index);
    cae_best_path(w->context->photo->tables, w->path, count, w->step_of_path, w->path_room, w->symbols, w->number);
}

static void run_choice(void *context, int row, int worker) {
    const run *r = context;
    cae_float_walk *w = r->w;
    const cae_context *c = exact_of(r);
    int wide = c->width;
    ptrdiff_t cells = cells_before(r, row);
    float *features = stream_row(r, row), *sums = scratch_of(r, worker);
    int run_here = r->step > 0 && !w->step_of_path;
    for (size_t i = 0; run_here && i < (size_t)w->columns * (size_t)wide; i++)
        features[i] *= w->context->head_unit;
    for (int parity = 0; parity < 2; parity++) {
        int group = r->step ^ CAE_PHASE_OF[row % 2][parity];
        if (run_here)
            run_head(r, group, features + (ptrdiff_t)parity * wide, sums);
        for (int i = 0; i < w->columns / 2; i++)
            w->bits[row] += choose_cell(r, cells + 2 * i + parity, group, found_at(r, row, parity, sums, i));
    }
}

double cae_float_walk_run(cae_float_walk *w, cae_threads *pool, const float *target, const float *strength, float *y_hat,
                          int keeps) {
    run r = {.w = w, .target = target, .strength = strength, .y_hat = y_hat, .keeps = keeps};
    for (int row = 0; row < w->rows; row++)
        w->bits[row] = 0;
    for (r.step = 0; r.step < CAE_STEPS; r.step++) {
        if (r.step > 0) {
            cae_parallel(pool, w->rows, run_adaptor, &r);
            cae_float_blocks_run(&w->trunk, pool, w->stream, keeps ? w->kept_trunk[r.step - 1] : NULL);
        }
        if (w->step_of_path) {
            if (r.step > 0)
                cae_parallel(pool, w->rows, run_heads, &r);
            choose_path(&r);
        }
        cae_parallel(pool, w->rows, run_choice, &r);
    }
    double bits = w->bits_z;
    for (int row = 0; row < w->rows; row++)
        bits += w->bits[row];
    return bits;
}

/* From the means and indices of a step to the trunk's stream. */
static void back_head(void *context, int row, int worker) {
    const run *r = context;
    cae_float_walk *w = r->w;
    const cae_context *c = exact_of(r);
    int wide = c->width, quarter = c->n / CAE_STEPS;
    ptrdiff_t cells = cells_before(r, row);
    float *sums = scratch_of(r, worker), *stream = stream_row(r, row);
    for (int parity = 0; parity < 2; parity++) {
        int group = r->step ^ CAE_PHASE_OF[row % 2][parity], first = group * quarter;
        for (int i = 0; i < w->columns / 2; i++) {
            ptrdiff_t at = (cells + 2 * i + parity) * c->n + first;
            float *out = sums + (ptrdiff_t)i * 2 * quarter;
            for (int k = 0; k < quarter; k++) {
                out[k] = r->slope[at + k] * w->to_y[first + k] * w->context->head_unit;
                out[quarter + k] = w->of_index[at + k] * (1.0f / CAE_ONE) * w->context->head_unit;
            }
        }
        cae_float_product job = cae_float_product_of(&w->context->head_back[r->step][group], sums, 2 * quarter,
                                                     w->columns / 2, stream + (ptrdiff_t)parity * wide, 2 * wide);
        w->kernels->product(&job);
    }
}

/* From an adaptor to the groups that were known. */
static void back_adaptor(void *context, int row, int worker) {
    const run *r = context;
    cae_float_walk *w = r->w;
    const cae_context *c = exact_of(r);
    int wide = c->width, quarter = c->n / CAE_STEPS;
    ptrdiff_t cells = cells_before(r, row);
    float *of_u = scratch_of(r, worker), *stream = stream_row(r, row);
    w->kernels->keep(stream, (size_t)w->columns * (size_t)wide, w->kept_adaptor[r->step - 1] + cells * wide);
    for (int parity = 0; parity < 2; parity++) {
        for (int step = 0; step < r->step; step++) {
            int group = step ^ CAE_PHASE_OF[row % 2][parity], first = group * quarter;
            cae_float_product job = cae_float_product_of(&w->context->adaptor_back[r->step - 1][group],
                                                         stream + (ptrdiff_t)parity * wide, 2 * wide, w->columns / 2, of_u,
                                                         quarter);
            w->kernels->product(&job);
            for (int i = 0; i < w->columns / 2; i++) {
                float *restrict out = r->slope + (cells + 2 * i + parity) * c->n + first;
                const float *restrict from = of_u + (ptrdiff_t)i * quarter, *restrict to_u = w->to_u + first;
                for (int k = 0; k < quarter; k++)
                    out[k] += from[k] * to_u[k];
            }
        }
    }
}

void cae_float_walk_back(cae_float_walk *w, cae_threads *pool, float *slope) {
    run r = {.w = w, .slope = slope};
    for (r.step = CAE_STEPS - 1; r.step > 0; r.step--) {
        cae_parallel(pool, w->rows, back_head, &r);
        cae_float_blocks_back(&w->trunk, pool, w->stream, w->kept_trunk[r.step - 1]);
        cae_parallel(pool, w->rows, back_adaptor, &r);
    }
}

/* Tables of a quality as real numbers. */
static void open_tables(cae_float_walk *w, int quality, const float *weight) {
    const cae_context *c = w->context->exact;
    ptrdiff_t at = (ptrdiff_t)(quality - 1) * c->n;
    for (int k = 0; k < c->n; k++) {
        w->to_u[k] = CAE_ONE * ldexpf((float)c->to_u.factor[at + k], -c->to_u.shift[k]);
        w->to_y[k] = ldexpf((float)c->to_y.factor[at + k], -c->to_y.shift[k]) / CAE_ONE;
        w->index_offset[k] = (float)c->index[at + k];
        w->weight[k] = weight[k];
    }
}

/* z as it is coded, its bits, and psi of it. */
static int open_psi(cae_float_walk *w, cae_threads *pool, int quality, const float *z, float *psi) {
    const cae_photo *photo = w->context->photo;
    cae_memory memory = {0};
    int hz = (w->rows + 3) / 4, wz = (w->columns + 3) / 4, width = photo->of_y.psi;
    size_t count = (size_t)w->rows * (size_t)w->columns * (size_t)width;
    cae_coding coding = {.what = CAE_COUNT, .tables = photo->tables};
    int32_t *z_hat = cae_take(&memory, (size_t)hz * (size_t)wz * (size_t)photo->of_z.n, sizeof *z_hat);
    int16_t *fixed = cae_take(&memory, count, sizeof *fixed);
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    if (!error)
        error = cae_walk_z(photo, pool, quality, hz, wz, &coding, z, NULL, z_hat);
    w->bits_z = coding.bits;
    if (!error)
        error = cae_photo_psi(photo, pool, quality, hz, wz, z_hat, w->rows, w->columns, fixed, width);
    for (size_t i = 0; !error && i < count; i++)
        psi[i] = fixed[i];
    cae_give_back(&memory);
    return error;
}

int cae_float_walk_open(cae_float_walk *w, const cae_float_context *context, const cae_float_kernels *kernels,
                        cae_threads *pool, int quality, int rows, int columns, const float *z, const float *weight,
                        cae_memory *memory) {
    const cae_context *c = context->exact;
    int workers = cae_thread_count(pool);
    size_t cells = (size_t)rows * (size_t)columns, n = (size_t)c->n, wide = (size_t)c->width;
    *w = (cae_float_walk){.context = context, .kernels = kernels, .rows = rows, .columns = columns};
    w->to_u = cae_take(memory, 4 * n, sizeof *w->to_u);
    w->first = cae_take(memory, cells * n / 2, sizeof *w->first);
    w->known = cae_take(memory, cells * n, sizeof *w->known);
    w->stream = cae_take(memory, cells * wide, sizeof *w->stream);
    w->of_index = cae_take(memory, cells * n, sizeof *w->of_index);
    w->bits = cae_take(memory, (size_t)rows, sizeof *w->bits);
    w->scratch_count = (size_t)columns * (wide + n / 2);
    w->scratch = cae_take(memory, (size_t)workers * w->scratch_count, sizeof *w->scratch);
    cae_float_blocks_open(&w->trunk, kernels, context->trunk, c->trunk_blocks, rows, columns, c->width, workers, memory);
    for (int i = 0; i < CAE_STEPS - 1; i++) {
        w->start[i] = cae_take(memory, cells * wide, sizeof(float));
        w->kept_adaptor[i] = cae_take(memory, cells * wide, 1);
        w->kept_trunk[i] = cae_take(memory, cae_float_blocks_kept(&w->trunk), 1);
    }
    w->step_of_path = c->step ? c->step[quality - 1] : 0;
    if (w->step_of_path) {
        w->found = cae_take(memory, cells * n / 2, sizeof *w->found);
        w->symbols = cae_take(memory, cells * n, sizeof *w->symbols);
        w->number = cae_take(memory, cells * n, sizeof *w->number);
        w->path = cae_take(memory, cells * n / CAE_STEPS, sizeof *w->path);
        w->path_room = cae_take(memory, cae_path_room(cells * n / CAE_STEPS), 1);
    }
    cae_memory own = {0};
    float *psi = cae_take(&own, cells * (size_t)c->psi, sizeof *psi);
    int error = memory->failed || own.failed ? CAE_ERROR_MEMORY : CAE_OK;
    if (!error) {
        w->to_y = w->to_u + n, w->index_offset = w->to_y + n, w->weight = w->index_offset + n;
        open_tables(w, quality, weight);
        error = open_psi(w, pool, quality, z, psi);
    }
    if (!error) {
        run r = {.w = w, .psi = psi};
        cae_parallel(pool, rows, run_start, &r);
    }
    cae_give_back(&own);
    return error;
}
