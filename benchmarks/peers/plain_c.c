/* COBAHH and EI-NMDA in plain C: what this machine can do. Protocol: see protocol.py.

   gcc -O3 -march=native -ffast-math -mprefer-vector-width=512 -fopenmp plain_c.c -o plain_c -lmvec -lm
   echo | ./plain_c MODEL N DURATION_MS THREADS SEED

   Each thread owns a contiguous part of the cells and the contacts onto them, in rows by sender.
   Single precision; exponential Euler. Units: ms, mV, nS, pF. */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16, DELAY = 15, SLOTS = 32, THREADS = 64 };
static const float DT = 0.1f;

typedef struct { long *starts; int *targets; } Rows;

static int cobahh, threads;
static long n, n_exciting, first[THREADS + 1];
static Rows rows[THREADS];
/* COBAHH: v, gates a b c = m n h, conductances. EI-NMDA: v, b = NMDA, c = what drives it. */
static float *v, *a, *b, *c, *excite, *inhibit;
static int *waiting; /* when a cell of COBAHH fired (step); steps a cell of EI-NMDA stays silent */
static uint32_t *noise;
static int *fired[SLOTS];
static long count[SLOTS][THREADS];

static uint64_t next(uint64_t *s) {
    uint64_t x = *s;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return (*s = x) * 2685821657736338717ull;
}
static double uniform(uint64_t *s) { return ((next(s) >> 11) + 0.5) / 9007199254740992.0; }
static double normal(uint64_t *s) {
    double size = sqrt(-2 * log(uniform(s)));
    return size * cos(6.283185307179586 * uniform(s));
}
static void *zeros(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 4095) / 4096 * 4096);
    if (!p) exit(fprintf(stderr, "plain_c needs %zu more bytes of memory: use fewer cells.\n", bytes));
    return memset(p, 0, bytes);
}
static inline float exprel(float x) {
    float r = (expf(x) - 1) / x;
    return fabsf(x) < 1e-3f ? 1 + 0.5f * x : r;
}

/* Every pair with probability 80/n, by geometric gaps. */
static Rows bernoulli(long from, long to, uint64_t *s) {
    double p = 80.0 / n, gap = 1 / log(1 - p);
    Rows r = {zeros((n + 1) * sizeof(long)), zeros(((to - from) * 88 + 100000) * sizeof(int))};
    long k = 0;
    for (long i = 0; i < n; i++) {
        r.starts[i] = k;
        for (long j = from - 1; (j += 1 + (long)(log(uniform(s)) * gap)) < to;) r.targets[k++] = j;
    }
    r.starts[n] = k;
    return r;
}

/* 800 E and 200 I contacts onto each cell, sorted by sender. */
static Rows in_degree(long from, long to, uint64_t *s) {
    long k = 0, size = (to - from) * 1000;
    int *source = zeros(size * sizeof(int));
    Rows r = {zeros((n + 2) * sizeof(long)), zeros(size * sizeof(int))};
    for (long j = from; j < to; j++)
        for (int i = 0; i < 1000; i++) {
            long who = i < 800 ? next(s) % n_exciting : n_exciting + next(s) % (n - n_exciting);
            r.starts[who + 2]++, source[k++] = who;
        }
    for (long i = 0; i < n; i++) r.starts[i + 2] += r.starts[i + 1];
    for (k = 0; k < size; k++) r.targets[r.starts[source[k] + 1]++] = from + k / 1000;
    free(source);
    return r;
}

