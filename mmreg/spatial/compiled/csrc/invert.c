/* The inverse of a displacement on a grid that divides its voxels, voxel by voxel, and how far it is off. */
#include <math.h>

#include "common.h"

/* A Newton step is at most so many voxels long; a voxel whose step had to be halved to this gives up. */
#define LONGEST 2.0f
#define SHORTEST (1.0f / 128)
/* Damped fixed point before a second attempt, where the neighbours were no good start. */
#define ATTEMPTS 12
#define DAMPING 0.7f

/* The three components of a vector and a number that does not count: one load, one operation. */
typedef float vector __attribute__((vector_size(16)));

typedef struct {
    const float *values; /* (depth, height, width, 4) */
    int64_t size[3];
} lattice;

typedef struct {
    vector value, by[3]; /* by[i]: derivative along axis i */
} local_field;

typedef struct {
    lattice field, kept;
    float *out;
    double *results;
    int32_t *steps;
    int64_t shape[3];
    float part[3], finer[3]; /* voxels of the field per voxel of the grid; voxels of `kept` per voxel of the field */
    float matrix[9];
    float limit;
    int iterations;
    int64_t first, count, every;
} inversion;

MMREG_INSIDE vector load(const float *p) {
    vector v;
    memcpy(&v, p, sizeof v);
    return v;
}

MMREG_INSIDE vector spread(float x) { return (vector){x, x, x, x}; }

/* The field at a position (axis by axis, voxels), and its derivatives where `slopes`. */
MMREG_INSIDE void look(const lattice *v, vector at, local_field *found, int slopes) {
    float fz, fy, fx, mz, my, mx;
    const int64_t *n = v->size;
    const int64_t z = mmreg_below(at[0], n[0], &fz, &mz), y = mmreg_below(at[1], n[1], &fy, &my);
    const int64_t x = mmreg_below(at[2], n[2], &fx, &mx);
    const int64_t right = n[2] > 1 ? 4 : 0, down = n[1] > 1 ? 4 * n[2] : 0, deep = n[0] > 1 ? 4 * n[1] * n[2] : 0;
    const float *p = v->values + 4 * ((z * n[1] + y) * n[2] + x), *q = p + deep;
    const vector a0 = load(p), a1 = load(p + right) - a0, b0 = load(p + down), b1 = load(p + down + right) - b0;
    const vector c0 = load(q), c1 = load(q + right) - c0, d0 = load(q + down), d1 = load(q + down + right) - d0;
    const vector wz = spread(fz), wy = spread(fy), wx = spread(fx);
    const vector a = a0 + wx * a1, b = b0 + wx * b1 - a, c = c0 + wx * c1, d = d0 + wx * d1 - c;
    const vector near = a + wy * b, far = c + wy * d - near;
    found->value = near + wz * far;
    if (!slopes) return;
    const vector e = a1 + wy * (b1 - a1), f = c1 + wy * (d1 - c1);
    found->by[0] = spread(mz) * far;
    found->by[1] = spread(my) * (b + wz * (d - b));
    found->by[2] = spread(mx) * (e + wz * (f - e));
}

MMREG_INSIDE float squared(vector v) { return v[0] * v[0] + v[1] * v[1] + v[2] * v[2]; }

MMREG_INSIDE vector cross(vector a, vector b) {
    return (vector){a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0], 0.0f};
}

