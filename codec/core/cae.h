/* cae.h: the codec's core in C11, without dependencies. MIT licence.
 *
 * It turns tiles of pixels into latents and streams, and back, by the models of caecodec (families `photo` and `tiny`).
 * All arithmetic is on integers: the same bytes, latents and pixels on every machine, with any number of threads.
 * What surrounds the tiles in a .cae file is for its caller; docs/FORMAT.md in the project says what a file is.
 *
 * Arrays are in raster order, (rows, columns, channels), channels innermost. A cell is 16x16 pixels in `photo`, 8x8 in
 * `tiny`. Functions return CAE_OK or one of the errors below, and leave their outputs undefined on an error. They may be
 * called from many threads at once, also with one model, but one pool of threads serves one call at a time.
 */
#ifndef CAE_H
#define CAE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(CAE_SHARED)
#define CAE_API __declspec(dllexport)
#elif defined(__wasm__)
#define CAE_API __attribute__((visibility("default"), used))
#else
#define CAE_API __attribute__((visibility("default")))
#endif

enum {
    CAE_OK = 0,
    CAE_ERROR_MEMORY = 1,   /* an allocation failed */
    CAE_ERROR_MODEL = 2,    /* not a model file, or one whose bounds do not hold */
    CAE_ERROR_STREAM = 3,   /* an invalid stream */
    CAE_ERROR_CHECK = 4,    /* latents that do not match the stream's check: encoder and decoder disagree */
    CAE_ERROR_ARGUMENT = 5, /* a size, quality or capacity that cannot be */
};

enum { CAE_PHOTO = 1, CAE_TINY = 2 };

/* A few words on an error, in English. */
CAE_API const char *cae_error_text(int error);

/* Which kernels this machine runs: "portable", "sse2", "avx2", "avxvnni", "avx512", "avx512vnni", "neon", "wasm". The
 * environment variable CAECODEC_KERNELS=NAME, read once, chooses among those that the machine has. */
CAE_API const char *cae_kernels(void);

/* A pool of threads that sleep while they wait; count is at least 1 and includes the caller's. NULL, wherever a pool is
 * taken, is the caller's thread alone. */
typedef struct cae_threads cae_threads;
CAE_API int cae_threads_new(int count, cae_threads **pool);
CAE_API void cae_threads_free(cae_threads *pool);

/* A model from the bytes of its file (safetensors). Nothing of `data` is kept. Bounds are proven here; the model's id is
 * not computed: a caller that did not make the file compares it (FORMAT.md, 7.2). */
typedef struct cae_model cae_model;
CAE_API int cae_model_open(const void *data, size_t size, cae_model **model);
CAE_API void cae_model_close(cae_model *model);

typedef struct {
    int family;   /* CAE_PHOTO or CAE_TINY */
    int cell;     /* side of a cell in pixels, 16 or 8 */
    int n, z;     /* channels of y and of z; z is 0 in `tiny` */
    int halo_in;  /* cells around a tile that g_a sees */
    int halo_out; /* and g_s */
} cae_shape;
CAE_API void cae_model_shape(const cae_model *model, cae_shape *shape);

/* A quality is a row of the model's tables: 1 to 100, or to 200 in a model of photographs that has so many.
 *
 * Stream of a tile, with its two check bytes in front -> y_hat (rows, columns, n), fixed point with 10 fraction bits.
 * gray matters to `tiny` alone: 1 where the file has the flag. */
CAE_API int cae_decode_latents(const cae_model *model, cae_threads *pool, int quality, int gray, int rows, int columns,
                               const uint8_t *stream, size_t size, int32_t *y_hat);

/* As above, and what each cell's symbols take in bits: of y (rows, columns), of z (ceil(rows/4), ceil(columns/4)). */
CAE_API int cae_measure_latents(const cae_model *model, cae_threads *pool, int quality, int gray, int rows, int columns,
                                const uint8_t *stream, size_t size, int32_t *y_hat, float *bits_y, float *bits_z);

/* y_hat (rows, columns, n) of a rectangle of cells -> samples (cell*rows, cell*columns, 3). */
CAE_API int cae_synthesise(const cae_model *model, cae_threads *pool, int quality, int rows, int columns,
                           const int32_t *y_hat, uint8_t *samples);

/* As above, in 16 bits: 65535 is white. Rounded to 8 bits they are the samples above (FORMAT.md, 10.6). */
CAE_API int cae_synthesise_deep(const cae_model *model, cae_threads *pool, int quality, int rows, int columns,
                                const int32_t *y_hat, uint16_t *samples);

/* y_hat of a rectangle of cells -> the linear branch of g_s alone, averaged over squares of cell/side pixels, in 16 bits:
 * samples (side*rows, side*columns, 3). side: 1 or 2. No cell sees another. Its mean lacks what the rest of g_s adds. */
CAE_API int cae_synthesise_small(const cae_model *model, int quality, int side, int rows, int columns,
                                 const int32_t *y_hat, uint16_t *samples);

/* Samples (cell*rows, cell*columns, 3) of a tile and its halo -> y (inner_rows, inner_columns, n) of the cells from
 * (top, left) on, and z (ceil(inner_rows/4), ceil(inner_columns/4), z) of these, both before any quality. */
CAE_API int cae_analyse(const cae_model *model, cae_threads *pool, int rows, int columns, const uint8_t *samples, int top,
                        int left, int inner_rows, int inner_columns, float *y, float *z);

/* What an encoder codes: y and z in steps of the quantiser, that is, after their gains. weight (n): bits that an error of
 * one step squared is worth in each channel; NULL rounds to nearest, or, where a model
 * quantises dependently, takes the path of least error. strength (rows, columns): how much of the bits that
 * moving a symbol towards zero saves its error may use up. z is NULL in `tiny`. */
typedef struct {
    const float *y, *z;
    const float *weight;
    const float *strength;
} cae_unrounded;

/* Latents -> stream of a tile with its check bytes, and y_hat. *size is the capacity of `stream` before and its length
 * after; CAE_ERROR_ARGUMENT where it is too small (cae_stream_bound is always enough). */
CAE_API size_t cae_stream_bound(const cae_model *model, int rows, int columns);
CAE_API int cae_encode_latents(const cae_model *model, cae_threads *pool, int quality, int gray, int rows, int columns,
                               const cae_unrounded *given, uint8_t *stream, size_t *size, int32_t *y_hat);

/* The bits that cae_encode_latents would write, without the check and but for rounding up to bytes, and y_hat. */
CAE_API int cae_cost_latents(const cae_model *model, cae_threads *pool, int quality, int gray, int rows, int columns,
                             const cae_unrounded *given, double *bits, int32_t *y_hat);

#ifdef __cplusplus
}
#endif

#endif
