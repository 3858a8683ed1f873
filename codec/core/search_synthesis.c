/* g_s, with G = width, and for cells of 16 pixels:
 *
 *     y       (h, w, N)       y_hat times factors, bounded
 *     stream  (2h, 2w, G)     the stem, bounded, times modulation; the blocks
 *     pixels  (16h, 16w, 3)   the head (2h, 2w, 192) and the linear branch (h, w, 768), a row of each at a time
 *
 * and the same way back.
 */
#include "search_synthesis.h"

#include "arithmetic.h"

#include <math.h>

void cae_load_float_g_s(cae_float_loader *loader, const cae_g_s *exact, cae_float_g_s *g_s) {
    int n = exact->n, width = exact->width, cell = exact->cell;
    *g_s = (cae_float_g_s){.exact = exact};
    cae_load_float_layer(loader, "g_s.stem", n, 4 * width, 1, &g_s->stem, &g_s->stem_back, NULL);
    cae_load_float_layer(loader, "g_s.linear", n, 3 * cell * cell, 1, &g_s->linear, &g_s->linear_back, NULL);
    cae_load_float_layer(loader, "g_s.head", 9 * width, 3 * cell * cell / 4, 9, &g_s->head, &g_s->head_back,
                         &g_s->head_reads);
    g_s->block = cae_load_float_blocks(loader, "g_s.blocks", width, exact->blocks);
}

void cae_float_synthesis_open(cae_float_synthesis *s, const cae_float_g_s *g_s, const cae_float_kernels *kernels,
                              int quality, int rows, int columns, int height, int width, int workers, cae_memory *memory) {
    const cae_g_s *exact = g_s->exact;
    size_t cells = (size_t)rows * (size_t)columns, n = (size_t)exact->n, features = (size_t)exact->width;
    *s = (cae_float_synthesis){.g_s = g_s, .kernels = kernels, .rows = rows, .columns = columns};
    s->height = height, s->width = width;
    s->factor = cae_take(memory, n, sizeof *s->factor);
    s->modulation = cae_take(memory, features, sizeof *s->modulation);
    s->y = cae_take(memory, cells * n, sizeof *s->y);
    s->stream = cae_take(memory, 4 * cells * features, sizeof *s->stream);
    s->grown = cae_take(memory, 2 * (size_t)rows * (2 * (size_t)columns + 2) * (size_t)g_s->head.outputs, sizeof *s->grown);
    s->kept_y = cae_take(memory, cells * n, 1);
    s->kept_stem = cae_take(memory, 4 * cells * features, 1);
    s->kept_head = cae_take(memory, 4 * cells * features, 1);
    cae_float_blocks_open(&s->blocks, kernels, g_s->block, exact->blocks, 2 * rows, 2 * columns, exact->width, workers,
                          memory);
    s->kept_blocks = cae_take(memory, cae_float_blocks_kept(&s->blocks), 1);
    s->scratch_count = (size_t)columns * ((size_t)g_s->linear.outputs + 2 * (size_t)g_s->head.outputs + 8 * features + n);
    s->scratch = cae_take(memory, (size_t)workers * s->scratch_count, sizeof *s->scratch);
    for (int k = 0; s->factor && k < exact->n; k++)
        s->factor[k] = CAE_ONE * ldexpf((float)exact->to_g_s.factor[(ptrdiff_t)(quality - 1) * exact->n + k],
                                        -exact->to_g_s.shift[k]);
    for (int k = 0; s->modulation && k < exact->width; k++)
        s->modulation[k] =
            ldexpf((float)exact->modulation[(ptrdiff_t)(quality - 1) * exact->width + k], -CAE_MODULATION_BITS);
}

typedef struct {
    cae_float_synthesis *s;
    const float *y_hat, *of_pixels;
    float *pixels, *of_y_hat;
    int keeps;
} run;

static float *scratch_of(const run *r, int worker) { return r->s->scratch + (size_t)worker * r->s->scratch_count; }

/* A row of a map of half cells, and of cells. */
static ptrdiff_t fine_at(const run *r, int row) { return (ptrdiff_t)row * 2 * r->s->columns * r->s->g_s->exact->width; }
static ptrdiff_t cells_at(const run *r, int row) { return (ptrdiff_t)row * r->s->columns * r->s->g_s->exact->n; }

