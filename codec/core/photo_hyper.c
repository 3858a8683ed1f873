/* Loading the entropy network of `photo`, and h_s:
 *
 *     z_hat (hz, wz, Z)       int32, 10 fraction bits
 *     x     (hz, wz, Z)       int16
 *     r     (2hz, 2wz, C)     int32: up1, block1
 *     r     (4hz, 4wz, C)     int32: up2, block2
 *     psi   (4hz, 4wz, C)     int16, cut to the tile
 */
#include "photo.h"

#include "arithmetic.h"
#include "cae.h"

/* The fine steps of dependent quantisation, one for each row of the tables. */
static int32_t *load_steps(cae_loader *loader) {
    int32_t *steps = cae_load_table(loader, "quality.step", loader->rows, 1, CAE_ONE);
    for (int i = 0; !loader->error && i < loader->rows; i++)
        if (steps[i] < 1)
            loader->error = CAE_ERROR_MODEL;
    return steps;
}

void cae_load_photo(cae_loader *loader, const cae_tables *tables, cae_photo *p) {
    *p = (cae_photo){.kernels = loader->kernels, .tables = tables};
    cae_load_context(loader, "context", "", &p->of_y);
    cae_load_context(loader, "context_z", "z_", &p->of_z);
    if (tables->dense < CAE_SCALES)
        p->of_y.step = load_steps(loader);
    else if (cae_file_has(loader->file, "quality.step"))
        loader->error = CAE_ERROR_MODEL;
    int z = p->of_z.n, psi = p->of_y.psi;
    cae_load_even_layer(loader, "int.h_s.up1", 1, z, 4 * psi, 0, &p->up1);
    cae_load_block(loader, "int.h_s.block1", psi, &p->block1);
    cae_load_even_layer(loader, "int.h_s.up2", 1, psi, 4 * psi, CAE_READS_STREAM, &p->up2);
    cae_load_block(loader, "int.h_s.block2", psi, &p->block2);
    p->psi_narrow = cae_load_number(loader, "int.h_s.narrow", CAE_MOST_NARROW);
    p->psi_offset = cae_load_table(loader, "quality.psi", loader->rows, psi, CAE_STREAM);
    const int32_t *of_z = cae_load_table(loader, "quality.z_psi", loader->rows, p->of_z.psi, CAE_ACTIVATION);
    size_t count = (size_t)loader->rows * (size_t)p->of_z.psi;
    p->psi_z = cae_take(loader->memory, count, sizeof *p->psi_z);
    if (!loader->error && loader->memory->failed)
        loader->error = CAE_ERROR_MEMORY;
    for (size_t i = 0; !loader->error && i < count; i++)
        p->psi_z[i] = (int16_t)of_z[i];
}

typedef struct {
    const cae_photo *photo;
    const cae_layer *layer;
    int columns;
    const int16_t *x;      /* inputs of the layer, or */
    const int32_t *stream; /* the stream that it reads */
    int32_t *out;
    int16_t *narrowed; /* a row of each worker */
    int32_t *sums;
} up;

/* A row of cells to two rows of twice as many: the layer, then depth_to_space. */
static void run_up(void *context, int row, int worker) {
    up *u = context;
    const cae_layer *layer = u->layer;
    const cae_kernel_set *kernels = u->photo->kernels;
    int inputs = layer->inputs, width = u->photo->of_y.psi, count = u->columns * inputs;
    int32_t *sums = u->sums + (ptrdiff_t)worker * u->columns * 4 * width;
    const int16_t *x = u->x + (ptrdiff_t)row * count;
    if (u->stream) {
        int16_t *narrowed = u->narrowed + (ptrdiff_t)worker * count;
        kernels->narrow(u->stream + (ptrdiff_t)row * count, (size_t)count, layer->narrow, narrowed);
        x = narrowed;
    }
    cae_span span[1];
    cae_product job = cae_product_of(layer, &x, inputs, u->columns, span);
    job.kind = CAE_TO_STREAM;
    job.lowest = -CAE_STREAM;
    job.highest = CAE_STREAM;
    job.stream = sums;
    job.out_step = 4 * width;
    kernels->product(&job);
    int32_t *out = u->out + (ptrdiff_t)row * u->columns * 4 * width;
    for (int i = 0; i < 2; i++) {
        for (int cell = 0; cell < u->columns; cell++, out += 2 * width)
            memcpy(out, sums + (4 * cell + 2 * i) * width, 2 * (size_t)width * sizeof *out);
    }
}

typedef struct {
    const cae_photo *photo;
    const int32_t *stream, *offset;
    int columns, of_stream; /* kept, and there */
    int16_t *psi;
    ptrdiff_t step;
} cut;

static void run_cut(void *context, int row, int worker) {
    cut *c = context;
    (void)worker;
    int width = c->photo->of_y.psi, narrow = c->photo->psi_narrow;
    for (int column = 0; column < c->columns; column++) {
        const int32_t *from = c->stream + ((ptrdiff_t)row * c->of_stream + column) * width;
        int16_t *out = c->psi + ((ptrdiff_t)row * c->columns + column) * c->step;
        for (int k = 0; k < width; k++)
            out[k] = cae_narrow(from[k] + c->offset[k], narrow);
    }
}

int cae_photo_psi(const cae_photo *p, cae_threads *pool, int quality, int hz, int wz, const int32_t *z_hat, int rows,
                  int columns, int16_t *psi, ptrdiff_t step) {
    cae_memory memory = {0};
    size_t workers = (size_t)cae_thread_count(pool), cells = (size_t)hz * (size_t)wz, width = (size_t)p->of_y.psi;
    const cae_multiplier *to_u = &p->of_z.to_u;
    size_t z = (size_t)p->of_z.n;
    int16_t *x = cae_take(&memory, cells * z, sizeof *x);
    int32_t *coarse = cae_take(&memory, 4 * cells * width, sizeof *coarse);
    int32_t *fine = cae_take(&memory, 16 * cells * width, sizeof *fine);
    up u = {.photo = p};
    u.narrowed = cae_take(&memory, workers * 2 * (size_t)wz * width, sizeof *u.narrowed);
    u.sums = cae_take(&memory, workers * 8 * (size_t)wz * width, sizeof *u.sums);
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    if (!error) {
        const int32_t *factor = to_u->factor + (ptrdiff_t)(quality - 1) * p->of_z.n;
        for (size_t cell = 0; cell < cells; cell++)
            p->kernels->times_to_activation(z_hat + cell * z, factor, to_u->shift, p->of_z.n, x + cell * z);
        u.layer = &p->up1, u.x = x, u.columns = wz, u.out = coarse;
        cae_parallel(pool, hz, run_up, &u);
        error = cae_run_blocks(p->kernels, pool, &p->block1, 1, coarse, 2 * hz, 2 * wz);
    }
    if (!error) {
        u.layer = &p->up2, u.stream = coarse, u.columns = 2 * wz, u.out = fine;
        cae_parallel(pool, 2 * hz, run_up, &u);
        error = cae_run_blocks(p->kernels, pool, &p->block2, 1, fine, 4 * hz, 4 * wz);
    }
    if (!error) {
        cut c = {p, fine, p->psi_offset + (ptrdiff_t)(quality - 1) * p->of_y.psi, columns, 4 * wz, psi, step};
        cae_parallel(pool, rows, run_cut, &c);
    }
    cae_give_back(&memory);
    return error;
}
