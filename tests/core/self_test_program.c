/* Kernels that compute wrongly are noticed, each kind of them; those of this machine are not. */
#include "kernels.h"
#include "self_test.h"

#include <stdio.h>
#include <string.h>

static const cae_kernel_set *right;

static void wrong_narrow(const int32_t *stream, size_t count, int bits, int16_t *out) {
    right->narrow(stream, count, bits, out);
    out[count - 1] ^= 1;
}

static void wrong_product(const cae_product *job) {
    cae_product other = *job;
    other.shift++;
    right->product(&other);
}

static void wrong_depthwise(const int16_t *weight, const int32_t *bias, int channels, int shift,
                            const int16_t *const row[3], int cells, int16_t *out) {
    right->depthwise(weight, bias, channels, shift, (const int16_t *const[]){row[0], row[2], row[1]}, cells, out);
}

static void wrong_samples(const int32_t *a, const int32_t *b, int count, uint8_t *out) {
    right->samples(a, b, count, out);
    out[7]++;
}

int main(int count, char **names) {
    for (int i = 1; i < count; i++) {
        right = cae_kernels_named(names[i]);
        if (!right) {
            printf("%s: not here\n", names[i]);
            continue;
        }
        cae_kernel_set sets[5] = {*right, *right, *right, *right, *right};
        sets[1].narrow = wrong_narrow;
        sets[2].product = wrong_product;
        sets[3].depthwise = wrong_depthwise;
        sets[4].samples = wrong_samples;
        printf("%s:", names[i]);
        for (int k = 0; k < 5; k++)
            printf(" %d", cae_kernels_agree(&sets[k]));
        printf("\n");
    }
    return 0;
}