/* depth_to_space of a row of cells of the stem, with modulation, or back: `stem` (columns, 4G). */
static void shuffle(const run *r, int row, float *stem, int back) {
    int width = r->s->g_s->exact->width;
    for (int i = 0; i < 2; i++) {
        float *fine = r->s->stream + fine_at(r, 2 * row + i);
        for (int cell = 0; cell < r->s->columns; cell++) {
            for (int j = 0; j < 2; j++, fine += width) {
                float *restrict of_stem = stem + (ptrdiff_t)(4 * cell + 2 * i + j) * width, *restrict out = fine;
                const float *restrict modulation = r->s->modulation;
                for (int k = 0; k < width && back; k++)
                    of_stem[k] = out[k] * modulation[k];
                for (int k = 0; k < width && !back; k++)
                    out[k] = of_stem[k] * modulation[k];
            }
        }
    }
}

static void run_stem(void *context, int row, int worker) {
    const run *r = context;
    cae_float_synthesis *s = r->s;
    int n = s->g_s->exact->n, wide = 4 * s->g_s->exact->width;
    float *sums = scratch_of(r, worker), *y = s->y + cells_at(r, row);
    for (int cell = 0; cell < s->columns; cell++) {
        const float *restrict from = r->y_hat + cells_at(r, row) + (ptrdiff_t)cell * n, *restrict factor = s->factor;
        float *restrict out = y + (ptrdiff_t)cell * n;
        for (int k = 0; k < n; k++)
            out[k] = from[k] * factor[k];
    }
    size_t count = (size_t)s->columns * (size_t)n, sum_count = (size_t)s->columns * (size_t)wide;
    s->kernels->bound(y, count, CAE_ACTIVATION, y, r->keeps ? s->kept_y + cells_at(r, row) : NULL);
    cae_float_product job = cae_float_product_of(&s->g_s->stem, y, n, s->columns, sums, wide);
    s->kernels->product(&job);
    s->kernels->bound(sums, sum_count, CAE_FEATURE, sums, r->keeps ? s->kept_stem + fine_at(r, 2 * row) : NULL);
    shuffle(r, row, sums, 0);
}

/* The stream as the head reads it. */
static void run_read(void *context, int row, int worker) {
    const run *r = context;
    cae_float_synthesis *s = r->s;
    (void)worker;
    int width = s->g_s->exact->width;
    s->kernels->bound(s->stream + fine_at(r, row), (size_t)(2 * s->columns) * (size_t)width, s->g_s->head_reads,
                      cae_float_map_row(&s->blocks, 0, row) + width, r->keeps ? s->kept_head + fine_at(r, row) : NULL);
}

/* The 3x3 around half cells of a row: three spans of three cells each. */
static void three_by_three(const cae_float_kernels *kernels, const cae_float_layer *layer, const float *const near[3],
                           int channels, int cells, float *out) {
    cae_float_product job = cae_float_product_of(layer, near[0], channels, cells, out, layer->outputs);
    job.spans = 3;
    for (int i = 0; i < 3; i++)
        job.span[i] = (cae_float_span){near[i], 3 * channels, 3 * channels * i};
    kernels->product(&job);
}

/* Samples of a row of pixels, (columns of cells) runs of 3 * cell numbers: in the linear branch, and in the head. */
static void run_head(void *context, int row, int worker) {
    const run *r = context;
    cae_float_synthesis *s = r->s;
    const cae_float_g_s *g_s = s->g_s;
    int cell = g_s->exact->cell, side = cell / 2, n = g_s->exact->n, wide = g_s->linear.outputs, narrow = g_s->head.outputs;
    float *linear = scratch_of(r, worker), *head = linear + (ptrdiff_t)s->columns * wide;
    cae_float_product job = cae_float_product_of(&g_s->linear, s->y + cells_at(r, row), n, s->columns, linear, wide);
    s->kernels->product(&job);
    const float unit = 1.0f / ((1 << CAE_SAMPLE_BITS) * 255.0f);
    for (int half = 0; half < 2; half++) {
        const float *near[3];
        for (int i = 0; i < 3; i++)
            near[i] = cae_float_map_row(&s->blocks, 0, 2 * row + half + i - 1);
        three_by_three(s->kernels, &g_s->head, near, g_s->exact->width, 2 * s->columns, head);
        for (int i = 0; i < side && row * cell + half * side + i < s->height; i++) {
            float *out = r->pixels + (ptrdiff_t)(row * cell + half * side + i) * s->width * 3;
            for (int x = 0; x < s->width; x += side, out += 3 * side) {
                const float *a = head + (ptrdiff_t)(x / side) * narrow + i * 3 * side;
                const float *b = linear + (ptrdiff_t)(x / cell) * wide + ((half * side + i) * cell + x % cell) * 3;
                for (int k = 0; k < 3 * side; k++)
                    out[k] = (a[k] + b[k]) * unit + 0.5f;
            }
        }
    }
}

