"""Edits of tuned weights by plain numpy in f64, with loops for the projection: interpolation, RESTA, Safe LoRA.

Use:   pip install numpy; python3 tests/reference/edits.py > tests/reference/edits.json
Made with numpy 2.4.6.
"""
import json

import numpy

SHAPES = {"wide": (5, 12), "tall": (12, 5), "square": (8, 8), "small_alignment": (6, 7)}
WEIGHT, SCALE = 0.3, 0.7


def f32(numbers):
    return numpy.asarray(numbers, dtype=numpy.float32)


def loops(a, b):
    """A matrix product, one number after the other."""
    return numpy.array([[sum(float(a[i, k]) * float(b[k, j]) for k in range(a.shape[1])) for j in range(b.shape[1])]
                        for i in range(a.shape[0])])


def main():
    noise = numpy.random.default_rng(20240524)
    cases = []
    for name, shape in SHAPES.items():
        aligned = f32(0.3 * noise.standard_normal(shape))
        base = f32(aligned - (0.002 if name == "small_alignment" else 0.3) * noise.standard_normal(shape))
        # The update lies in part along the alignment.
        tuned = f32(aligned + 0.05 * noise.standard_normal(shape) + 0.2 * (aligned - base))
        a, t, b = (matrix.astype(numpy.float64) for matrix in (aligned, tuned, base))
        v, update = f32(aligned - base).astype(numpy.float64), f32(tuned - aligned).astype(numpy.float64)
        c = loops(v, v.T) / numpy.sqrt((v * v).sum())
        projected = loops(c, update)
        cosine = (projected * update).sum() / numpy.sqrt((projected**2).sum() * (update**2).sum())
        cases.append(dict(
            name=name, rows=shape[0], columns=shape[1],
            aligned=aligned.ravel().tolist(), tuned=tuned.ravel().tolist(), base=base.ravel().tolist(),
            interpolated=(a + WEIGHT * (t - a)).ravel().tolist(), resta=(t + SCALE * (a - b)).ravel().tolist(),
            projected=(a + projected).ravel().tolist(), cosine=float(cosine)))
    print(json.dumps(dict(weight=WEIGHT, scale=SCALE, cases=cases)))


main()
