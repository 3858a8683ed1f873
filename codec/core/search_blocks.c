/* Blocks on a stream r, and the way back. Every row reads its stream and three rows of a map of a, so rows are turns:
 *
 *     a = clamp(mix_in(r), 0, M)             to a map
 *     a = clamp(depthwise(a), -M, M)
 *     r = r + mix_out(a)
 *     a = clamp(expand(r), 0, M)
 *     r = r + project(a)
 *
 * A row's stream is done with one block before its a of the next is made, so both are one turn; two maps take turns. On the
 * way back the map holds how things grow with the second a. Weights do not change, so what lies between needs not be kept:
 * only where bounds let it pass.
 */
#include "search_layers.h"

#include "arithmetic.h"

enum { KEPT_WIDTHS = 6 }; /* of a block, in channels: its two reads, mix_in, depthwise, and twice expand */

typedef struct {
    const cae_float_blocks *blocks;
    float *stream; /* or how things grow with it */
    int8_t *kept;
    int number; /* of the block */
} run;

void cae_float_blocks_open(cae_float_blocks *b, const cae_float_kernels *kernels, const cae_float_block *block, int count,
                           int rows, int columns, int width, int workers, cae_memory *memory) {
    size_t padded = ((size_t)columns + 2) * (size_t)width;
    *b = (cae_float_blocks){.kernels = kernels, .block = block, .count = count, .rows = rows, .columns = columns};
    b->width = width;
    for (int i = 0; i < 2; i++)
        b->map[i] = cae_take(memory, (size_t)rows * padded, sizeof(float));
    b->zeros = cae_take(memory, padded, sizeof(float));
    b->scratch = cae_take(memory, (size_t)workers * (size_t)columns * 3 * (size_t)width, sizeof(float));
}

float *cae_float_map_row(const cae_float_blocks *b, int which, int row) {
    if (row < 0 || row >= b->rows)
        return (float *)b->zeros;
    return b->map[which] + (ptrdiff_t)row * (b->columns + 2) * b->width;
}

size_t cae_float_blocks_kept(const cae_float_blocks *b) {
    return (size_t)b->count * (size_t)b->rows * (size_t)b->columns * (size_t)b->width * KEPT_WIDTHS;
}

/* What part `first` (in widths) of a block let pass in a row; NULL where nothing is kept. */
static int8_t *kept_of(const run *r, int number, int first, int row) {
    const cae_float_blocks *b = r->blocks;
    if (!r->kept)
        return NULL;
    ptrdiff_t line = (ptrdiff_t)b->columns * b->width * KEPT_WIDTHS;
    return r->kept + ((ptrdiff_t)number * b->rows + row) * line + (ptrdiff_t)first * b->columns * b->width;
}

enum { READ_FIRST, MIXED, SPREAD, READ_SECOND, EXPANDED }; /* the parts, by the widths before them */

static float *stream_row(const run *r, int row) {
    return r->stream + (ptrdiff_t)row * r->blocks->columns * r->blocks->width;
}

static float *scratch_of(const run *r, int worker) {
    return r->blocks->scratch + (ptrdiff_t)worker * r->blocks->columns * 3 * r->blocks->width;
}

/* a of a block's row, from its stream, into the block's map. */
static void mix_in(const run *r, int number, int row, int worker) {
    const cae_float_blocks *b = r->blocks;
    const cae_float_block *block = &b->block[number];
    size_t count = (size_t)b->columns * (size_t)b->width;
    float *read = scratch_of(r, worker), *a = cae_float_map_row(b, number % 2, row) + b->width;
    b->kernels->bound(stream_row(r, row), count, block->mix_in_reads, read, kept_of(r, number, READ_FIRST, row));
    cae_float_product job = cae_float_product_of(&block->mix_in, read, b->width, b->columns, a, b->width);
    b->kernels->product(&job);
    b->kernels->rectify(a, count, CAE_ACTIVATION, kept_of(r, number, MIXED, row));
}

static void run_first(void *context, int row, int worker) { mix_in(context, 0, row, worker); }

