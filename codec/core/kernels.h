/* kernels.h: the arithmetic of layers, once for each instruction set.
 *
 * A kernel set is kernels.inc compiled for one of them (kernels_*.c). All give the same numbers. Weights are packed for the
 * set that will read them (layers.c):
 *
 *   products    panels of `panel` outputs, one after the other. In a panel, for every pair of inputs, the weights of
 *               `lanes` outputs at a time: both weights of an output side by side where `side_by_side` is set, so that one
 *               instruction multiplies and adds pairs; else those of the first input, then those of the second.
 *   depthwise   (9, channels) as in the model file; or, where `depthwise_group` is not 0, groups of so many channels
 *               in the order that kernels.inc says.
 */
#ifndef CAE_KERNELS_H
#define CAE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Whether the compiler knows AVX-VNNI, the youngest of the instruction sets. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define CAE_HAS_AVXVNNI 1
#else
#define CAE_HAS_AVXVNNI 0
#endif

/* Inputs of a layer that lie side by side: the first cell's, and where their weights begin. Where their number is odd, the
 * last of them makes a pair with a weight of 0. */
typedef struct {
    const int16_t *x;
    int inputs;
    int at; /* pairs of all spans before it */
} cae_span;

enum {
    CAE_TO_HIDDEN,   /* int16_t: clamp(sum >> shift, 0, M) */
    CAE_TO_STREAM,   /* int32_t: clamp(sum >> shift, lowest, highest) */
    CAE_ONTO_STREAM, /* int32_t: clamp(what is there + (sum >> shift), -S, S) */
};

/* A layer at a row of cells. */
typedef struct {
    const int16_t *weight; /* packed */
    const int32_t *bias;   /* as many as whole panels have outputs */
    int pairs, outputs, shift;
    int spans; /* in span[] */
    const cae_span *span;
    ptrdiff_t step; /* from a cell's inputs to the next one's */
    int cells;
    int kind;
    int32_t lowest, highest;
    int16_t *hidden;
    int32_t *stream;
    ptrdiff_t out_step;
    /* beside CAE_ONTO_STREAM, where not NULL: the new stream narrowed by so many bits, `outputs` numbers a cell */
    int16_t *narrowed;
    int narrow;
} cae_product;

typedef struct {
    const char *name;
    int lanes, panel, side_by_side, depthwise_group;

    void (*product)(const cae_product *job);

    /* A depthwise layer at a row of cells: `row`, the three rows of inputs from one cell left of it on. Writes up to
     * depthwise_group numbers past the end of `out`. */
    void (*depthwise)(const int16_t *weight, const int32_t *bias, int channels, int shift, const int16_t *const row[3],
                      int cells, int16_t *out);

    /* A stream as layers read it. */
    void (*narrow)(const int32_t *stream, size_t count, int bits, int16_t *out);

    /* Multipliers: x and a row of the table, to activations and to means. */
    void (*times_to_activation)(const int32_t *x, const int32_t *factor, const int32_t *shift, int count, int16_t *out);
    void (*times_to_mean)(const int32_t *x, const int32_t *factor, const int32_t *shift, int count, int32_t *out);

    /* Scale indices: clamp((x + offset + 512) >> 10, 0, 63). */
    void (*indices)(const int32_t *x, const int32_t *offset, int count, uint8_t *out);

    /* g_s: features after modulation; and samples, of both branches' sums. */
    void (*modulate)(const int32_t *x, const int32_t *factor, int count, int32_t *out);
    void (*samples)(const int32_t *a, const int32_t *b, int count, uint8_t *out);
} cae_kernel_set;

/* The one that CAECODEC_KERNELS names where this machine has it, or the fastest. */
const cae_kernel_set *cae_chosen_kernels(void);

/* By name; NULL where this machine has no such set. */
const cae_kernel_set *cae_kernels_named(const char *name);

/* Those that were compiled; not all of them run on every machine. */
extern const cae_kernel_set cae_kernels_portable;
#if defined(__x86_64__)
extern const cae_kernel_set cae_kernels_sse2, cae_kernels_avx2, cae_kernels_avx512, cae_kernels_avx512vnni;
#if CAE_HAS_AVXVNNI
extern const cae_kernel_set cae_kernels_avxvnni;
#endif
#elif defined(__aarch64__)
extern const cae_kernel_set cae_kernels_neon;
#elif defined(__wasm_simd128__)
extern const cae_kernel_set cae_kernels_wasm;
#endif

#endif
