/* Local normalised cross correlation over a box: the sum of its map and its gradients, in closed form.

   Everything is computed of the images less one value of each volume, its smallest, which changes nothing but the
   rounding: the sums of a constant background are 0 then, and not the noise of large numbers. Outside, where the images
   are 0, the differences are minus that value.

   Four passes: sums of both images and their products within slices; across slices, with the maps that the gradients
   are made of; sums of those maps within slices; across slices, with the gradients. */
#include "sums.h"

#define MOMENTS 5

typedef struct {
    const float *first, *second, *mask, *counts, *first_less, *second_less;
    float *to_first, *to_second, *room;
    double *totals; /* one per task of the second pass */
    int64_t channels, depth, height, width, voxels, maps;
    float n, eps, scale;
    int exponent;
    window z, y, x;
} job;

MMREG_INSIDE int64_t room_of_rows(const job *c) {
    return room_of_row(c->width, c->x) + room_of_strip(c->y);
}

/* What is taken off the values of a volume: nothing where windows do not count all their voxels, outside the images. */
MMREG_INSIDE float shift_of(const job *c, const float *less, int64_t volume) {
    const float counted = (float)(width_of(c->z) * width_of(c->y) * width_of(c->x));
    return counted == c->n && !c->counts ? less[volume] : 0.0f;
}

/* Moment q outside the images: first, second, first squared, product, second squared. */
MMREG_INSIDE float moment_outside(const job *c, int64_t volume, int q) {
    const float a = -shift_of(c, c->first_less, volume), b = -shift_of(c, c->second_less, volume);
    return q == 0 ? a : q == 1 ? b : (q == 4 ? b : a) * (q == 2 ? a : b);
}

/* From x sums in `rows` to sums within the slice. */
MMREG_INSIDE void finish_slice(const job *c, const float *rows, float *out, float outside, float *room) {
    for (int64_t x = 0; x < c->width; x += STRIP)
        sum_strip(rows + x, c->width, out + x, c->width, c->height, mmreg_min(STRIP, c->width - x), c->y,
                  outside, room);
}

MMREG_CLONES static void moments_slice(void *context, int64_t index, void *memory) {
    const job *c = context;
    const int64_t plane = c->height * c->width, volume = index / c->depth, z = index % c->depth;
    const float *a = c->first + index * plane, *b = c->second + index * plane;
    float *room = memory, *line = room + room_of_rows(c), *rows = line + c->width;
    const float shift_a = shift_of(c, c->first_less, volume), shift_b = shift_of(c, c->second_less, volume);
    for (int q = 0; q < MOMENTS; q++) {
        const float outside = moment_outside(c, volume, q);
        for (int64_t at = 0; at < plane; at += c->width) {
            const float *l = (q == 1 || q == 4 ? b : a) + at, *r = (q == 2 ? a : b) + at;
            const float less_l = q == 1 || q == 4 ? shift_b : shift_a, less_r = q == 2 ? shift_a : shift_b;
            if (q < 2)
                for (int64_t i = 0; i < c->width; i++) line[i] = l[i] - less_l;
            else
                for (int64_t i = 0; i < c->width; i++) line[i] = (l[i] - less_l) * (r[i] - less_r);
            sum_row(line, rows + at, c->width, c->x, outside, room);
        }
        const float row_outside = outside * (float)width_of(c->x);
        finish_slice(c, rows, c->room + (volume * MOMENTS + q) * c->voxels + z * plane, row_outside, room);
    }
}

/* Sums of `count` of the room's volumes across slices, for one strip: sums (count, depth, STRIP). `outside` has what
   slices that do not exist count as in each of the volumes. */
MMREG_INSIDE void sum_columns(const job *c, const float *from, int64_t count, int64_t columns, const float *outside,
                               float *sums, float *copy, float *room) {
    const int64_t plane = c->height * c->width;
    for (int64_t q = 0; q < count; q++) {
        copy_strip(from + q * c->voxels, plane, c->depth, columns, copy);
        sum_strip(copy, STRIP, sums + q * c->depth * STRIP, STRIP, c->depth, columns, c->z,
                  outside[q], room);
    }
}