static void run_row(void *context, int row, int worker) {
    const run *r = context;
    const cae_float_blocks *b = r->blocks;
    const cae_float_kernels *kernels = b->kernels;
    const cae_float_block *block = &b->block[r->number];
    int width = b->width, number = r->number;
    size_t count = (size_t)b->columns * (size_t)width;
    float *a = scratch_of(r, worker), *wide = a + count, *stream = stream_row(r, row);
    const float *near[3];
    for (int i = 0; i < 3; i++)
        near[i] = cae_float_map_row(b, number % 2, row + i - 1);
    kernels->depthwise(block->depthwise, block->depthwise_bias, width, near, b->columns, a);
    kernels->bound(a, count, CAE_ACTIVATION, a, kept_of(r, number, SPREAD, row));
    cae_float_product job = cae_float_product_of(&block->mix_out, a, width, b->columns, wide, width);
    kernels->product(&job);
    for (size_t i = 0; i < count; i++)
        stream[i] += wide[i];
    kernels->bound(stream, count, block->expand_reads, a, kept_of(r, number, READ_SECOND, row));
    job = cae_float_product_of(&block->expand, a, width, b->columns, wide, 2 * width);
    kernels->product(&job);
    kernels->rectify(wide, 2 * count, CAE_ACTIVATION, kept_of(r, number, EXPANDED, row));
    job = cae_float_product_of(&block->project, wide, 2 * width, b->columns, a, width);
    kernels->product(&job);
    for (size_t i = 0; i < count; i++)
        stream[i] += a[i];
    if (number + 1 < b->count)
        mix_in(r, number + 1, row, worker);
}

void cae_float_blocks_run(const cae_float_blocks *b, cae_threads *pool, float *stream, int8_t *kept) {
    run r = {b, stream, kept, 0};
    if (b->count)
        cae_parallel(pool, b->rows, run_first, &r);
    for (; r.number < b->count; r.number++)
        cae_parallel(pool, b->rows, run_row, &r);
}

/* Back through a block's second half and mix_out, of a row. */
static void back_to_map(const run *r, int number, int row, int worker) {
    const cae_float_blocks *b = r->blocks;
    const cae_float_kernels *kernels = b->kernels;
    const cae_float_block *block = &b->block[number];
    size_t count = (size_t)b->columns * (size_t)b->width;
    float *a = scratch_of(r, worker), *wide = a + count, *slope = stream_row(r, row);
    float *out = cae_float_map_row(b, number % 2, row) + b->width;
    cae_float_back(kernels, &block->project_back, slope, b->columns, wide);
    kernels->keep(wide, 2 * count, kept_of(r, number, EXPANDED, row));
    cae_float_back(kernels, &block->expand_back, wide, b->columns, a);
    kernels->add_kept(slope, a, count, kept_of(r, number, READ_SECOND, row));
    cae_float_back(kernels, &block->mix_out_back, slope, b->columns, out);
    kernels->keep(out, count, kept_of(r, number, SPREAD, row));
}

static void back_first(void *context, int row, int worker) {
    const run *r = context;
    back_to_map(r, r->number, row, worker);
}

static void back_row(void *context, int row, int worker) {
    const run *r = context;
    const cae_float_blocks *b = r->blocks;
    const cae_float_kernels *kernels = b->kernels;
    const cae_float_block *block = &b->block[r->number];
    size_t count = (size_t)b->columns * (size_t)b->width;
    float *a = scratch_of(r, worker), *through = a + count;
    const float *near[3];
    for (int i = 0; i < 3; i++)
        near[i] = cae_float_map_row(b, r->number % 2, row + i - 1);
    kernels->depthwise(block->depthwise_back, NULL, b->width, near, b->columns, a);
    kernels->keep(a, count, kept_of(r, r->number, MIXED, row));
    cae_float_back(kernels, &block->mix_in_back, a, b->columns, through);
    kernels->add_kept(stream_row(r, row), through, count, kept_of(r, r->number, READ_FIRST, row));
    if (r->number > 0)
        back_to_map(r, r->number - 1, row, worker);
}

void cae_float_blocks_back(const cae_float_blocks *b, cae_threads *pool, float *slope, const int8_t *kept) {
    run r = {b, slope, (int8_t *)kept, b->count - 1};
    if (b->count)
        cae_parallel(pool, b->rows, back_first, &r);
    for (; r.number >= 0; r.number--)
        cae_parallel(pool, b->rows, back_row, &r);
}
