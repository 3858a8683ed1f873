/* The functions of cae.h: opening models, checking arguments, and the check bytes around streams. */
#include "cae.h"

#include "arithmetic.h"
#include "checksum.h"
#include "model.h"

#include <stdlib.h>

enum { MOST_CELLS = 1 << 12, CHECK_BYTES = 2 }; /* cells: on a side */

const char *cae_error_text(int error) {
    static const char *const texts[] = {
        [CAE_OK] = "no error",
        [CAE_ERROR_MEMORY] = "out of memory",
        [CAE_ERROR_MODEL] = "not a model of this version, or one whose numbers could leave 32 bits",
        [CAE_ERROR_STREAM] = "the stream is invalid",
        [CAE_ERROR_CHECK] = "the latents do not match their check: the stream is damaged or of another model",
        [CAE_ERROR_ARGUMENT] = "a size, quality or capacity that cannot be",
    };
    return error >= 0 && error < (int)(sizeof texts / sizeof *texts) ? texts[error] : "unknown error";
}

const char *cae_kernels(void) { return cae_chosen_kernels()->name; }

static int load(cae_model *model, const cae_file *file) {
    cae_loader loader = {.file = file, .kernels = model->kernels, .memory = &model->memory};
    int photo = cae_file_metadata(file, "family", "photo"), tiny = cae_file_metadata(file, "family", "tiny");
    if (!cae_file_metadata(file, "format", "caecodec-model 2") || !(photo || tiny))
        return CAE_ERROR_MODEL;
    int64_t tails = -1, entries = -1;
    const void *tail = cae_file_tensor(file, "table.tail", CAE_I32, 1, &tails);
    const void *frequencies = cae_file_tensor(file, "table.frequencies", CAE_I32, 1, &entries);
    if (!tail || !frequencies)
        return CAE_ERROR_MODEL;
    int error = cae_tables_open(&model->tables, tail, (size_t)tails, frequencies, (size_t)entries);
    if (error)
        return error;
    model->has_tables = 1;
    if (!photo && model->tables.dense < CAE_SCALES)
        return CAE_ERROR_MODEL;
    cae_shape *shape = &model->shape;
    loader.rows = CAE_QUALITIES;
    if (photo) {
        int rows = cae_load_side(&loader, "quality.to_u", CAE_I32, 0);
        if (rows != CAE_QUALITIES && rows != 2 * CAE_QUALITIES)
            return CAE_ERROR_MODEL;
        loader.rows = rows;
        cae_load_photo(&loader, &model->tables, &model->photo);
        *shape = (cae_shape){.family = CAE_PHOTO, .cell = 16, .n = model->photo.of_y.n, .z = model->photo.of_z.n};
    } else {
        cae_load_tiny(&loader, &model->tables, &model->tiny);
        *shape = (cae_shape){.family = CAE_TINY, .cell = 8, .n = model->tiny.n};
    }
    model->rows = loader.rows;
    cae_load_g_s(&loader, shape->cell, shape->n, &model->g_s);
    shape->halo_out = (model->g_s.blocks + 2) / 2;
    int64_t any[2] = {-1, -1};
    if (cae_file_tensor(file, "g_a.stem.weight", CAE_I16, 2, any)) {
        cae_load_g_a(&loader, shape->cell, shape->n, &model->g_a);
        if (photo)
            cae_load_h_a(&loader, shape->n, shape->z, &model->h_a);
        shape->halo_in = (model->g_a.blocks + 2) / 2;
    }
    return loader.error;
}

int cae_model_open_for(const cae_kernel_set *kernels, const void *data, size_t size, cae_model **made) {
    *made = NULL;
    cae_file file;
    int error = cae_file_open(data, size, &file);
    if (error)
        return error;
    cae_model *model = calloc(1, sizeof *model);
    error = CAE_ERROR_MEMORY;
    if (model) {
        model->kernels = kernels;
        error = load(model, &file);
    }
    cae_file_close(&file);
    if (error) {
        cae_model_close(model);
        return error;
    }
    *made = model;
    return CAE_OK;
}

int cae_model_open(const void *data, size_t size, cae_model **model) {
    return cae_model_open_for(cae_chosen_kernels(), data, size, model);
}

void cae_model_close(cae_model *model) {
    if (!model)
        return;
    if (model->has_tables)
        cae_tables_close(&model->tables);
    cae_give_back(&model->memory);
    free(model);
}

void cae_model_shape(const cae_model *model, cae_shape *shape) { *shape = model->shape; }

static int possible(const cae_model *model, int rows, int columns, int quality) {
    return rows >= 1 && rows <= MOST_CELLS && columns >= 1 && columns <= MOST_CELLS && quality >= 1 &&
           quality <= model->rows;
}

static int walk(const cae_model *model, cae_threads *pool, int quality, int gray, int rows, int columns,
                cae_coding *coding, int32_t *y_hat) {
    coding->tables = &model->tables;
    if (model->shape.family == CAE_PHOTO)
        return cae_walk_photo(&model->photo, pool, quality, rows, columns, coding, y_hat);
    return cae_walk_tiny(&model->tiny, quality, gray != 0, rows, columns, coding, y_hat);
}

static unsigned check_of(const cae_model *model, int rows, int columns, const int32_t *y_hat) {
    size_t count = (size_t)rows * (size_t)columns * (size_t)model->shape.n;
    return cae_crc32(y_hat, count * sizeof *y_hat) & 0xffff;
}

