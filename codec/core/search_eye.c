/* At each of five scales, for the channels of XYB that have a weight there:
 *
 *     light  (3, H, W)   linear light, halved from scale to scale
 *     root   (3, H, W)   cube roots of what cones respond
 *     b      (H, W)      X, Y or B of it
 *     mean_b, bb, ab     b, b^2 and a b blurred, where a is the original's
 *     maps               structure, ringing, blur; their means and 4-norms are weighted and summed
 *
 * The blur is even and mirrored, so on the way back it is itself.
 */
#include "search_eye.h"

#include "cae.h"

#include <math.h>
#include <string.h>

enum { TABLE = 4096, ROWS_PER_TURN = 4 }; /* steps of the table of linear light */

static const float OPSIN[3][3] = {
    {0.30f, 0.622f, 0.078f},
    {0.23f, 0.692f, 0.078f},
    {0.24342268924547819f, 0.20476744424496821f, 0.5518098665095536f},
};
static const float OPSIN_BIAS = 0.0037930732552754493f, BIAS_ROOT = 0.15595420054924863f;
enum { X, Y, B, STRUCTURE = 0, RINGING = 1, BLUR = 2, FOURTH = 3 /* the 4-norm of a map */ };

/* By scale and channel; means of the maps, then their 4-norms. */
static const double WEIGHT[CAE_EYE_SCALES][CAE_EYE_CHANNELS][6] = {
    {[Y] = {[FOURTH + STRUCTURE] = 7.466890328078848, [FOURTH + BLUR] = 17.445833984131262}},
    {[X] = {[FOURTH + STRUCTURE] = 1.1041726426657346},
     [Y] = {[FOURTH + STRUCTURE] = 6.683678146179332, [FOURTH + BLUR] = 1.027889937768264}},
    {[X] = {[FOURTH + STRUCTURE] = 1.8422455520539298, [FOURTH + RINGING] = 11.441172603757666},
     [Y] = {[STRUCTURE] = 225.20515300849274, [FOURTH + STRUCTURE] = 19.213238186143016}},
    {[X] = {[FOURTH + STRUCTURE] = 1.8787594979546387, [FOURTH + RINGING] = 10.94906990605142},
     [Y] = {[STRUCTURE] = 176.39317598450694, [FOURTH + STRUCTURE] = 24.43300999870476,
            [FOURTH + RINGING] = 0.28520802612117757},
     [B] = {[FOURTH + STRUCTURE] = 8.826982764996862, [FOURTH + RINGING] = 23.19243343998926}},
    {[X] = {[RINGING] = 0.9677938080626833, [FOURTH + RINGING] = 0.9981766977854967},
     [Y] = {[FOURTH + STRUCTURE] = 34.77906344483772, [FOURTH + RINGING] = 44.835625328877896},
     [B] = {[STRUCTURE] = 95.1080498811086, [RINGING] = 0.9863978034400682, [BLUR] = 0.9834382792465353,
            [FOURTH + RINGING] = 171.2667255897307, [FOURTH + BLUR] = 0.9807858872435379}},
};

static int weighs(int scale, int channel) {
    for (int i = 0; i < 6; i++) {
        if (WEIGHT[scale][channel][i] != 0)
            return 1;
    }
    return 0;
}

/* A Gaussian of sigma 1.5 as a sum of three cosines (Charalampidis 2016, doi:10.1109/TSP.2016.2549985). */
static const float TAPS[CAE_EYE_TAPS] = {
    0.00941436781f, 0.03601111466f, 0.1093353728f, 0.212928592f, 0.2646211055f,
    0.212928592f, 0.1093353728f, 0.03601111466f, 0.00941436781f,
};

/* A loop over the rows of one scale. */
typedef struct {
    cae_eye *eye;
    cae_eye_scale *scale, *finer;
    cae_eye_channel *channel;
    int original; /* whether it is its planes that are made */
    int number, which;
    const uint8_t *samples;
    const float *pixels;
    float *slope;
    double worth;
    cae_eye_slope grows;
} run;