MMREG_INSIDE float dot(vector a, vector b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/* (I + Du)^-1 error, not longer than LONGEST; the error itself where space is folded. */
MMREG_INSIDE vector newton_step(const local_field *u, vector error) {
    vector a = u->by[0], b = u->by[1], c = u->by[2];
    a[0] += 1.0f;
    b[1] += 1.0f;
    c[2] += 1.0f;
    const vector bc = cross(b, c);
    const float determinant = dot(a, bc);
    vector step = error;
    if (determinant >= 1e-3f) {
        const float scale = 1.0f / determinant;
        step = (vector){dot(error, bc) * scale, dot(error, cross(c, a)) * scale, dot(error, cross(a, b)) * scale, 0.0f};
    }
    const float length = squared(step);
    return length > LONGEST * LONGEST ? step * spread(LONGEST / sqrtf(length)) : step;
}

/* Newton's method with step halving for w + u(x + w) = 0; returns the squared length of what is left, in voxels of the
   grid. */
MMREG_INSIDE float newton(const inversion *t, vector x, vector scale, vector *w, int32_t *steps) {
    local_field u, next;
    look(&t->field, x + *w, &u, 1);
    vector error = *w + u.value;
    float left = squared(error * scale), damping = 1.0f;
    while (left > t->limit && *steps < t->iterations && damping > SHORTEST) {
        const vector tried = *w - spread(damping) * newton_step(&u, error);
        look(&t->field, x + tried, &next, 1);
        const vector after = tried + next.value;
        const float now = squared(after * scale);
        (*steps)++;
        if (now < left) {
            *w = tried, error = after, left = now, u = next;
            damping = damping < 0.5f ? 2.0f * damping : 1.0f;
        } else {
            damping *= 0.5f;
        }
    }
    return left;
}

/* One voxel: from where its neighbours ended, else from afar. */
MMREG_INSIDE vector solve(const inversion *t, vector x, vector scale, vector start, int32_t *most) {
    vector w = start, other = spread(0.0f);
    int32_t steps = 0, again = 0;
    const float left = newton(t, x, scale, &w, &steps);
    if (!(left <= t->limit)) {
        local_field u;
        for (int i = 0; i < ATTEMPTS; i++) {
            look(&t->field, x + other, &u, 0);
            other -= spread(DAMPING) * (other + u.value);
        }
        if (newton(t, x, scale, &other, &again) < left || left != left) w = other;
    }
    steps = again > steps ? again : steps;
    *most = steps > *most ? steps : *most;
    return w;
}

/* One slice of the grid. */
MMREG_CLONES static void invert_slice(void *context, int64_t index, void *room) {
    const inversion *t = context;
    const int64_t z = t->first + index;
    const int64_t height = t->shape[1], width = t->shape[2], voxels = t->count * height * width;
    const vector scale = {1.0f / t->part[0], 1.0f / t->part[1], 1.0f / t->part[2], 0.0f};
    vector *above = room; /* the row before this one */
    int32_t most = 0;
    for (int64_t y = 0; y < height; y++) {
        vector left = spread(0.0f), corner = left;
        float *out = t->out + (index * height + y) * width;
        for (int64_t i = 0; i < width; i++) {
            const vector x = {(float)z * t->part[0], (float)y * t->part[1], (float)i * t->part[2], 0.0f};
            const vector over = y ? above[i] : left, beside = i ? left : over;
            const vector w = solve(t, x, scale, y && i ? beside + over - corner : beside, &most);
            corner = over;
            above[i] = left = w;
            for (int k = 0; k < 3; k++) out[k * voxels + i] = w[k] * scale[k];
        }
    }
    t->steps[index] = most;
}

/* What is left of the voxels of one slice there and back: sum and largest of the lengths, mm. */
MMREG_CLONES static void return_slice(void *context, int64_t index, void *room) {
    (void)room;
    const inversion *t = context;
    const int64_t z = index * t->every;
    const vector down = {t->matrix[0], t->matrix[3], t->matrix[6], 0.0f};
    const vector across = {t->matrix[1], t->matrix[4], t->matrix[7], 0.0f};
    const vector along = {t->matrix[2], t->matrix[5], t->matrix[8], 0.0f};
    const vector finer = {t->finer[0], t->finer[1], t->finer[2], 0.0f};
    const vector coarser = {1.0f / t->finer[0], 1.0f / t->finer[1], 1.0f / t->finer[2], 0.0f};
    double sum = 0.0;
    float largest = 0.0f;
    for (int64_t y = 0; y < t->shape[1]; y++) {
        float row = 0.0f;
        for (int64_t i = 0; i < t->shape[2]; i++) {
            const vector x = {(float)z * t->part[0], (float)y * t->part[1], (float)i * t->part[2], 0.0f};
            local_field back, there;
            look(&t->kept, x * finer, &back, 0);
            const vector w = back.value * coarser;
            look(&t->field, x + w, &there, 0);
            const vector e = w + there.value;
            const float length = sqrtf(squared(spread(e[0]) * down + spread(e[1]) * across + spread(e[2]) * along));
            row += length;
            largest = (length > largest) | (length != length) ? length : largest;
        }
        sum += row;
    }
    t->results[2 * index] = sum;
    t->results[2 * index + 1] = largest;
}

/* field: (*size, 4), the last number of each voxel is 0. out: (3, count, ...) of the grid (size - 1) * factors + 1 from
   slice `first` on, voxels of that grid. steps: of Newton's method, the most in each of the slices. */
int mmreg_invert_slices(const float *field, float *out, int32_t *steps, const int64_t *size, const int64_t *factors,
                        int64_t first, int64_t count, float tolerance, int64_t iterations, int threads) {
    inversion t = {.field = {field, {size[0], size[1], size[2]}}, .out = out, .steps = steps, .first = first,
                   .count = count, .limit = tolerance * tolerance, .iterations = (int)iterations};
    for (int k = 0; k < 3; k++) {
        t.part[k] = 1.0f / (float)factors[k];
        t.shape[k] = (size[k] - 1) * factors[k] + 1;
    }
    return mmreg_parallel(invert_slice, &t, count, t.shape[2] * (int64_t)sizeof(vector), threads);
}

/* field as above; kept: an inverse, (*kept_size, 4), voxels of the grid that divides those of the field by kept_factors.
   Looked at are the nodes of the grid that divides them by factors, of every so-many-th slice. results: (slices, 2), sum
   and largest length, mm, as the matrix of the field's grid (3, 3) has it. */
int mmreg_there_and_back(const float *field, const float *kept, double *results, const int64_t *size,
                         const int64_t *kept_size, const int64_t *factors, const int64_t *kept_factors,
                         const float *matrix, int64_t every, int threads) {
    inversion t = {.field = {field, {size[0], size[1], size[2]}}, .every = every, .results = results,
                   .kept = {kept, {kept_size[0], kept_size[1], kept_size[2]}}};
    memcpy(t.matrix, matrix, sizeof t.matrix);
    for (int k = 0; k < 3; k++) {
        t.part[k] = 1.0f / (float)factors[k];
        t.finer[k] = (float)kept_factors[k];
        t.shape[k] = (size[k] - 1) * factors[k] + 1;
    }
    return mmreg_parallel(return_slice, &t, (t.shape[0] + every - 1) / every, 0, threads);
}
