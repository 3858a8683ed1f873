/* Fuzzer of decoding: bytes are a quality, a size and the stream of a tile.
 *
 * CAECODEC_FUZZ_MODELS: model files, separated by colons. Every kernel set of this machine decodes, alone and with threads,
 * and has to do what the first one does. The check of the latents is all that is left to do where it fails, so what does
 * not match it goes on to pixels like what does. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cae.h"
#include "model.h"

enum { MODELS = 8, SETS = 8, SIDE = 6, Y_HAT_MOST = (1 << 26) - 1 };

static cae_model *models[MODELS][SETS];
static int count, sets;
static cae_threads *pool;

#define DEMAND(that)                                          \
    do {                                                      \
        if (!(that)) {                                        \
            fprintf(stderr, "not so: %s\n", #that);           \
            abort();                                          \
        }                                                     \
    } while (0)

static void open_model(const char *path) {
    static const char *const names[] = {"portable", "sse2", "avx2", "avxvnni", "avx512", "avx512vnni", "neon"};
    static uint8_t data[1 << 24];
    FILE *file = fopen(path, "rb");
    DEMAND(file != NULL && count < MODELS);
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    sets = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cae_kernel_set *kernels = cae_kernels_named(names[i]);
        if (kernels)
            DEMAND(cae_model_open_for(kernels, data, size, &models[count][sets++]) == CAE_OK);
    }
    count++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    const char *given = getenv("CAECODEC_FUZZ_MODELS");
    DEMAND(given != NULL);
    char *paths = strdup(given);
    DEMAND(paths != NULL);
    for (char *path = strtok(paths, ":"); path; path = strtok(NULL, ":"))
        open_model(path);
    free(paths);
    DEMAND(cae_threads_new(3, &pool) == CAE_OK);
    return 0;
}

static size_t samples_of(const cae_shape *shape, int rows, int columns) {
    return (size_t)rows * (size_t)columns * (size_t)shape->cell * (size_t)shape->cell * 3;
}

/* As what `set` and `threads` make of it, into arrays of exactly the size that cae.h names. Returns the error. */
static int decode(const cae_model *model, cae_threads *threads, int quality, int gray, int rows, int columns,
                  const uint8_t *stream, size_t size, int32_t *y_hat, uint8_t *samples) {
    size_t cells = (size_t)rows * (size_t)columns;
    float *bits_y = malloc(cells * sizeof *bits_y);
    float *bits_z = malloc((size_t)((rows + 3) / 4) * (size_t)((columns + 3) / 4) * sizeof *bits_z);
    int error = threads ? cae_decode_latents(model, threads, quality, gray, rows, columns, stream, size, y_hat)
                        : cae_measure_latents(model, NULL, quality, gray, rows, columns, stream, size, y_hat, bits_y, bits_z);
    DEMAND(error == CAE_OK || error == CAE_ERROR_STREAM || error == CAE_ERROR_CHECK);
    if (error != CAE_ERROR_STREAM)
        DEMAND(cae_synthesise(model, threads, quality, rows, columns, y_hat, samples) == CAE_OK);
    free(bits_y);
    free(bits_z);
    return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 4)
        return -1;
    int which = data[0] % count, gray = data[0] >> 7, quality = 1 + data[1] % 100;
    int rows = 1 + data[2] % SIDE, columns = 1 + data[3] % SIDE;
    size_t length = size - 4;
    uint8_t *stream = malloc(length + 1); /* of its own size, so that reads past its end are seen */
    stream = realloc(stream, length ? length : 1);
    memcpy(stream, data + 4, length);
    cae_shape shape;
    cae_model_shape(models[which][0], &shape);
    size_t latents = (size_t)rows * (size_t)columns * (size_t)shape.n, bytes = samples_of(&shape, rows, columns);
    int32_t *first = malloc(latents * sizeof *first), *other = malloc(latents * sizeof *other);
    uint8_t *picture = malloc(bytes), *other_picture = malloc(bytes);
    int error = decode(models[which][0], NULL, quality, gray, rows, columns, stream, length, first, picture);
    for (size_t i = 0; error != CAE_ERROR_STREAM && i < latents; i++)
        DEMAND(first[i] >= -Y_HAT_MOST && first[i] <= Y_HAT_MOST);
    for (int set = 0; set < sets; set++) {
        cae_threads *threads = set == sets - 1 ? pool : NULL;
        DEMAND(decode(models[which][set], threads, quality, gray, rows, columns, stream, length, other, other_picture) ==
               error);
        DEMAND(error == CAE_ERROR_STREAM || memcmp(first, other, latents * sizeof *first) == 0);
        DEMAND(error == CAE_ERROR_STREAM || memcmp(picture, other_picture, bytes) == 0);
    }
    free(stream);
    free(first);
    free(other);
    free(picture);
    free(other_picture);
    return 0;
}
