#include "cae_search.h"
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
struct cae_threads { int count; };
struct cae_model { size_t size; int first; };
const char *cae_error_text(int e) { static const char *t[] = {"no error","no memory","bad model","bad stream","bad check","bad argument"}; return t[e < 6 ? e : 0]; }
const char *cae_kernels(void) { return "portable"; }
int cae_threads_new(int count, cae_threads **pool) { if (count < 1) return CAE_ERROR_ARGUMENT; *pool = malloc(sizeof **pool); if (!*pool) return CAE_ERROR_MEMORY; (*pool)->count = count; return CAE_OK; }
void cae_threads_free(cae_threads *pool) { free(pool); }
int cae_model_open(const void *data, size_t size, cae_model **model) { if (size < 8) return CAE_ERROR_MODEL; *model = malloc(sizeof **model); (*model)->size = size; (*model)->first = *(const unsigned char *)data; return CAE_OK; }
void cae_model_close(cae_model *model) { free(model); }
void cae_model_shape(const cae_model *m, cae_shape *s) { s->family = CAE_PHOTO; s->cell = 16; s->n = (int)m->size; s->z = m->first; s->halo_in = 1; s->halo_out = 2; }
int cae_decode_latents(const cae_model *m, cae_threads *p, int q, int g, int r, int c, const uint8_t *s, size_t n, int32_t *y) { (void)m;(void)g;(void)s;(void)n; y[0] = p ? p->count : 0; y[1] = r * c; return q; }
int cae_measure_latents(const cae_model *m, cae_threads *p, int q, int g, int r, int c, const uint8_t *s, size_t n, int32_t *y, float *by, float *bz) { (void)by;(void)bz; return cae_decode_latents(m,p,q,g,r,c,s,n,y); }
int cae_synthesise(const cae_model *m, cae_threads *p, int q, int r, int c, const int32_t *y, uint8_t *s) { (void)m;(void)p;(void)q;(void)r;(void)c;(void)y;(void)s; return CAE_OK; }
int cae_synthesise_deep(const cae_model *m, cae_threads *p, int q, int r, int c, const int32_t *y, uint16_t *s) { (void)m;(void)p;(void)q;(void)r;(void)c;(void)y;(void)s; return CAE_OK; }
int cae_synthesise_small(const cae_model *m, int q, int k, int r, int c, const int32_t *y, uint16_t *s) { (void)m;(void)q;(void)k;(void)r;(void)c;(void)y;(void)s; return CAE_OK; }
int cae_analyse(const cae_model *m, cae_threads *p, int r, int c, const uint8_t *s, int t, int l, int ir, int ic, float *y, float *z) { (void)m;(void)p;(void)r;(void)c;(void)s;(void)t;(void)l;(void)ir;(void)ic;(void)y;(void)z; return CAE_OK; }
size_t cae_stream_bound(const cae_model *m, int r, int c) { (void)m; return (size_t)r * c; }
int cae_encode_latents(const cae_model *m, cae_threads *p, int q, int g, int r, int c, const cae_unrounded *u, uint8_t *s, size_t *n, int32_t *y) { (void)m;(void)p;(void)q;(void)g;(void)r;(void)c;(void)u;(void)s;(void)n;(void)y; return CAE_OK; }
int cae_cost_latents(const cae_model *m, cae_threads *p, int q, int g, int r, int c, const cae_unrounded *u, double *b, int32_t *y) { (void)m;(void)p;(void)q;(void)g;(void)r;(void)c;(void)u;(void)y; *b = 1; return CAE_OK; }
int cae_gradients_open(const cae_model *m, const void *d, size_t n, cae_gradients **g) { (void)m;(void)d;(void)n; *g = NULL; return CAE_ERROR_MODEL; }
void cae_gradients_close(cae_gradients *g) { (void)g; }
int cae_search_new(const cae_gradients *g, cae_threads *p, const cae_sought *t, cae_search **s) { (void)g;(void)p;(void)t; *s = NULL; return CAE_ERROR_MEMORY; }
void cae_search_free(cae_search *s) { (void)s; }
int cae_search_round(cae_search *s, cae_threads *p, const float *t, const float *st, float *y, double *c, float *g) { (void)s;(void)p;(void)t;(void)st;(void)y;(void)c;(void)g; return CAE_OK; }