static float *scratch_of(const run *r, int worker) { return r->eye->scratch + (size_t)worker * r->eye->scratch_count; }
static ptrdiff_t row_at(const run *r, int row) { return (ptrdiff_t)row * r->scale->width; }

/* Linear light of a value within 0..1. */
static float linear_of(const float *table, float x) {
    float at = x * TABLE;
    int i = (int)at;
    i = i < TABLE ? i : TABLE - 1;
    float share = at - (float)i;
    return table[i] + share * (table[i + 1] - table[i]);
}

static float within(float x) { return x > 0 ? x < 1 ? x : 1 : 0; }

static void run_light(void *context, int row, int worker) {
    const run *r = context;
    (void)worker;
    ptrdiff_t at = row_at(r, row);
    for (int c = 0; c < 3; c++) {
        float *out = r->scale->light[c] + at;
        if (r->original) {
            const uint8_t *from = r->samples + 3 * at + c;
            for (int i = 0; i < r->scale->width; i++)
                out[i] = linear_of(r->eye->linear, (float)from[3 * i] / 255);
        } else {
            const float *from = r->pixels + 3 * at + c;
            for (int i = 0; i < r->scale->width; i++)
                out[i] = linear_of(r->eye->linear, within(from[3 * i]));
        }
    }
}

static void run_halving(void *context, int row, int worker) {
    const run *r = context;
    (void)worker;
    for (int c = 0; c < 3; c++) {
        const float *restrict top = r->finer->light[c] + (ptrdiff_t)2 * row * r->finer->width;
        const float *restrict bottom = top + r->finer->width;
        float *restrict out = r->scale->light[c] + row_at(r, row);
        for (int i = 0; i < r->scale->width; i++)
            out[i] = 0.25f * ((top[2 * i] + top[2 * i + 1]) + (bottom[2 * i] + bottom[2 * i + 1]));
    }
}

static void run_roots(void *context, int row, int worker) {
    const run *r = context;
    float *response = scratch_of(r, worker);
    ptrdiff_t at = row_at(r, row);
    const float *restrict l = r->scale->light[0] + at, *restrict m = r->scale->light[1] + at;
    const float *restrict s = r->scale->light[2] + at;
    for (int cone = 0; cone < 3; cone++) {
        if (!r->scale->root[cone])
            continue;
        const float *w = OPSIN[cone];
        for (int i = 0; i < r->scale->width; i++)
            response[i] = w[0] * l[i] + w[1] * m[i] + w[2] * s[i] + OPSIN_BIAS;
        r->eye->kernels->cube_roots(response, r->scale->width, r->scale->root[cone] + at);
    }
}

/* A channel of a row, and blurred along it: itself, its square and its product with the original. */
static void run_along(void *context, int row, int worker) {
    const run *r = context;
    const cae_float_kernels *kernels = r->eye->kernels;
    cae_eye_channel *c = r->channel;
    ptrdiff_t at = row_at(r, row);
    int width = r->scale->width;
    const float *restrict l = r->scale->root[0] + at, *restrict m = r->scale->root[1] + at;
    const float *restrict s = r->scale->root[2] ? r->scale->root[2] + at : l; /* only B needs it */
    float *restrict b = (r->original ? c->a : c->b) + at;
    float *scratch = scratch_of(r, worker), *restrict of = scratch + width + 2 * CAE_EYE_REACH;
    for (int i = 0; i < width; i++) {
        float light = 0.5f * (l[i] + m[i]);
        b[i] = r->which == X ? 7 * (l[i] - m[i]) + 0.42f : r->which == Y ? light - BIAS_ROOT + 0.01f : s[i] - light + 0.55f;
    }
    kernels->blur_along(r->eye->taps, b, width, scratch, r->eye->plane[0] + at);
    for (int i = 0; i < width; i++)
        of[i] = b[i] * b[i];
    kernels->blur_along(r->eye->taps, of, width, scratch, r->eye->plane[1] + at);
    if (r->original)
        return;
    for (int i = 0; i < width; i++)
        of[i] = b[i] * c->a[at + i];
    kernels->blur_along(r->eye->taps, of, width, scratch, r->eye->plane[2] + at);
}