MMREG_INSIDE int64_t room_of_columns(const job *c) {
    return (MOMENTS + 1) * c->depth * STRIP + room_of_strip(c->z);
}

/* What one row of a strip adds to the value, and its maps: by cross, by variance and mixed of the first image, and the
   last two of the second. `counts` holds the voxels that each window counts, NULL: n everywhere. */
MMREG_INSIDE void maps_row(const job *c, const float *const *s, const float *mask, const float *counts, float *const *m,
                            float *value, int64_t columns) {
    for (int64_t i = 0; i < columns; i++) {
        float n = counts ? (counts[i] > 1.0f ? counts[i] : 1.0f) : c->n;
        float sum_a = s[0][i], sum_b = s[1][i], mean_a = sum_a / n, mean_b = sum_b / n;
        float cross = s[3][i] - mean_a * sum_b, var_a = s[2][i] - mean_a * sum_a, var_b = s[4][i] - mean_b * sum_b;
        var_a = var_a < 0.0f ? 0.0f : var_a; /* what is not a number stays that */
        var_b = var_b < 0.0f ? 0.0f : var_b;
        float denominator = var_a * var_b + c->eps, weight = mask ? mask[i] : 1.0f, power, by_cross, by_denominator;
        if (c->exponent == 1) {
            by_cross = 1.0f / __builtin_sqrtf(denominator);
            power = cross * by_cross;
            by_denominator = by_cross * by_cross * power;
        } else {
            float slope = cross / denominator, squared = cross * slope;
            power = c->exponent == 2 ? squared : squared * squared;
            by_cross = c->exponent == 2 ? slope : slope * squared;
            by_denominator = c->exponent == 2 ? slope * slope : slope * slope * squared;
        }
        value[i] += power * weight;
        by_cross *= weight;
        by_denominator *= weight;
        m[0][i] = by_cross;
        if (c->to_first) {
            float by_variance = by_denominator * var_b;
            m[1][i] = by_variance;
            m[2][i] = by_variance * mean_a - by_cross * mean_b;
        }
        if (c->to_second) {
            float by_variance = by_denominator * var_a;
            m[3][i] = by_variance;
            m[4][i] = by_variance * mean_b - by_cross * mean_a;
        }
    }
}

MMREG_CLONES static void maps_columns(void *context, int64_t index, void *memory) {
    const job *c = context;
    const int64_t plane = c->height * c->width, step = c->depth * STRIP;
    const strip s = strip_at(index, plane);
    const int64_t volume = s.volume, first = s.first, columns = s.columns;
    float *base = c->room + volume * MOMENTS * c->voxels + first, value[STRIP] = {0};
    float *room = memory, *sums = room + room_of_strip(c->z), *copy = sums + MOMENTS * step;
    const float *mask = c->mask ? c->mask + volume / c->channels * c->voxels + first : NULL;
    const float *counts = c->counts ? c->counts + volume / c->channels * c->voxels + first : NULL;
    float outside[MOMENTS];
    for (int q = 0; q < MOMENTS; q++)
        outside[q] = moment_outside(c, volume, q) * (float)(width_of(c->x) * width_of(c->y));
    sum_columns(c, base, MOMENTS, columns, outside, sums, copy, room);
    /* The maps of the second image stand where those of the first would, if only the second needs a gradient. */
    const int64_t second = c->to_first ? 3 : 1;
    for (int64_t z = 0; z < c->depth; z++) {
        const float *moments[MOMENTS];
        float *m[MOMENTS];
        for (int q = 0; q < MOMENTS; q++) {
            moments[q] = sums + q * step + z * STRIP;
            m[q] = base + (q < 3 ? q : mmreg_min(q - 3 + second, MOMENTS - 1)) * c->voxels + z * plane;
        }
        maps_row(c, moments, mask ? mask + z * plane : NULL, counts ? counts + z * plane : NULL, m, value, columns);
    }
    double total = 0;
    for (int64_t i = 0; i < columns; i++) total += value[i];
    c->totals[index] = total;
}

