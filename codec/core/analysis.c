/* g_a, with B = width and cells of 16 pixels, and h_a, with H = width:
 *
 *     samples (16h, 16w, 3)   uint8; x = 2*sample - 255 as int16, a few rows at a time
 *     r       (2h, 2w, B)     int32: the stem, the blocks
 *     y       (h, w, N)       int32: down and linear, of the inner cells alone
 *     u       (4hz, 4wz, N)   int16
 *     r       (4hz, 4wz, H)   int32: the stem, block1
 *     r       (2hz, 2wz, H)   int32: down1, block2
 *     z       (hz, wz, Z)     int32: down2
 *
 * The space_to_depth in front of a layer is how the layer's inputs are read: in spans, one of each row of pixels or cells.
 */
#include "analysis.h"

#include "arithmetic.h"
#include "cae.h"

static float *load_units(cae_loader *loader, const char *name, int count) {
    int64_t shape = count;
    const void *data = loader->error ? NULL : cae_file_tensor(loader->file, name, CAE_F32, 1, &shape);
    float *units = data ? cae_take(loader->memory, (size_t)count, sizeof *units) : NULL;
    if (!units && !loader->error)
        loader->error = data ? CAE_ERROR_MEMORY : CAE_ERROR_MODEL;
    for (int i = 0; units && i < count; i++)
        units[i] = cae_read_f32(data, (size_t)i);
    return units;
}

void cae_load_g_a(cae_loader *loader, int cell, int n, cae_g_a *g_a) {
    *g_a = (cae_g_a){.there = 1, .cell = cell, .n = n};
    g_a->width = cae_load_side(loader, "g_a.stem.weight", CAE_I16, 1);
    cae_load_even_layer(loader, "g_a.stem", cell / 2, 3 * cell / 2, g_a->width, CAE_READS_SAMPLES, &g_a->stem);
    cae_load_even_layer(loader, "g_a.down", 3, 3 * g_a->width, n, CAE_READS_STREAM, &g_a->down);
    cae_load_even_layer(loader, "g_a.linear", cell, 3 * cell, n, CAE_READS_SAMPLES, &g_a->linear);
    g_a->block = cae_load_blocks(loader, "g_a.blocks", g_a->width, &g_a->blocks);
    g_a->unit = load_units(loader, "g_a.unit", n);
    if ((g_a->down.bound >> g_a->down.shift) + (g_a->linear.bound >> g_a->linear.shift) >= 1 << 30)
        loader->error = CAE_ERROR_MODEL;
}

void cae_load_h_a(cae_loader *loader, int n, int z, cae_h_a *h_a) {
    *h_a = (cae_h_a){.n = n, .z = z};
    h_a->width = cae_load_side(loader, "h_a.stem.weight", CAE_I16, 1);
    cae_load_multiplier(loader, "h_a.scale", 0, n, &h_a->scale);
    cae_load_even_layer(loader, "h_a.stem", 1, n, h_a->width, 0, &h_a->stem);
    cae_load_block(loader, "h_a.block1", h_a->width, &h_a->block1);
    cae_load_even_layer(loader, "h_a.down1", 2, 2 * h_a->width, h_a->width, CAE_READS_STREAM, &h_a->down1);
    cae_load_block(loader, "h_a.block2", h_a->width, &h_a->block2);
    cae_load_even_layer(loader, "h_a.down2", 2, 2 * h_a->width, z, CAE_READS_STREAM, &h_a->down2);
    h_a->unit = load_units(loader, "h_a.unit", z);
}

/* ---- g_a ---- */

/* Rows of one worker. */
typedef struct {
    int16_t *pixels;   /* rows of pixels of a cell, as x */
    int16_t *narrowed; /* three rows of half cells, with a cell of zeros on either side */
    int32_t *down;
} scratch;

typedef struct {
    const cae_kernel_set *kernels;
    const cae_g_a *g_a;
    int rows, columns, top, left, inner_columns;
    const uint8_t *samples;
    int32_t *stream, *y;
    scratch *scratch; /* of each worker */
} run;

/* Some rows of pixels as a layer reads them, from column `left` on: x[i], the i-th row. */
static void read_pixels(const run *r, int16_t *pixels, int first, int count, int left, const int16_t **x) {
    int line = 3 * r->g_a->cell * r->columns;
    const uint8_t *from = r->samples + (ptrdiff_t)first * line;
    for (int i = 0; i < count * line; i++)
        pixels[i] = (int16_t)(2 * from[i] - 255);
    for (int i = 0; i < count; i++)
        x[i] = pixels + (ptrdiff_t)i * line + 3 * left;
}

