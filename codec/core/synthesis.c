/* g_s, with G = width, and for cells of 16 pixels:
 *
 *     y_hat (h, w, N)     int32, 10 fraction bits
 *     y     (h, w, N)     int16
 *     r     (2h, 2w, G)   int32: the stem, to two rows of half cells at a time; modulation; the blocks
 *     head  (2h, 2w, 192) int32, linear (h, w, 768) int32: only a row of each is kept
 *     samples (16h, 16w, 3), of 8 or of 16 bits
 */
#include "synthesis.h"

#include "arithmetic.h"
#include "cae.h"

#include <stdlib.h>
#include <string.h>

enum { RING = 3, ROWS_PER_TURN = 4, QUARTERS = 2 * 2 * 3 };

/* Sums of the linear branch's weights, so that means of its pixels need none of them. */
static void load_small(cae_loader *loader, int cell, int n, cae_g_s *g_s) {
    int pixels = 3 * cell * cell;
    int64_t shape[2] = {n, pixels}, outputs = pixels;
    const void *weight = cae_file_tensor(loader->file, "g_s.linear.weight", CAE_I16, 2, shape);
    const void *bias = cae_file_tensor(loader->file, "g_s.linear.bias", CAE_I32, 1, &outputs);
    g_s->small_weight = cae_take(loader->memory, (size_t)n * QUARTERS, sizeof *g_s->small_weight);
    g_s->small_bias = cae_take(loader->memory, QUARTERS, sizeof *g_s->small_bias);
    if (loader->error || !weight || !bias || loader->memory->failed) {
        loader->error = loader->error ? loader->error : loader->memory->failed ? CAE_ERROR_MEMORY : CAE_ERROR_MODEL;
        return;
    }
    for (int o = 0; o < pixels; o++) {
        int row = o / (3 * cell), column = o / 3 % cell, quarter = 2 * (row >= cell / 2) + (column >= cell / 2);
        int to = 3 * quarter + o % 3;
        g_s->small_bias[to] += cae_read_i32(bias, (size_t)o);
        for (int i = 0; i < n; i++)
            g_s->small_weight[i * QUARTERS + to] += cae_read_i16(weight, (size_t)i * (size_t)pixels + (size_t)o);
    }
}

void cae_load_g_s(cae_loader *loader, int cell, int n, cae_g_s *g_s) {
    *g_s = (cae_g_s){.cell = cell, .n = n};
    int stem = cae_load_side(loader, "g_s.stem.weight", CAE_I16, 1);
    if (stem % 4)
        loader->error = CAE_ERROR_MODEL;
    g_s->width = stem / 4;
    cae_load_multiplier(loader, "quality.to_g_s", loader->rows, n, &g_s->to_g_s);
    g_s->modulation = cae_load_table(loader, "quality.modulation", loader->rows, g_s->width, (1 << 13) - 1);
    cae_load_even_layer(loader, "g_s.stem", 1, n, 4 * g_s->width, 0, &g_s->stem);
    cae_load_even_layer(loader, "g_s.head", 3, 3 * g_s->width, 3 * cell * cell / 4, CAE_READS_STREAM, &g_s->head);
    cae_load_even_layer(loader, "g_s.linear", 1, n, 3 * cell * cell, 0, &g_s->linear);
    g_s->block = cae_load_blocks(loader, "g_s.blocks", g_s->width, &g_s->blocks);
    if ((g_s->head.bound >> g_s->head.shift) + (g_s->linear.bound >> g_s->linear.shift) >= 1 << 30)
        loader->error = CAE_ERROR_MODEL;
    load_small(loader, cell, n, g_s);
}

/* Rows of one worker. */
typedef struct {
    int32_t *stem;     /* a row of cells */
    int32_t *linear;   /* a row of cells */
    int32_t *head;     /* a row of half cells */
    int16_t *narrowed; /* RING rows of half cells as the head reads them, with a cell of zeros on either side */
} scratch;

typedef struct {
    const cae_kernel_set *kernels;
    const cae_g_s *g_s;
    int rows, columns;
    const int32_t *y_hat, *factor, *modulation;
    int16_t *y;
    int32_t *stream;
    uint8_t *samples; /* or NULL */
    uint16_t *deep;   /* and these in place of them */
    scratch *scratch; /* of each worker */
} run;

static int32_t *stream_row(const run *r, int row) {
    return r->stream + (ptrdiff_t)row * 2 * r->columns * r->g_s->width;
}