MMREG_CLONES static void spread_slice(void *context, int64_t index, void *memory) {
    const job *c = context;
    const int64_t plane = c->height * c->width, volume = index / c->depth, z = index % c->depth;
    float *room = memory, *rows = room + room_of_rows(c);
    for (int64_t q = 0; q < c->maps; q++) {
        float *map = c->room + (volume * MOMENTS + q) * c->voxels + z * plane;
        for (int64_t at = 0; at < plane; at += c->width) sum_row(map + at, rows + at, c->width, c->x, 0.0f, room);
        finish_slice(c, rows, map, 0.0f, room);
    }
}

MMREG_CLONES static void gradient_columns(void *context, int64_t index, void *memory) {
    const job *c = context;
    const int64_t plane = c->height * c->width, step = c->depth * STRIP;
    const strip s = strip_at(index, plane);
    const int64_t volume = s.volume, first = s.first, columns = s.columns;
    float *room = memory, *sums = room + room_of_strip(c->z), *copy = sums + MOMENTS * step;
    const float zeros[MOMENTS] = {0};
    sum_columns(c, c->room + volume * MOMENTS * c->voxels + first, c->maps, columns, zeros, sums, copy, room);
    for (int side = 0; side < 2; side++) {
        float *to = side ? c->to_second : c->to_first;
        if (!to) continue;
        const float *own = (side ? c->second : c->first) + volume * c->voxels + first;
        const float *other = (side ? c->first : c->second) + volume * c->voxels + first;
        const float less = shift_of(c, side ? c->second_less : c->first_less, volume);
        const float less_other = shift_of(c, side ? c->first_less : c->second_less, volume);
        const float *variance = sums + (side && c->to_first ? 3 : 1) * step, *mixed = variance + step;
        to += volume * c->voxels + first;
        for (int64_t z = 0; z < c->depth; z++) {
            const int64_t at = z * plane, row = z * STRIP;
            for (int64_t i = 0; i < columns; i++)
                to[at + i] = (mixed[row + i] + (other[at + i] - less_other) * sums[row + i] -
                              (own[at + i] - less) * variance[row + i]) *
                             c->scale;
        }
    }
}

/* first, second (samples * channels, depth, height, width); mask, counts (samples, ...) or NULL; `first_less`,
   `second_less` (samples * channels), what is taken off; gradients like the images, or NULL. `room` holds 5 volumes per
   volume. `total` becomes the sum of the map; the gradients are those of `scale` times it. */
int mmreg_local_correlation(const float *first, const float *second, const float *mask, const float *counts,
                            const float *first_less, const float *second_less, float *to_first, float *to_second,
                            float *room, double *total, int64_t volumes, int64_t channels, const int64_t *size,
                            const int64_t *reach, float n, float eps, float scale, int exponent, int threads) {
    const int64_t plane = size[1] * size[2], strips = volumes * strips_of(plane), slices = volumes * size[0];
    double *totals = malloc((size_t)strips * sizeof(double));
    if (!totals) return MMREG_NO_MEMORY;
    job c = {first, second, mask, counts, first_less, second_less, to_first, to_second, room, totals, channels,
             size[0], size[1], size[2], size[0] * plane, 1 + (to_first ? 2 : 0) + (to_second ? 2 : 0), n, eps, scale,
             exponent, {reach[0], reach[1]}, {reach[2], reach[3]}, {reach[4], reach[5]}};
    const int64_t slice_room = MMREG_FLOATS(room_of_rows(&c) + plane + c.width);
    const int64_t column_room = MMREG_FLOATS(room_of_columns(&c));
    int status = mmreg_parallel(moments_slice, &c, slices, slice_room, threads);
    if (!status) status = mmreg_parallel(maps_columns, &c, strips, column_room, threads);
    if (!status) {
        *total = 0;
        for (int64_t i = 0; i < strips; i++) *total += totals[i];
    }
    free(totals);
    if (status || (!to_first && !to_second)) return status;
    status = mmreg_parallel(spread_slice, &c, slices, slice_room, threads);
    return status ? status : mmreg_parallel(gradient_columns, &c, strips, column_room, threads);
}