/* A row of a plane blurred across rows. */
static void across(const run *r, int plane, int row, float *out) {
    const float *near[CAE_EYE_TAPS];
    int height = r->scale->height;
    for (int i = 0; i < CAE_EYE_TAPS; i++) {
        int y = row + i - CAE_EYE_REACH;
        y = y < 0 ? -1 - y : y >= height ? 2 * height - 1 - y : y;
        near[i] = r->eye->plane[plane] + row_at(r, y);
    }
    r->eye->kernels->blur_across(r->eye->taps, near, r->scale->width, out);
}

static cae_eye_row row_of(const run *r, int row) {
    const cae_eye_channel *c = r->channel;
    ptrdiff_t at = row_at(r, row);
    return (cae_eye_row){r->scale->width, c->a + at,      c->mean_a + at, c->spread_a + at,
                         c->b + at,       c->mean_b + at, c->bb + at,     c->ab + at};
}

static void run_across(void *context, int row, int worker) {
    const run *r = context;
    cae_eye_channel *c = r->channel;
    ptrdiff_t at = row_at(r, row);
    (void)worker;
    if (r->original) {
        across(r, 0, row, c->mean_a + at);
        across(r, 1, row, c->spread_a + at);
        for (int i = 0; i < r->scale->width; i++)
            c->spread_a[at + i] -= c->mean_a[at + i] * c->mean_a[at + i];
        return;
    }
    across(r, 0, row, c->mean_b + at);
    across(r, 1, row, c->bb + at);
    across(r, 2, row, c->ab + at);
    cae_eye_row of = row_of(r, row);
    r->eye->kernels->eye_sums(&of, r->eye->sums + 6 * (ptrdiff_t)row);
}

/* All channels of all scales, of the original or the other. */
static void look(cae_eye *eye, cae_threads *pool, const uint8_t *samples, const float *pixels) {
    run r = {.eye = eye, .original = samples != NULL, .samples = samples, .pixels = pixels};
    for (int number = 0; number < eye->scales; number++) {
        r.scale = &eye->scale[number];
        r.finer = r.scale - (number > 0);
        cae_parallel(pool, r.scale->height, number ? run_halving : run_light, &r);
        cae_parallel(pool, r.scale->height, run_roots, &r);
        for (r.which = 0; r.which < CAE_EYE_CHANNELS; r.which++) {
            r.channel = &r.scale->channel[r.which];
            if (!weighs(number, r.which))
                continue;
            cae_parallel(pool, r.scale->height, run_along, &r);
            cae_parallel(pool, r.scale->height, run_across, &r);
            for (int i = 0; i < 6 && !r.original; i++) {
                double sum = 0, count = (double)r.scale->height * r.scale->width;
                for (int row = 0; row < r.scale->height; row++)
                    sum += eye->sums[6 * row + i];
                r.channel->norms[i] = i < FOURTH ? sum / count : pow(sum / count + 1e-20, 0.25);
            }
        }
    }
}

/* How the distance grows with what is blurred, of a row of a channel. */
static void back_maps(void *context, int row, int worker) {
    const run *r = context;
    (void)worker;
    ptrdiff_t at = row_at(r, row);
    float *const *plane = r->eye->plane;
    cae_eye_row of = row_of(r, row);
    r->eye->kernels->eye_slopes(&of, &r->grows, plane[0] + at, plane[1] + at, plane[2] + at, plane[3] + at);
}