int cae_measure_latents(const cae_model *model, cae_threads *pool, int quality, int gray, int rows, int columns,
                        const uint8_t *stream, size_t size, int32_t *y_hat, float *bits_y, float *bits_z) {
    if (!possible(model, rows, columns, quality))
        return CAE_ERROR_ARGUMENT;
    if (size < CHECK_BYTES)
        return CAE_ERROR_STREAM;
    cae_coding coding = {.what = CAE_READ, .bits_y = bits_y, .bits_z = bits_z};
    cae_decoder_start(&coding.decoder, stream + CHECK_BYTES, size - CHECK_BYTES);
    int error = walk(model, pool, quality, gray, rows, columns, &coding, y_hat);
    if (!error && check_of(model, rows, columns, y_hat) != (stream[0] | (unsigned)stream[1] << 8))
        error = CAE_ERROR_CHECK;
    return error;
}

int cae_decode_latents(const cae_model *model, cae_threads *pool, int quality, int gray, int rows, int columns,
                       const uint8_t *stream, size_t size, int32_t *y_hat) {
    return cae_measure_latents(model, pool, quality, gray, rows, columns, stream, size, y_hat, NULL, NULL);
}

size_t cae_stream_bound(const cae_model *model, int rows, int columns) {
    if (!possible(model, rows, columns, 1))
        return 0;
    size_t y = (size_t)rows * (size_t)columns * (size_t)model->shape.n;
    size_t z = ((size_t)rows + 3) / 4 * (((size_t)columns + 3) / 4) * (size_t)model->shape.z;
    return (y + z) * CAE_SYMBOL_BYTES + CAE_STREAM_END_BYTES + CHECK_BYTES;
}

int cae_encode_latents(const cae_model *model, cae_threads *pool, int quality, int gray, int rows, int columns,
                       const cae_unrounded *given, uint8_t *stream, size_t *size, int32_t *y_hat) {
    if (!possible(model, rows, columns, quality) || *size < CHECK_BYTES)
        return CAE_ERROR_ARGUMENT;
    cae_coding coding = {.what = CAE_WRITE, .given = given};
    cae_encoder_start(&coding.encoder, stream + CHECK_BYTES, *size - CHECK_BYTES);
    int error = walk(model, pool, quality, gray, rows, columns, &coding, y_hat);
    if (!error)
        error = cae_encoder_finish(&coding.encoder, size);
    if (error)
        return error;
    unsigned check = check_of(model, rows, columns, y_hat);
    stream[0] = (uint8_t)check;
    stream[1] = (uint8_t)(check >> 8);
    *size += CHECK_BYTES;
    return CAE_OK;
}

int cae_cost_latents(const cae_model *model, cae_threads *pool, int quality, int gray, int rows, int columns,
                     const cae_unrounded *given, double *bits, int32_t *y_hat) {
    if (!possible(model, rows, columns, quality))
        return CAE_ERROR_ARGUMENT;
    cae_coding coding = {.what = CAE_COUNT, .given = given};
    int error = walk(model, pool, quality, gray, rows, columns, &coding, y_hat);
    *bits = coding.bits;
    return error;
}

int cae_synthesise(const cae_model *model, cae_threads *pool, int quality, int rows, int columns, const int32_t *y_hat,
                   uint8_t *samples) {
    if (!possible(model, rows, columns, quality))
        return CAE_ERROR_ARGUMENT;
    return cae_run_g_s(model->kernels, pool, &model->g_s, quality, rows, columns, y_hat, samples, NULL);
}

int cae_synthesise_deep(const cae_model *model, cae_threads *pool, int quality, int rows, int columns,
                        const int32_t *y_hat, uint16_t *samples) {
    if (!possible(model, rows, columns, quality))
        return CAE_ERROR_ARGUMENT;
    return cae_run_g_s(model->kernels, pool, &model->g_s, quality, rows, columns, y_hat, NULL, samples);
}

int cae_synthesise_small(const cae_model *model, int quality, int side, int rows, int columns, const int32_t *y_hat,
                         uint16_t *samples) {
    if (!possible(model, rows, columns, quality) || side < 1 || side > 2)
        return CAE_ERROR_ARGUMENT;
    return cae_run_small(model->kernels, &model->g_s, quality, side, rows, columns, y_hat, samples);
}

int cae_analyse(const cae_model *model, cae_threads *pool, int rows, int columns, const uint8_t *samples, int top,
                int left, int inner_rows, int inner_columns, float *y, float *z) {
    int inside = inner_rows >= 1 && inner_columns >= 1 && top >= 0 && left >= 0 && top <= rows - inner_rows &&
                 left <= columns - inner_columns;
    if (!model->g_a.there || !possible(model, rows, columns, 1) || !inside)
        return CAE_ERROR_ARGUMENT;
    cae_memory memory = {0};
    int n = model->shape.n, of_z = model->shape.z;
    size_t cells = (size_t)inner_rows * (size_t)inner_columns;
    size_t coarse = ((size_t)inner_rows + 3) / 4 * (((size_t)inner_columns + 3) / 4);
    int32_t *fixed_y = cae_take(&memory, cells * (size_t)n, sizeof *fixed_y);
    int32_t *fixed_z = cae_take(&memory, coarse * (size_t)of_z, sizeof *fixed_z);
    int error = memory.failed ? CAE_ERROR_MEMORY
                              : cae_run_g_a(model->kernels, pool, &model->g_a, rows, columns, samples, top, left,
                                            inner_rows, inner_columns, fixed_y);
    if (!error && of_z)
        error = cae_run_h_a(model->kernels, pool, &model->h_a, inner_rows, inner_columns, fixed_y, fixed_z);
    for (size_t i = 0; !error && i < cells * (size_t)n; i++)
        y[i] = (float)fixed_y[i] * model->g_a.unit[i % (size_t)n];
    for (size_t i = 0; !error && i < coarse * (size_t)of_z; i++)
        z[i] = (float)fixed_z[i] * model->h_a.unit[i % (size_t)of_z];
    cae_give_back(&memory);
    return error;
}
