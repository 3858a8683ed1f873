/* Blocks on a stream, row by row: what a row needs stays in the second cache.
 *
 *     a = clamp(mix_in(r),  0,  M)
 *     a = clamp(depthwise(a),  -M,  M)           reads rows above and below of the first a
 *     r = clamp(r + mix_out(a),  -S,  S)
 *     a = clamp(expand(r),  0,  M)
 *     r = clamp(r + project(a),  -S,  S)
 *
 * The stream is changed in place, so the a of the row below is made before this row is touched, and kept. Threads take bands
 * of rows; the a of the rows at the bands' edges is made before any of them starts.
 */
#include "layers.h"

#include "arithmetic.h"

enum {
    RING = 3,          /* rows of a that are kept */
    BAND_AT_LEAST = 6, /* rows: two of them are edges */
    BANDS_PER_THREAD = 3,
};

/* Rows of one worker. */
typedef struct {
    int16_t *ring;     /* RING rows of columns + 2 cells: zeros to the left and right */
    int16_t *narrowed; /* a row of the stream as layers read it */
    int16_t *mixed, *wide;
} scratch;

typedef struct {
    const cae_kernel_set *kernels;
    const cae_block *block;
    int32_t *stream;
    int rows, columns, bands;
    scratch *scratch;   /* of each worker */
    int16_t *edges;     /* of each band: a of its first row and of its last, as in `ring` */
    const int16_t *zeros;
} run;

static size_t padded(const run *r) { return (size_t)(r->columns + 2) * (size_t)r->block->width; }
static int band_start(const run *r, int band) { return (int)((int64_t)r->rows * band / r->bands); }
static int32_t *stream_row(const run *r, int row) {
    return r->stream + (ptrdiff_t)row * r->columns * r->block->width;
}
static int16_t *edge(const run *r, int band, int last) { return r->edges + padded(r) * (size_t)(2 * band + last); }

/* a of one row, from one cell right of `out` on. */
static void mix_in(const run *r, scratch *own, int row, int16_t *out) {
    const cae_layer *layer = &r->block->mix_in;
    int width = r->block->width;
    cae_span span[1];
    r->kernels->narrow(stream_row(r, row), (size_t)r->columns * (size_t)width, layer->narrow, own->narrowed);
    cae_product job =
        cae_product_of(layer, (const int16_t *const[]){own->narrowed}, width, r->columns, span);
    job.kind = CAE_TO_HIDDEN;
    job.hidden = out + width;
    job.out_step = width;
    r->kernels->product(&job);
}

static void make_edges(void *context, int band, int worker) {
    run *r = context;
    int first = band_start(r, band), last = band_start(r, band + 1) - 1;
    mix_in(r, &r->scratch[worker], first, edge(r, band, 0));
    mix_in(r, &r->scratch[worker], last, edge(r, band, 1));
}

/* a of a row that a band looks at, or zeros beyond the stream. */
static int16_t *looked_up(const run *r, const scratch *own, int band, int row) {
    int first = band_start(r, band), last = band_start(r, band + 1) - 1;
    if (row < 0 || row >= r->rows)
        return (int16_t *)r->zeros;
    if (r->bands > 1) {
        if (row < first)
            return edge(r, band - 1, 1);
        if (row > last)
            return edge(r, band + 1, 0);
        if (row == first)
            return edge(r, band, 0);
        if (row == last)
            return edge(r, band, 1);
    }
    return own->ring + padded(r) * (size_t)(row % RING);
}

static void run_band(void *context, int band, int worker) {
    run *r = context;
    scratch *own = &r->scratch[worker];
    const cae_kernel_set *kernels = r->kernels;
    const cae_block *block = r->block;
    int first = band_start(r, band), end = band_start(r, band + 1), width = block->width;
    int made = r->bands > 1 ? first : first - 1; /* rows up to this one have their a */
    for (int row = first; row < end; row++) {
        for (int wanted = row + 1 < end ? row + 1 : end - 1; made < wanted;) {
            made++;
            if (r->bands == 1 || made != end - 1)
                mix_in(r, own, made, looked_up(r, own, band, made));
        }
        const int16_t *near[3];
        for (int i = 0; i < 3; i++)
            near[i] = looked_up(r, own, band, row + i - 1);
        kernels->depthwise(block->depthwise.weight, block->depthwise.bias, width, block->depthwise.shift, near, r->columns,
                           own->mixed);

        int32_t *stream = stream_row(r, row);
        cae_span span[1];
        cae_product job =
            cae_product_of(&block->mix_out, (const int16_t *const[]){own->mixed}, width, r->columns, span);
        job.kind = CAE_ONTO_STREAM;
        job.stream = stream;
        job.out_step = width;
        job.narrowed = own->narrowed;
        job.narrow = block->expand.narrow;
        kernels->product(&job);

        job = cae_product_of(&block->expand, (const int16_t *const[]){own->narrowed}, width, r->columns, span);
        job.kind = CAE_TO_HIDDEN;
        job.hidden = own->wide;
        job.out_step = 2 * width;
        kernels->product(&job);

        job = cae_product_of(&block->project, (const int16_t *const[]){own->wide}, 2 * width, r->columns, span);
        job.kind = CAE_ONTO_STREAM;
        job.stream = stream;
        job.out_step = width;
        kernels->product(&job);
    }
}

int cae_run_blocks(const cae_kernel_set *kernels, cae_threads *pool, const cae_block *blocks, int count, int32_t *stream,
                   int rows, int columns) {
    if (count == 0)
        return CAE_OK;
    int workers = cae_thread_count(pool);
    cae_memory memory = {0};
    run r = {.kernels = kernels, .block = blocks, .stream = stream, .rows = rows, .columns = columns, .bands = 1};
    if (workers > 1) {
        int most = rows / BAND_AT_LEAST;
        r.bands = most < 1 ? 1 : most < BANDS_PER_THREAD * workers ? most : BANDS_PER_THREAD * workers;
    }
    size_t row = (size_t)columns * (size_t)blocks->width;
    int16_t *zeros = cae_take(&memory, padded(&r), sizeof *zeros);
    r.zeros = zeros;
    r.edges = cae_take(&memory, padded(&r) * 2 * (size_t)r.bands, sizeof *r.edges);
    r.scratch = cae_take(&memory, (size_t)workers, sizeof *r.scratch);
    for (int i = 0; i < workers && !memory.failed; i++) {
        scratch *own = &r.scratch[i];
        own->ring = cae_take(&memory, padded(&r) * RING, sizeof *own->ring);
        own->narrowed = cae_take(&memory, row, sizeof *own->narrowed);
        own->mixed = cae_take(&memory, row, sizeof *own->mixed);
        own->wide = cae_take(&memory, 2 * row, sizeof *own->wide);
    }
    for (int i = 0; i < count && !memory.failed; i++) {
        r.block = &blocks[i];
        if (r.bands > 1)
            cae_parallel(pool, r.bands, make_edges, &r);
        cae_parallel(pool, r.bands, run_band, &r);
    }
    cae_give_back(&memory);
    return memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
}
