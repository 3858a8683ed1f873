/* Fuzzer of decoding: bytes are how to decode, a quality, a size and the stream of a tile.
 *
 * CAECODEC_FUZZ_MODELS: model files, separated by colons. The fastest kernel set of this machine decodes; half of the streams
 * go on to pixels, and of these half to another set or to threads too, which have to do the same. The check of the latents
 * is all that is left to do where it fails, so what does not match it goes on like what does. Tiles are small: what can be
 * wrong with a stream does not need many cells.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cae.h"
#include "model.h"

enum { MODELS = 8, SETS = 8, SIDE = 6, CELLS = 4, HEAD = 4, Y_HAT_MOST = (1 << 26) - 1 };

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
    static const char *const names[] = {"avx512vnni", "avxvnni", "avx512", "avx2", "neon", "sse2", "portable"};
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

/* What a stream becomes, in arrays of exactly the size that cae.h names. */
typedef struct {
    int error;
    int32_t *y_hat;
    uint8_t *samples; /* NULL where nobody asked */
} decoded;

typedef struct {
    int quality, gray, rows, columns;
    const uint8_t *stream;
    size_t size, latents, bytes;
} tile;

static decoded decode(const cae_model *model, cae_threads *threads, const tile *t, int pixels) {
    size_t cells = (size_t)t->rows * (size_t)t->columns;
    size_t coarse = (size_t)((t->rows + 3) / 4) * (size_t)((t->columns + 3) / 4);
    float *bits_y = malloc(cells * sizeof *bits_y), *bits_z = malloc(coarse * sizeof *bits_z);
    decoded out = {.y_hat = malloc(t->latents * sizeof *out.y_hat)};
    out.error = pixels ? cae_measure_latents(model, threads, t->quality, t->gray, t->rows, t->columns, t->stream, t->size,
                                             out.y_hat, bits_y, bits_z)
                       : cae_decode_latents(model, threads, t->quality, t->gray, t->rows, t->columns, t->stream, t->size,
                                            out.y_hat);
    DEMAND(out.error == CAE_OK || out.error == CAE_ERROR_STREAM || out.error == CAE_ERROR_CHECK);
    for (size_t i = 0; out.error != CAE_ERROR_STREAM && i < t->latents; i++)
        DEMAND(out.y_hat[i] >= -Y_HAT_MOST && out.y_hat[i] <= Y_HAT_MOST);
    if (pixels && out.error != CAE_ERROR_STREAM) {
        out.samples = malloc(t->bytes);
        DEMAND(cae_synthesise(model, threads, t->quality, t->rows, t->columns, out.y_hat, out.samples) == CAE_OK);
    }
    free(bits_y);
    free(bits_z);
    return out;
}

static void release(decoded *one) {
    free(one->y_hat);
    free(one->samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { PIXELS = 4, OTHER = 6 }; /* of eight ways, from which on */
    if (size < HEAD)
        return -1;
    int way = data[0] / 4 % 8, set = sets > 1 ? 1 + data[1] / 100 % (sets - 1) : 0;
    cae_model *const *of = models[data[0] % 4 % count];
    cae_shape shape;
    cae_model_shape(of[0], &shape);
    tile t = {.quality = 1 + data[1] % 100, .gray = data[0] >> 7, .rows = 1 + data[2] % SIDE, .size = size - HEAD};
    t.columns = t.rows < CELLS ? 1 + data[3] % (CELLS / t.rows) : 1;
    t.latents = (size_t)t.rows * (size_t)t.columns * (size_t)shape.n;
    t.bytes = (size_t)t.rows * (size_t)t.columns * (size_t)shape.cell * (size_t)shape.cell * 3;
    uint8_t *stream = malloc(t.size ? t.size : 1); /* of its own size, so that reads past its end are seen */
    memcpy(stream, data + HEAD, t.size);
    t.stream = stream;
    decoded first = decode(of[0], NULL, &t, way >= PIXELS);
    if (way >= OTHER) {
        int threads = data[2] < 32; /* waking them takes longer than decoding */
        decoded other = decode(of[threads ? 0 : set], threads ? pool : NULL, &t, 1);
        DEMAND(other.error == first.error);
        DEMAND(first.error == CAE_ERROR_STREAM || memcmp(first.y_hat, other.y_hat, t.latents * sizeof *first.y_hat) == 0);
        DEMAND(first.error == CAE_ERROR_STREAM || memcmp(first.samples, other.samples, t.bytes) == 0);
        release(&other);
    }
    release(&first);
    free(stream);
    return 0;
}
