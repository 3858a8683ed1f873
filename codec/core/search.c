/* The functions of cae_search.h. */
#include "cae_search.h"

#include "arithmetic.h"
#include "model.h"
#include "search_eye.h"
#include "search_synthesis.h"
#include "search_tiny.h"
#include "search_walk.h"

#include <stdlib.h>

enum { MOST_CELLS = 1 << 12 }; /* on a side */

struct cae_gradients {
    const cae_float_kernels *kernels;
    const cae_model *model;
    cae_memory memory;
    cae_float_context context; /* the family's alone */
    cae_float_tiny tiny;
    cae_float_g_s g_s;
};

struct cae_search {
    const cae_gradients *gradients;
    cae_memory memory;
    int height, width, workers, has_eye, gray;
    double mse, eye_worth; /* of the tile's mean squared error in 0..1, and of a point */
    const uint8_t *samples;
    cae_float_walk walk; /* the family's alone */
    cae_float_tiny_walk tiny;
    cae_float_synthesis synthesis;
    cae_eye eye;
    float *pixels, *of_pixels;
    double *errors; /* of rows */
};

int cae_gradients_open_for(const cae_float_kernels *kernels, const cae_model *model, const void *data, size_t size,
                           cae_gradients **made);
int cae_gradients_open_for(const cae_float_kernels *kernels, const cae_model *model, const void *data, size_t size,
                           cae_gradients **made) {
    *made = NULL;
    cae_file file;
    int error = cae_file_open(data, size, &file);
    if (error)
        return error;
    cae_gradients *gradients = calloc(1, sizeof *gradients);
    if (gradients) {
        gradients->kernels = kernels;
        gradients->model = model;
        cae_float_loader loader = {&file, kernels, &gradients->memory, CAE_OK};
        if (model->shape.family == CAE_PHOTO)
            cae_load_float_context(&loader, &model->photo, &gradients->context);
        else
            cae_load_float_tiny(&loader, &model->tiny, &gradients->tiny);
        cae_load_float_g_s(&loader, &model->g_s, &gradients->g_s);
        error = loader.error;
    } else {
        error = CAE_ERROR_MEMORY;
    }
    cae_file_close(&file);
    if (error) {
        cae_gradients_close(gradients);
        return error;
    }
    *made = gradients;
    return CAE_OK;
}

int cae_gradients_open(const cae_model *model, const void *data, size_t size, cae_gradients **gradients) {
    return cae_gradients_open_for(cae_chosen_float_kernels(), model, data, size, gradients);
}

void cae_gradients_close(cae_gradients *gradients) {
    if (!gradients)
        return;
    cae_give_back(&gradients->memory);
    free(gradients);
}

static int open_search(cae_search *s, cae_threads *pool, const cae_sought *tile) {
    const cae_gradients *g = s->gradients;
    int photo = g->model->shape.family == CAE_PHOTO;
    int rows = tile->rows, columns = tile->columns;
    if (photo)
        rows += rows % 2, columns += columns % 2;
    s->height = tile->rows * g->model->shape.cell, s->width = tile->columns * g->model->shape.cell;
    s->workers = cae_thread_count(pool);
    size_t samples = 3 * (size_t)s->height * (size_t)s->width;
    s->mse = tile->mse * 255 * 255 / 3; /* of the sum of all squared errors, three to a pixel */
    s->eye_worth = tile->eye * s->height * s->width;
    s->gray = tile->gray;
    s->has_eye = tile->eye > 0 && s->height >= CAE_EYE_SMALLEST && s->width >= CAE_EYE_SMALLEST;
    s->pixels = cae_take(&s->memory, samples, sizeof *s->pixels);
    s->of_pixels = cae_take(&s->memory, samples, sizeof *s->of_pixels);
    s->errors = cae_take(&s->memory, (size_t)s->height, sizeof *s->errors);
    uint8_t *kept = cae_take(&s->memory, samples, 1);
    if (s->memory.failed)
        return CAE_ERROR_MEMORY;
    memcpy(kept, tile->samples, samples);
    s->samples = kept;
    cae_float_synthesis_open(&s->synthesis, &g->g_s, g->kernels, tile->quality, rows, columns, s->height, s->width,
                             s->workers, &s->memory);
    int error = s->memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    if (!error && !photo)
        cae_float_tiny_open(&s->tiny, &g->tiny, g->kernels, tile->quality, tile->gray, rows, columns, tile->weight,
                            &s->memory);
    if (s->memory.failed)
        error = CAE_ERROR_MEMORY;
    if (!error && photo)
        error = cae_float_walk_open(&s->walk, &g->context, g->kernels, pool, tile->quality, rows, columns, tile->z,
                                    tile->weight, &s->memory);
    if (!error && s->has_eye)
        error = cae_eye_open(&s->eye, g->kernels, pool, s->height, s->width, s->samples, &s->memory);
    return error;
}