void cae_float_synthesis_run(cae_float_synthesis *s, cae_threads *pool, const float *y_hat, float *pixels, int keeps) {
    run r = {.s = s, .y_hat = y_hat, .pixels = pixels, .keeps = keeps};
    cae_parallel(pool, s->rows, run_stem, &r);
    cae_float_blocks_run(&s->blocks, pool, s->stream, keeps ? s->kept_blocks : NULL);
    cae_parallel(pool, 2 * s->rows, run_read, &r);
    cae_parallel(pool, s->height / s->g_s->exact->cell, run_head, &r);
}

/* From pixels to the head's outputs, in `grown`, and through the linear branch, into y. */
static void back_pixels(void *context, int row, int worker) {
    const run *r = context;
    cae_float_synthesis *s = r->s;
    const cae_float_g_s *g_s = s->g_s;
    int cell = g_s->exact->cell, side = cell / 2, wide = g_s->linear.outputs, narrow = g_s->head.outputs;
    float *linear = scratch_of(r, worker);
    const float unit = 1.0f / ((1 << CAE_SAMPLE_BITS) * 255.0f);
    memset(linear, 0, (size_t)s->columns * (size_t)wide * sizeof *linear);
    for (int y = 0; y < cell && row * cell + y < s->height; y++) {
        const float *from = r->of_pixels + (ptrdiff_t)(row * cell + y) * s->width * 3;
        float *grown = s->grown + (ptrdiff_t)(2 * row + y / side) * (2 * s->columns + 2) * narrow + narrow;
        for (int x = 0; x < s->width; x += side, from += 3 * side) {
            float *a = grown + (ptrdiff_t)(x / side) * narrow + y % side * 3 * side;
            float *b = linear + (ptrdiff_t)(x / cell) * wide + (y * cell + x % cell) * 3;
            for (int k = 0; k < 3 * side; k++)
                a[k] = b[k] = from[k] * unit;
        }
    }
    cae_float_back(s->kernels, &g_s->linear_back, linear, s->columns, s->y + cells_at(r, row));
}

/* Back through the head, of a row of half cells. */
static void back_head(void *context, int row, int worker) {
    const run *r = context;
    cae_float_synthesis *s = r->s;
    const cae_float_g_s *g_s = s->g_s;
    (void)worker;
    int channels = g_s->head.outputs;
    size_t count = 2 * (size_t)s->columns * (size_t)g_s->exact->width;
    float *out = s->stream + fine_at(r, row);
    cae_float_product job = cae_float_product_of(&g_s->head_back, NULL, channels, 2 * s->columns, out, g_s->exact->width);
    job.spans = 0;
    for (int i = 0; i < 3; i++) {
        if (row + i - 1 < 0 || row + i - 1 >= 2 * s->rows)
            continue;
        const float *near = s->grown + (ptrdiff_t)(row + i - 1) * (2 * s->columns + 2) * channels;
        job.span[job.spans++] = (cae_float_span){near, 3 * channels, 3 * channels * i};
    }
    s->kernels->product(&job);
    s->kernels->keep(out, count, s->kept_head + fine_at(r, row));
}

static void back_stem(void *context, int row, int worker) {
    const run *r = context;
    cae_float_synthesis *s = r->s;
    int n = s->g_s->exact->n, wide = 4 * s->g_s->exact->width;
    float *sums = scratch_of(r, worker), *y = s->y + cells_at(r, row);
    size_t count = (size_t)s->columns * (size_t)n;
    shuffle(r, row, sums, 1);
    s->kernels->keep(sums, (size_t)s->columns * (size_t)wide, s->kept_stem + fine_at(r, 2 * row));
    cae_float_product job = cae_float_product_of(&s->g_s->stem_back, sums, wide, s->columns, y, n);
    job.bias = NULL; /* onto what came through the linear branch */
    s->kernels->product(&job);
    s->kernels->keep(y, count, s->kept_y + cells_at(r, row));
    for (int cell = 0; cell < s->columns; cell++) {
        const float *restrict from = y + (ptrdiff_t)cell * n, *restrict factor = s->factor;
        float *restrict out = r->of_y_hat + cells_at(r, row) + (ptrdiff_t)cell * n;
        for (int k = 0; k < n; k++)
            out[k] = from[k] * factor[k];
    }
}

void cae_float_synthesis_back(cae_float_synthesis *s, cae_threads *pool, const float *of_pixels, float *of_y_hat) {
    run r = {.s = s, .of_pixels = of_pixels, .of_y_hat = of_y_hat};
    cae_parallel(pool, s->rows, back_pixels, &r);
    cae_parallel(pool, 2 * s->rows, back_head, &r);
    cae_float_blocks_back(&s->blocks, pool, s->stream, s->kept_blocks);
    cae_parallel(pool, s->rows, back_stem, &r);
}