/* A row of half cells. */
static void run_stem(void *context, int row, int worker) {
    run *r = context;
    const cae_g_a *g_a = r->g_a;
    int side = g_a->cell / 2;
    const int16_t *x[CAE_MOST_SPANS];
    cae_span span[CAE_MOST_SPANS];
    read_pixels(r, r->scratch[worker].pixels, row * side, side, 0, x);
    cae_product job = cae_product_of(&g_a->stem, x, 3 * side, 2 * r->columns, span);
    job.kind = CAE_TO_STREAM;
    job.lowest = -CAE_STREAM;
    job.highest = CAE_STREAM;
    job.stream = r->stream + (ptrdiff_t)row * 2 * r->columns * g_a->width;
    job.out_step = g_a->width;
    r->kernels->product(&job);
}

/* A row of inner cells. */
static void run_down(void *context, int row, int worker) {
    run *r = context;
    const cae_g_a *g_a = r->g_a;
    const scratch *own = &r->scratch[worker];
    int count = 2 * r->columns * g_a->width;
    const int16_t *x[CAE_MOST_SPANS];
    cae_span span[CAE_MOST_SPANS];
    for (int i = 0; i < 3; i++) {
        int from = 2 * (r->top + row) + i - 1; /* never below the last row */
        int16_t *out = own->narrowed + (ptrdiff_t)i * (count + 2 * g_a->width);
        x[i] = out + (ptrdiff_t)2 * r->left * g_a->width;
        if (from >= 0)
            r->kernels->narrow(r->stream + (ptrdiff_t)from * count, (size_t)count, g_a->down.narrow, out + g_a->width);
        for (int k = 0; from < 0 && k < count; k++)
            out[g_a->width + k] = 0;
    }
    cae_product job = cae_product_of(&g_a->down, x, 2 * g_a->width, r->inner_columns, span);
    job.kind = CAE_TO_STREAM;
    job.lowest = INT32_MIN;
    job.highest = INT32_MAX;
    job.stream = own->down;
    job.out_step = g_a->n;
    r->kernels->product(&job);

    int32_t *y = r->y + (ptrdiff_t)row * r->inner_columns * g_a->n;
    read_pixels(r, own->pixels, (r->top + row) * g_a->cell, g_a->cell, r->left * g_a->cell, x);
    job = cae_product_of(&g_a->linear, x, 3 * g_a->cell, r->inner_columns, span);
    job.kind = CAE_TO_STREAM;
    job.lowest = INT32_MIN;
    job.highest = INT32_MAX;
    job.stream = y;
    job.out_step = g_a->n;
    r->kernels->product(&job);
    for (int i = 0; i < r->inner_columns * g_a->n; i++)
        y[i] += own->down[i];
}

int cae_run_g_a(const cae_kernel_set *kernels, cae_threads *pool, const cae_g_a *g_a, int rows, int columns,
                const uint8_t *samples, int top, int left, int inner_rows, int inner_columns, int32_t *y) {
    cae_memory memory = {0};
    size_t workers = (size_t)cae_thread_count(pool), w = (size_t)columns, width = (size_t)g_a->width;
    run r = {.kernels = kernels, .g_a = g_a, .rows = rows, .columns = columns, .top = top, .left = left, .y = y};
    r.inner_columns = inner_columns;
    r.samples = samples;
    r.stream = cae_take(&memory, 4 * (size_t)rows * w * width, sizeof *r.stream);
    r.scratch = cae_take(&memory, workers, sizeof *r.scratch);
    for (size_t i = 0; i < workers && !memory.failed; i++) {
        scratch *own = &r.scratch[i];
        own->pixels = cae_take(&memory, 3 * (size_t)g_a->cell * (size_t)g_a->cell * w, sizeof *own->pixels);
        own->narrowed = cae_take(&memory, 3 * (2 * w + 2) * width, sizeof *own->narrowed);
        own->down = cae_take(&memory, (size_t)inner_columns * (size_t)g_a->n, sizeof *own->down);
    }
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    if (!error) {
        cae_parallel(pool, 2 * rows, run_stem, &r);
        error = cae_run_blocks(kernels, pool, g_a->block, g_a->blocks, r.stream, 2 * rows, 2 * columns);
    }
    if (!error)
        cae_parallel(pool, inner_rows, run_down, &r);
    cae_give_back(&memory);
    return error;
}

/* ---- h_a ---- */