__attribute__((noinline)) static void update_cobahh(long from, long to) {
    float *restrict V = v, *restrict M = a, *restrict N = b, *restrict H = c;
    float *restrict E = excite, *restrict I = inhibit;
    const float keep_e = expf(-DT / 5), keep_i = expf(-DT / 10);
#pragma omp simd
    for (long i = from; i < to; i++) {
        float u = V[i] + 63, m = M[i], k = N[i], h = H[i];
        float am = 1.28f / exprel((13 - u) * 0.25f), bm = 1.4f / exprel((u - 40) * 0.2f);
        float ah = 0.128f * expf((17 - u) * (1.0f / 18)), bh = 4 / (1 + expf((40 - u) * 0.2f));
        float an = 0.16f / exprel((15 - u) * 0.2f), bn = 0.5f * expf((10 - u) * 0.025f);
        float na = 20000 * m * m * m * h, kd = 6000 * k * k * k * k;
        float g = 10 + E[i] + I[i] + na + kd;
        float end = (-600 - 80 * I[i] + 50 * na - 90 * kd) / g;
        V[i] = end + (V[i] - end) * expf(-DT * g * (1.0f / 200));
        float s = am + bm, x = am / s;
        M[i] = x + (m - x) * expf(-DT * s);
        s = an + bn, x = an / s;
        N[i] = x + (k - x) * expf(-DT * s);
        s = ah + bh, x = ah / s;
        H[i] = x + (h - x) * expf(-DT * s);
        E[i] *= keep_e, I[i] *= keep_i;
    }
}

__attribute__((noinline)) static void update_ei_nmda(long from, long to) {
    float *restrict V = v, *restrict A = excite, *restrict N = b, *restrict X = c;
    float *restrict G = inhibit;
    int *restrict R = waiting;
    uint32_t *restrict Z = noise;
    const float fast = expf(-DT / 2), slow = expf(-DT / 100), keep_g = expf(-DT / 5);
    const double mean = 2400 * 1e-4; /* arrivals in a step */
    const float p0 = exp(-mean), p1 = p0 * (1 + mean), p2 = p1 + p0 * mean * mean / 2;
    const float p3 = p2 + p0 * mean * mean * mean / 6, p4 = p3 + p0 * pow(mean, 4) / 24;
#pragma omp simd
    for (long i = from; i < to; i++) {
        uint32_t z = Z[i];
        z ^= z << 13, z ^= z >> 17, z ^= z << 5, Z[i] = z;
        float p = (float)(z >> 8) * (1.0f / 16777216);
        float k = (float)(p > p0) + (float)(p > p1) + (float)(p > p2) + (float)(p > p3) + (float)(p > p4);
        float e = A[i] + N[i] / (1 + (1 / 3.57f) * expf(-0.062f * V[i]));
        float g = 10 + e + G[i], end = (-700 - 70 * G[i]) / g;
        float after = end + (V[i] - end) * expf(-DT * g * (1.0f / 200));
        V[i] = R[i] > 0 ? V[i] : after, R[i] = R[i] > 0 ? R[i] - 1 : 0;
        A[i] = A[i] * fast + 1.5f * k;
        N[i] = N[i] * slow + X[i] * (DT / 2), X[i] *= fast, G[i] *= keep_g;
    }
}

/* Cells of a thread that fire, into `list`. Most blocks have none and are only looked at. */
static long detect(long step, long from, long to, int *list) {
    const float threshold = cobahh ? -20 : -50;
    long found = 0;
    for (long j = from; j < to; j += BLOCK) {
        int any = 0;
#pragma omp simd reduction(| : any)
        for (int i = 0; i < BLOCK; i++) any |= v[j + i] > threshold;
        if (!any) continue;
        for (long i = j; i < j + BLOCK && i < to; i++) {
            if (v[i] <= threshold) continue;
            if (cobahh && step - waiting[i] > 30) waiting[i] = step, list[found++] = i;
            if (!cobahh && !waiting[i]) v[i] = -60, waiting[i] = 20, list[found++] = i;
        }
    }
    return found;
}

static void deliver(Rows r, const int *list, long many) {
    for (long e = 0; e < many; e++) {
        int i = list[e];
        const int *j = r.targets + r.starts[i], *end = r.targets + r.starts[i + 1];
        float *g = i < n_exciting ? excite : inhibit;
        float w = cobahh ? (i < n_exciting ? 6 : 67) : 3;
        if (cobahh || i >= n_exciting)
            for (; j < end; j++) g[*j] += w;
        else
            for (; j < end; j++) g[*j] += 0.1f, c[*j] += 0.02f;
    }
}