/* Back through the blur and the channel; with cones, in the place of light that is no longer needed. */
static void back_channel(void *context, int row, int worker) {
    const run *r = context;
    const cae_float_kernels *kernels = r->eye->kernels;
    const cae_eye_channel *c = r->channel;
    ptrdiff_t at = row_at(r, row);
    int width = r->scale->width;
    float *scratch = scratch_of(r, worker), *along = scratch + width + 2 * CAE_EYE_REACH, *restrict mean = along + width;
    float *restrict bb = mean + width, *restrict ab = bb + width;
    float *out[3] = {mean, bb, ab};
    for (int i = 0; i < 3; i++) {
        across(r, i, row, along);
        kernels->blur_along(r->eye->taps, along, width, scratch, out[i]);
    }
    const float *restrict a = c->a + at, *restrict b = c->b + at, *restrict direct = r->eye->plane[3] + at;
    float *restrict l = r->scale->light[0] + at, *restrict m = r->scale->light[1] + at, *restrict s = r->scale->light[2] + at;
    static const float of_long[3] = {7, 0.5f, -0.5f}, of_medium[3] = {-7, 0.5f, -0.5f}, of_short[3] = {0, 0, 1};
    float to_l = of_long[r->which], to_m = of_medium[r->which], to_s = of_short[r->which];
    for (int i = 0; i < width; i++) {
        float slope = direct[i] + mean[i] + 2 * b[i] * bb[i] + a[i] * ab[i];
        l[i] += to_l * slope;
        m[i] += to_m * slope;
        s[i] += to_s * slope;
    }
}

/* From cones to light, with what comes from the coarser scale. */
static void back_light(void *context, int row, int worker) {
    const run *r = context;
    float *of_response = scratch_of(r, worker);
    ptrdiff_t at = row_at(r, row);
    int width = r->scale->width;
    memset(of_response, 0, 3 * (size_t)width * sizeof *of_response);
    for (int cone = 0; cone < 3; cone++) {
        float *restrict out = of_response + (ptrdiff_t)cone * width;
        const float *restrict slope = r->scale->light[cone] + at;
        for (int i = 0; r->scale->root[cone] && i < width; i++) {
            float root = r->scale->root[cone][at + i];
            out[i] = slope[i] / (3 * root * root);
        }
    }
    const float *restrict l = of_response, *restrict m = l + width, *restrict s = m + width;
    for (int c = 0; c < 3; c++) {
        float *restrict out = r->scale->light[c] + at;
        for (int i = 0; i < width; i++)
            out[i] = OPSIN[0][c] * l[i] + OPSIN[1][c] * m[i] + OPSIN[2][c] * s[i];
        if (r->number + 1 < r->eye->scales) {
            const float *restrict coarse = r->scale[1].light[c] + (ptrdiff_t)(row / 2) * r->scale[1].width;
            for (int i = 0; i < width; i++)
                out[i] += 0.25f * coarse[i / 2];
        }
    }
}

/* From linear light to pixels. */
static void back_pixels(void *context, int row, int worker) {
    const run *r = context;
    (void)worker;
    ptrdiff_t at = row_at(r, row);
    float worth = (float)r->worth;
    for (int c = 0; c < 3; c++) {
        const float *restrict slope = r->scale->light[c] + at, *restrict pixels = r->pixels + 3 * at + c;
        float *restrict out = r->slope + 3 * at + c;
        for (int i = 0; i < r->scale->width; i++) {
            float x = pixels[3 * i], y = (x + 0.055f) * (1 / 1.055f);
            if (!(x >= 0 && x <= 1))
                continue;
            float rises = x <= 0.04045f ? 1 / 12.92f : 2.4f / 1.055f * linear_of(r->eye->linear, x) / y;
            out[3 * i] += worth * rises * slope[i];
        }
    }
}

static void zero_light(void *context, int row, int worker) {
    const run *r = context;
    (void)worker;
    for (int c = 0; c < 3; c++)
        memset(r->scale->light[c] + row_at(r, row), 0, (size_t)r->scale->width * sizeof(float));
}

/* grows: of the distance, with the weighted sum of all norms. */
static void look_back(cae_eye *eye, cae_threads *pool, const float *pixels, double grows, double worth, float *slope) {
    run r = {.eye = eye, .pixels = pixels, .slope = slope, .worth = worth};
    for (r.number = eye->scales - 1; r.number >= 0; r.number--) {
        r.scale = &eye->scale[r.number];
        double count = (double)r.scale->height * r.scale->width;
        cae_parallel(pool, r.scale->height, zero_light, &r);
        for (r.which = 0; r.which < CAE_EYE_CHANNELS; r.which++) {
            r.channel = &r.scale->channel[r.which];
            if (!weighs(r.number, r.which))
                continue;
            for (int map = 0; map < 3; map++) {
                const double *weight = WEIGHT[r.number][r.which];
                r.grows.first[map] = (float)(grows * weight[map] / count);
                r.grows.fourth[map] = (float)(grows * weight[FOURTH + map] / count * pow(r.channel->norms[FOURTH + map], -3));
            }
            cae_parallel(pool, r.scale->height, back_maps, &r);
            cae_parallel(pool, r.scale->height, back_channel, &r);
        }
        cae_parallel(pool, r.scale->height, back_light, &r);
    }
    r.scale = &eye->scale[0];
    cae_parallel(pool, r.scale->height, back_pixels, &r);
}