typedef struct {
    const cae_kernel_set *kernels;
    const cae_h_a *h_a;
    int rows, columns;           /* of y */
    int wide_columns;            /* rounded up to a multiple of 4 */
    const int32_t *y;
    int16_t *u;                  /* a row of each worker */
    int32_t *stream;
    /* halving: */
    const cae_layer *layer;
    const int32_t *from;
    int from_columns;
    int16_t *narrowed; /* two rows of each worker */
    int32_t *out;
    int32_t lowest, highest;
} hyper;

static void run_hyper_stem(void *context, int row, int worker) {
    hyper *h = context;
    const cae_h_a *h_a = h->h_a;
    int16_t *u = h->u + (ptrdiff_t)worker * h->wide_columns * h_a->n;
    int from_row = row < h->rows ? row : h->rows - 1;
    for (int column = 0; column < h->wide_columns; column++) {
        int from = column < h->columns ? column : h->columns - 1;
        h->kernels->times_to_activation(h->y + ((ptrdiff_t)from_row * h->columns + from) * h_a->n, h_a->scale.factor,
                                        h_a->scale.shift, h_a->n, u + (ptrdiff_t)column * h_a->n);
    }
    cae_span span[1];
    cae_product job = cae_product_of(&h_a->stem, (const int16_t *const[]){u}, h_a->n, h->wide_columns, span);
    job.kind = CAE_TO_STREAM;
    job.lowest = -CAE_STREAM;
    job.highest = CAE_STREAM;
    job.stream = h->stream + (ptrdiff_t)row * h->wide_columns * h_a->width;
    job.out_step = h_a->width;
    h->kernels->product(&job);
}

/* down1 or down2: a row of cells, of two rows of twice as many. */
static void run_halving(void *context, int row, int worker) {
    hyper *h = context;
    int width = h->h_a->width, count = h->from_columns * width;
    int16_t *narrowed = h->narrowed + (ptrdiff_t)worker * 2 * count;
    h->kernels->narrow(h->from + (ptrdiff_t)row * 2 * count, 2 * (size_t)count, h->layer->narrow, narrowed);
    cae_span span[2];
    cae_product job = cae_product_of(h->layer, (const int16_t *const[]){narrowed, narrowed + count}, 2 * width,
                                     h->from_columns / 2, span);
    job.kind = CAE_TO_STREAM;
    job.lowest = h->lowest;
    job.highest = h->highest;
    job.stream = h->out + (ptrdiff_t)row * (h->from_columns / 2) * h->layer->outputs;
    job.out_step = h->layer->outputs;
    h->kernels->product(&job);
}

int cae_run_h_a(const cae_kernel_set *kernels, cae_threads *pool, const cae_h_a *h_a, int rows, int columns,
                const int32_t *y, int32_t *z) {
    cae_memory memory = {0};
    int hz = (rows + 3) / 4, wz = (columns + 3) / 4;
    size_t workers = (size_t)cae_thread_count(pool), cells = (size_t)hz * (size_t)wz, width = (size_t)h_a->width;
    hyper h = {.kernels = kernels, .h_a = h_a, .rows = rows, .columns = columns, .wide_columns = 4 * wz, .y = y};
    h.u = cae_take(&memory, workers * 4 * (size_t)wz * (size_t)h_a->n, sizeof *h.u);
    h.narrowed = cae_take(&memory, workers * 8 * (size_t)wz * width, sizeof *h.narrowed);
    h.stream = cae_take(&memory, 16 * cells * width, sizeof *h.stream);
    int32_t *coarse = cae_take(&memory, 4 * cells * width, sizeof *coarse);
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    if (!error) {
        cae_parallel(pool, 4 * hz, run_hyper_stem, &h);
        error = cae_run_blocks(kernels, pool, &h_a->block1, 1, h.stream, 4 * hz, 4 * wz);
    }
    if (!error) {
        h.layer = &h_a->down1, h.from = h.stream, h.from_columns = 4 * wz, h.out = coarse;
        h.lowest = -CAE_STREAM, h.highest = CAE_STREAM;
        cae_parallel(pool, 2 * hz, run_halving, &h);
        error = cae_run_blocks(kernels, pool, &h_a->block2, 1, coarse, 2 * hz, 2 * wz);
    }
    if (!error) {
        h.layer = &h_a->down2, h.from = coarse, h.from_columns = 2 * wz, h.out = z;
        h.lowest = INT32_MIN, h.highest = INT32_MAX;
        cae_parallel(pool, hz, run_halving, &h);
    }
    cae_give_back(&memory);
    return error;
}