/* Go on for some steps; returns the number of spikes. */
static long run(long steps) {
    static long begin = 0;
    long spikes = 0;
#pragma omp parallel num_threads(threads) reduction(+ : spikes)
    {
        int me = omp_get_thread_num();
        long from = first[me], to = first[me + 1];
        for (long step = begin; step < begin + steps; step++) {
            int slot = step % SLOTS, due = cobahh ? slot : (step + SLOTS - DELAY) % SLOTS;
            cobahh ? update_cobahh(from, to) : update_ei_nmda(from, to);
            spikes += count[slot][me] = detect(step, from, to, fired[slot] + from);
            /* One barrier will do: a slot that others read now is written many steps later. */
#pragma omp barrier
            for (int k = 0; k < threads; k++) deliver(rows[me], fired[due] + first[k], count[due][k]);
        }
    }
    begin += steps;
    return spikes;
}

static void build(uint64_t seed) {
    float **arrays[] = {&v, &a, &b, &c, &excite, &inhibit};
    for (int k = 0; k < 6; k++) *arrays[k] = zeros((n + BLOCK) * sizeof(float));
    waiting = zeros(n * sizeof(int)), noise = zeros(n * sizeof(uint32_t));
    for (int k = 0; k < SLOTS; k++) fired[k] = zeros(n * sizeof(int));
    uint64_t s = 88172645463325252ull + seed * 7919;
    for (int k = 0; k < 10; k++) next(&s);
    for (long i = 0; i < n; i++) {
        noise[i] = (uint32_t)next(&s) | 1;
        v[i] = cobahh ? -65 + 5 * normal(&s) : -70 + 20 * uniform(&s);
        if (!cobahh) continue;
        excite[i] = 10 * (4 + 1.5 * normal(&s)), inhibit[i] = 10 * (20 + 12 * normal(&s));
        waiting[i] = -1000;
    }
    for (int k = 1; k <= threads; k++) first[k] = k < threads ? n * k / threads / BLOCK * BLOCK : n;
#pragma omp parallel num_threads(threads)
    {
        int me = omp_get_thread_num();
        uint64_t mine = s + 1000003ull * me;
        for (int k = 0; k < 10; k++) next(&mine);
        rows[me] = (cobahh ? bernoulli : in_degree)(first[me], first[me + 1], &mine);
    }
}

/* The most memory held; getrusage counts its parent's too. */
static double peak_mb(void) {
    char line[256];
    long kb = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %ld", &kb);
    if (status) fclose(status);
    return kb / 1024.0;
}

int main(int argc, char **argv) {
    if (argc != 6 || atol(argv[2]) < 100 || atoi(argv[4]) < 1 || atoi(argv[4]) > THREADS) {
        fprintf(stderr, "usage: plain_c cobahh|ei_nmda N DURATION_MS THREADS SEED (N from 100)\n");
        return 2;
    }
    cobahh = !strcmp(argv[1], "cobahh"), n = atol(argv[2]), threads = atoi(argv[4]);
    n_exciting = n * 4 / 5;
    long steps = lround(atof(argv[3]) / DT);
    build(atol(argv[5]));
    run(5000);
    printf("{\"compile_s\": 0.0, \"versions\": {\"gcc\": \"%s\"}}\n", __VERSION__), fflush(stdout);
    for (int byte; (byte = getchar()) != EOF;) {
        if (byte != '\n') continue;
        double began = omp_get_wtime();
        double rate = (double)run(steps) / n / steps / DT * 1e3, seconds = omp_get_wtime() - began;
        printf("{\"seconds\": %g, \"rate_hz\": %g, \"peak_mb\": %g}\n", seconds, rate, peak_mb());
        fflush(stdout);
    }
}