double cae_eye_distance(cae_eye *eye, cae_threads *pool, const float *pixels, double worth, float *slope) {
    look(eye, pool, NULL, pixels);
    double total = 0;
    for (int number = 0; number < eye->scales; number++) {
        for (int which = 0; which < CAE_EYE_CHANNELS; which++) {
            for (int i = 0; i < 6 && weighs(number, which); i++)
                total += WEIGHT[number][which][i] * eye->scale[number].channel[which].norms[i];
        }
    }
    const double unit = 0.9562382616834844, p1 = 2.326765642916932, p2 = -0.020884521182843837, p3 = 6.248496625763138e-05;
    const double power = 0.6276336467831387;
    double t = unit * total, s = p1 * t + p2 * t * t + p3 * t * t * t;
    /* the power has no slope at zero that a step could follow */
    double distance = 10 * pow(s > 1e-3 ? s : 1e-3, power);
    double grows = s >= 1e-3 ? distance * power / s * (p1 + 2 * p2 * t + 3 * p3 * t * t) * unit : 0;
    if (slope && grows != 0)
        look_back(eye, pool, pixels, grows, worth, slope);
    return distance;
}

/* Planes of one scale. */
static void open_scale(cae_eye *eye, int number, int height, int width, cae_memory *memory) {
    cae_eye_scale *scale = &eye->scale[number];
    size_t count = (size_t)height * (size_t)width;
    scale->height = height, scale->width = width;
    for (int c = 0; c < 3; c++) {
        scale->light[c] = cae_take(memory, count, sizeof(float));
        if (c < 2 || weighs(number, B))
            scale->root[c] = cae_take(memory, count, sizeof(float));
        cae_eye_channel *of = &scale->channel[c];
        if (!weighs(number, c))
            continue;
        float **planes[] = {&of->a, &of->mean_a, &of->spread_a, &of->b, &of->mean_b, &of->bb, &of->ab};
        for (int i = 0; i < 7; i++)
            *planes[i] = cae_take(memory, count, sizeof(float));
    }
}

int cae_eye_open(cae_eye *eye, const cae_float_kernels *kernels, cae_threads *pool, int height, int width,
                 const uint8_t *samples, cae_memory *memory) {
    *eye = (cae_eye){.kernels = kernels};
    memcpy(eye->taps, TAPS, sizeof TAPS);
    for (int h = height, w = width; eye->scales < CAE_EYE_SCALES; h /= 2, w /= 2) {
        open_scale(eye, eye->scales++, h, w, memory);
        if (h < CAE_EYE_SMALLEST || w < CAE_EYE_SMALLEST)
            break; /* coarser ones are left out */
    }
    eye->linear = cae_take(memory, TABLE + 1, sizeof *eye->linear);
    for (int i = 0; i < 4; i++)
        eye->plane[i] = cae_take(memory, (size_t)height * (size_t)width, sizeof(float));
    eye->sums = cae_take(memory, 6 * (size_t)height, sizeof *eye->sums);
    eye->scratch_count = 5 * (size_t)width + 2 * CAE_EYE_REACH;
    eye->scratch = cae_take(memory, (size_t)cae_thread_count(pool) * eye->scratch_count, sizeof *eye->scratch);
    if (memory->failed)
        return CAE_ERROR_MEMORY;
    for (int i = 0; i <= TABLE; i++) {
        double x = (double)i / TABLE;
        eye->linear[i] = (float)(x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4));
    }
    look(eye, pool, samples, NULL);
    return CAE_OK;
}