int cae_search_new(const cae_gradients *gradients, cae_threads *pool, const cae_sought *tile, cae_search **made) {
    *made = NULL;
    if (tile->rows < 1 || tile->rows > MOST_CELLS || tile->columns < 1 || tile->columns > MOST_CELLS ||
        tile->quality < 1 || tile->quality > gradients->model->rows || tile->gray < 0 || tile->gray > 1)
        return CAE_ERROR_ARGUMENT;
    int photo = gradients->model->shape.family == CAE_PHOTO;
    if (photo && (!tile->z || tile->gray))
        return CAE_ERROR_ARGUMENT;
    cae_search *search = calloc(1, sizeof *search);
    if (!search)
        return CAE_ERROR_MEMORY;
    search->gradients = gradients;
    int error = open_search(search, pool, tile);
    if (error) {
        cae_search_free(search);
        return error;
    }
    *made = search;
    return CAE_OK;
}

void cae_search_free(cae_search *search) {
    if (!search)
        return;
    cae_give_back(&search->memory);
    free(search);
}

/* Squared errors of a row of pixels, and how what they are worth grows. */
static void run_errors(void *context, int row, int worker) {
    cae_search *s = context;
    (void)worker;
    size_t count = 3 * (size_t)s->width, at = count * (size_t)row;
    const float *restrict pixels = s->pixels + at;
    const uint8_t *restrict samples = s->samples + at;
    float *restrict slope = s->of_pixels + at, worth = (float)(2 * s->mse);
    if (s->gray) { /* what is seen is the mean of the three */
        double sum = 0;
        for (size_t i = 0; i < count; i += 3) {
            float error = (pixels[i] + pixels[i + 1] + pixels[i + 2]) * (1 / 3.0f) - (float)samples[i] * (1 / 255.0f);
            sum += 3 * (double)(error * error);
            slope[i] = slope[i + 1] = slope[i + 2] = worth * error;
        }
        s->errors[row] = sum;
        return;
    }
    enum { PART = 16 };
    float part[PART] = {0};
    size_t start = 0;
    for (; start + PART <= count; start += PART) {
        for (size_t i = 0; i < PART; i++) {
            float error = pixels[start + i] - (float)samples[start + i] * (1 / 255.0f);
            part[i] += error * error;
            slope[start + i] = worth * error;
        }
    }
    for (; start < count; start++) { /* of rows of cells of 8 pixels */
        float error = pixels[start] - (float)samples[start] * (1 / 255.0f);
        part[0] += error * error;
        slope[start] = worth * error;
    }
    double sum = 0;
    for (int i = 0; i < PART; i++)
        sum += (double)part[i];
    s->errors[row] = sum;
}

int cae_search_round(cae_search *s, cae_threads *pool, const float *target, const float *strength, float *y_hat,
                     double *cost, float *slope) {
    if (cae_thread_count(pool) > s->workers)
        pool = NULL; /* there is no room for their rows */
    int photo = s->gradients->model->shape.family == CAE_PHOTO;
    *cost = photo ? cae_float_walk_run(&s->walk, pool, target, strength, y_hat, slope != NULL)
                  : cae_float_tiny_run(&s->tiny, target, strength, y_hat);
    cae_float_synthesis_run(&s->synthesis, pool, y_hat, s->pixels, slope != NULL);
    cae_parallel(pool, s->height, run_errors, s);
    for (int row = 0; row < s->height; row++)
        *cost += s->mse * s->errors[row];
    if (s->has_eye)
        *cost += s->eye_worth *
                 cae_eye_distance(&s->eye, pool, s->pixels, s->eye_worth, slope ? s->of_pixels : NULL);
    if (slope) {
        cae_float_synthesis_back(&s->synthesis, pool, s->of_pixels, slope);
        if (photo)
            cae_float_walk_back(&s->walk, pool, slope);
        else
            cae_float_tiny_back(&s->tiny, slope);
    }
    return CAE_OK;
}
