/* Fuzzer of opening models: bytes are a model file. One that opens also decodes, encodes, makes pixels of one cell and
 * searches. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cae.h"
#include "cae_search.h"

#define DEMAND(that)                                          \
    do {                                                      \
        if (!(that)) {                                        \
            fprintf(stderr, "not so: %s\n", #that);           \
            abort();                                          \
        }                                                     \
    } while (0)

static void use(const cae_model *model) {
    cae_shape shape;
    cae_model_shape(model, &shape);
    DEMAND(shape.n >= 1 && shape.z >= 0 && (shape.cell == 16 || shape.cell == 8));
    size_t n = (size_t)shape.n, z = (size_t)shape.z, bytes = (size_t)(shape.cell * shape.cell * 3);
    int32_t *y_hat = malloc(n * sizeof *y_hat), *again = malloc(n * sizeof *again);
    float *y = calloc(n, sizeof *y), *of_z = calloc(z + 1, sizeof *of_z);
    uint8_t *samples = malloc(bytes);
    size_t size = cae_stream_bound(model, 1, 1);
    uint8_t *stream = malloc(size);
    memset(samples, 200, bytes);
    int error = cae_analyse(model, NULL, 1, 1, samples, 0, 0, 1, 1, y, of_z);
    DEMAND(error == CAE_OK || error == CAE_ERROR_ARGUMENT); /* it may have no analysis */
    cae_unrounded given = {.y = y, .z = of_z};
    DEMAND(cae_encode_latents(model, NULL, 50, 1, 1, 1, &given, stream, &size, y_hat) == CAE_OK);
    DEMAND(cae_decode_latents(model, NULL, 50, 1, 1, 1, stream, size, again) == CAE_OK);
    DEMAND(memcmp(y_hat, again, n * sizeof *y_hat) == 0);
    DEMAND(cae_synthesise(model, NULL, 50, 1, 1, y_hat, samples) == CAE_OK);
    free(y_hat);
    free(again);
    free(y);
    free(of_z);
    free(samples);
    free(stream);
}

static void search(const cae_model *model, const uint8_t *data, size_t size) {
    cae_shape shape;
    cae_model_shape(model, &shape);
    cae_gradients *gradients = NULL;
    int error = cae_gradients_open(model, data, size, &gradients);
    DEMAND(error == CAE_OK);
    size_t latents = 4 * (size_t)shape.n; /* of 2x2 cells */
    float *arrays = malloc(3 * latents * sizeof *arrays), *z = calloc((size_t)shape.z + 1, sizeof *z);
    uint8_t samples[16 * 16 * 3];
    for (size_t i = 0; i < latents; i++)
        arrays[i] = (float)(i % 7) - 3;
    memset(samples, 100, sizeof samples);
    cae_sought tile = {.quality = 50, .rows = 1, .columns = 1, .samples = samples, .z = z, .weight = arrays, .mse = 1, .eye = 1};
    cae_search *made = NULL;
    DEMAND(cae_search_new(gradients, NULL, &tile, &made) == CAE_OK);
    const float strength[4] = {0.5f, 0.5f, 0.5f, 0.5f};
    double cost;
    float *y_hat = arrays + latents, *slope = y_hat + latents;
    DEMAND(cae_search_round(made, NULL, arrays, strength, y_hat, &cost, slope) == CAE_OK);
    DEMAND(cae_search_round(made, NULL, slope, strength, y_hat, &cost, NULL) == CAE_OK);
    cae_search_free(made);
    cae_gradients_close(gradients);
    free(arrays);
    free(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1); /* of its own size, so that reads past its end are seen */
    memcpy(copy, data, size);
    cae_model *model = NULL;
    int error = cae_model_open(copy, size, &model);
    DEMAND(error == CAE_OK || (model == NULL && (error == CAE_ERROR_MODEL || error == CAE_ERROR_MEMORY)));
    if (model)
        search(model, copy, size);
    free(copy); /* nothing of it is kept */
    if (model)
        use(model);
    cae_model_close(model);
    return 0;
}