/* y and the stream, of one row of cells. */
static void run_stem(void *context, int row, int worker) {
    run *r = context;
    const cae_g_s *g_s = r->g_s;
    const cae_kernel_set *kernels = r->kernels;
    int n = g_s->n, width = g_s->width;
    int32_t *sums = r->scratch[worker].stem;
    ptrdiff_t start = (ptrdiff_t)row * r->columns * n;
    for (int cell = 0; cell < r->columns; cell++) {
        ptrdiff_t at = start + (ptrdiff_t)cell * n;
        kernels->times_to_activation(r->y_hat + at, r->factor, g_s->to_g_s.shift, n, r->y + at);
    }
    cae_span span[1];
    cae_product job = cae_product_of(&g_s->stem, (const int16_t *const[]){r->y + start}, n, r->columns, span);
    job.kind = CAE_TO_STREAM;
    job.lowest = -CAE_FEATURE;
    job.highest = CAE_FEATURE;
    job.stream = sums;
    job.out_step = 4 * width;
    kernels->product(&job);
    for (int i = 0; i < 2; i++) {
        int32_t *out = stream_row(r, 2 * row + i);
        for (int cell = 0; cell < r->columns; cell++) {
            for (int j = 0; j < 2; j++, out += width)
                kernels->modulate(sums + (4 * cell + 2 * i + j) * width, r->modulation, width, out);
        }
    }
}

/* A row of the stream as the head reads it; zeros beyond. */
static int16_t *narrowed_row(const run *r, const scratch *own, int row) {
    size_t padded = (size_t)(2 * r->columns + 2) * (size_t)r->g_s->width;
    return own->narrowed + padded * (size_t)((row + RING) % RING);
}

static void narrow_row(const run *r, const scratch *own, int row) {
    int width = r->g_s->width, count = 2 * r->columns * width;
    int16_t *out = narrowed_row(r, own, row) + width;
    if (row < 0 || row >= 2 * r->rows) {
        for (int i = 0; i < count; i++)
            out[i] = 0;
    } else {
        r->kernels->narrow(stream_row(r, row), (size_t)count, r->g_s->head.narrow, out);
    }
}

/* A sum of g_s, in 2^-12 of a step of 8 bits and half a step up -> 16 bits. */
static uint16_t deep_sample(int32_t sum) {
    /* what lies beyond black and white by far, so that the product fits */
    int32_t x = cae_clamp(sum, -(256 << CAE_SAMPLE_BITS), 256 << CAE_SAMPLE_BITS) + (255 << (CAE_SAMPLE_BITS - 1));
    return (uint16_t)cae_clamp((257 * x + cae_half(CAE_SAMPLE_BITS)) >> CAE_SAMPLE_BITS, 0, UINT16_MAX);
}

/* Samples of a row of half cells: `half` of the row of cells whose linear branch lies in own->linear. */
static void write_samples(const run *r, const scratch *own, int row, int half) {
    int side = r->g_s->cell / 2, line = 3 * side; /* samples of a row of pixels of half a cell */
    int head = r->g_s->head.outputs, linear = r->g_s->linear.outputs;
    ptrdiff_t at = (ptrdiff_t)(2 * row + half) * side * r->columns * 2 * line;
    for (int i = 0; i < side; i++) {
        const int32_t *a = own->head + i * line, *b = own->linear + (half * side + i) * 2 * line;
        for (int cell = 0; cell < r->columns; cell++, b += linear) {
            for (int j = 0; j < 2; j++, a += head, at += line) {
                if (r->samples)
                    r->kernels->samples(a, b + j * line, line, r->samples + at);
                for (int k = 0; r->deep && k < line; k++)
                    r->deep[at + k] = deep_sample(a[k] + b[j * line + k]);
            }
        }
    }
}

static void run_head(void *context, int turn, int worker) {
    run *r = context;
    const cae_g_s *g_s = r->g_s;
    const scratch *own = &r->scratch[worker];
    int first = turn * ROWS_PER_TURN, end = first + ROWS_PER_TURN < r->rows ? first + ROWS_PER_TURN : r->rows;
    cae_span span[3];
    narrow_row(r, own, 2 * first - 1);
    narrow_row(r, own, 2 * first);
    for (int row = first; row < end; row++) {
        const int16_t *y = r->y + (ptrdiff_t)row * r->columns * g_s->n;
        cae_product job = cae_product_of(&g_s->linear, (const int16_t *const[]){y}, g_s->n, r->columns, span);
        job.kind = CAE_TO_STREAM;
        job.lowest = INT32_MIN;
        job.highest = INT32_MAX;
        job.stream = own->linear;
        job.out_step = g_s->linear.outputs;
        r->kernels->product(&job);
        for (int half = 0; half < 2; half++) {
            narrow_row(r, own, 2 * row + half + 1);
            const int16_t *near[3];
            for (int i = 0; i < 3; i++)
                near[i] = narrowed_row(r, own, 2 * row + half + i - 1);
            job = cae_product_of(&g_s->head, near, g_s->width, 2 * r->columns, span);
            job.kind = CAE_TO_STREAM;
            job.lowest = INT32_MIN;
            job.highest = INT32_MAX;
            job.stream = own->head;
            job.out_step = g_s->head.outputs;
            r->kernels->product(&job);
            write_samples(r, own, row, half);
        }
    }
}

int cae_run_g_s(const cae_kernel_set *kernels, cae_threads *pool, const cae_g_s *g_s, int quality, int rows, int columns,
                const int32_t *y_hat, uint8_t *samples, uint16_t *deep) {
    cae_memory memory = {0};
    int workers = cae_thread_count(pool);
    size_t w = (size_t)columns, cells = (size_t)rows * w, width = (size_t)g_s->width;
    run r = {.kernels = kernels, .g_s = g_s, .rows = rows, .columns = columns, .y_hat = y_hat};
    r.samples = samples;
    r.deep = deep;
    r.factor = g_s->to_g_s.factor + (ptrdiff_t)(quality - 1) * g_s->n;
    r.modulation = g_s->modulation + (ptrdiff_t)(quality - 1) * g_s->width;
    r.y = cae_take(&memory, cells * (size_t)g_s->n, sizeof *r.y);
    r.stream = cae_take(&memory, 4 * cells * width, sizeof *r.stream);
    r.scratch = cae_take(&memory, (size_t)workers, sizeof *r.scratch);
    for (int i = 0; i < workers && !memory.failed; i++) {
        scratch *own = &r.scratch[i];
        own->stem = cae_take(&memory, w * 4 * width, sizeof *own->stem);
        own->linear = cae_take(&memory, w * (size_t)g_s->linear.outputs, sizeof *own->linear);
        own->head = cae_take(&memory, 2 * w * (size_t)g_s->head.outputs, sizeof *own->head);
        own->narrowed = cae_take(&memory, (2 * w + 2) * width * RING, sizeof *own->narrowed);
    }
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    if (!error) {
        cae_parallel(pool, rows, run_stem, &r);
        error = cae_run_blocks(kernels, pool, g_s->block, g_s->blocks, r.stream, 2 * rows, 2 * columns);
    }
    if (!error)
        cae_parallel(pool, (rows + ROWS_PER_TURN - 1) / ROWS_PER_TURN, run_head, &r);
    cae_give_back(&memory);
    return error;
}

int cae_run_small(const cae_kernel_set *kernels, const cae_g_s *g_s, int quality, int side, int rows, int columns,
                  const int32_t *y_hat, uint16_t *samples) {
    int n = g_s->n, pixels = g_s->cell / side * (g_s->cell / side); /* of a mean */
    cae_memory memory = {0};
    int16_t *y = cae_take(&memory, (size_t)n, sizeof *y);
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    const int32_t *factor = g_s->to_g_s.factor + (ptrdiff_t)(quality - 1) * n;
    int64_t divisor = (int64_t)pixels << g_s->linear.shift;
    for (ptrdiff_t cell = 0; !error && cell < (ptrdiff_t)rows * columns; cell++) {
        int64_t sums[QUARTERS];
        memcpy(sums, g_s->small_bias, sizeof sums);
        kernels->times_to_activation(y_hat + cell * n, factor, g_s->to_g_s.shift, n, y);
        for (int i = 0; i < n; i++) {
            const int32_t *weight = g_s->small_weight + (ptrdiff_t)i * QUARTERS;
            for (int k = 0; k < QUARTERS; k++)
                sums[k] += (int64_t)y[i] * weight[k];
        }
        if (side == 1) {
            for (int k = 0; k < 3; k++)
                sums[k] += sums[3 + k] + sums[6 + k] + sums[9 + k];
        }
        for (int k = 0; k < 3 * side * side; k++) {
            int64_t mean = sums[k] / divisor - (sums[k] % divisor < 0); /* rounded down; it fits, as each of its parts */
            ptrdiff_t row = cell / columns * side + k / (3 * side), column = cell % columns * side + k / 3 % side;
            samples[(row * columns * side + column) * 3 + k % 3] = deep_sample((int32_t)mean);
        }
    }
    cae_give_back(&memory);
    return error;
}
