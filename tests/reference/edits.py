"""Edits of tuned weights by plain numpy in f64, with loops for the projection: interpolation, RESTA, Safe LoRA; deltas merged by DARE in f32.

What RESTA and DARE drop is drawn by the program's own generator, whose lines are in draws.py in Python's integers.

Use:   pip install numpy; python3 tests/reference/edits.py > tests/reference/edits.json
Made with numpy 2.4.6.
"""
import json
import pathlib
import sys

import numpy

sys.path.append(str(pathlib.Path(__file__).parent))
from draws import mix, stream  # noqa: E402

SHAPES = {"wide": (5, 12), "tall": (12, 5), "square": (8, 8), "small_alignment": (6, 7)}
WEIGHT, SCALE, DROP, SEED, TENSOR = 0.3, 0.7, 0.35, 9, "w"
# Two deltas of one tensor with 90 weights, which change these of it; their scales, and the share that stays.
NAME, PLACES, SCALES, DENSITY = "model.layers.0.mlp.up_proj.weight", [i for i in range(90) if i % 7 != 3 and i % 5 != 4], [1.5, -0.25], 0.4


def share(of, i):
    """Number i of a stream in 0..1, from its upper 53 bits."""
    return (mix(of ^ i) >> 11) / 2**53


def f32(numbers):
    return numpy.asarray(numbers, dtype=numpy.float32)


def loops(a, b):
    """A matrix product, one number after the other."""
    return numpy.array([[sum(float(a[i, k]) * float(b[k, j]) for k in range(a.shape[1])) for j in range(b.shape[1])]
                        for i in range(a.shape[0])])


def dare(noise):
    """Drop, rescale (Yu et al., 2311.03099), and sum, number by number in f32; one of four places is no change of the first delta's."""
    density, deltas, merged = numpy.float32(DENSITY), [], f32([0] * len(PLACES))
    for digest, scale in zip(("0b3a", "c41d"), SCALES):
        vector = f32(noise.standard_normal(len(PLACES)))
        if not deltas:
            vector[::4] = 0
        of = stream(SEED, f"{digest} {NAME}")
        dropped = f32([value / density if share(of, i) < DENSITY else 0 for i, value in zip(PLACES, vector)])
        merged = merged + numpy.float32(scale) * dropped
        deltas.append(dict(digest=digest, vector=vector.tolist(), dropped=dropped.tolist()))
    assert merged.dtype == numpy.float32
    return dict(name=NAME, places=PLACES, density=DENSITY, scales=SCALES, deltas=deltas, merged=merged.tolist())


def main():
    # The first numbers of SplitMix64 from 1234567, as others publish them.
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
        # src/edit/resta.rs, `is_dropped`: the middle of each step of the share.
        of = stream(SEED ^ 0x6472617265, TENSOR)
        kept = [0.0 if share(of, i) + 0.5 / 2**53 < DROP else value / (1 - DROP) for i, value in enumerate((t - a).ravel().tolist())]
        cosine = (projected * update).sum() / numpy.sqrt((projected**2).sum() * (update**2).sum())
        cases.append(dict(
            name=name, rows=shape[0], columns=shape[1],
            aligned=aligned.ravel().tolist(), tuned=tuned.ravel().tolist(), base=base.ravel().tolist(),
            interpolated=(a + WEIGHT * (t - a)).ravel().tolist(), resta=(t + SCALE * (a - b)).ravel().tolist(),
            resta_dropped=(a.ravel() + kept + SCALE * (a - b).ravel()).tolist(),
            projected=(a + projected).ravel().tolist(), cosine=float(cosine)))
    print(json.dumps(dict(weight=WEIGHT, scale=SCALE, drop=DROP, seed=SEED, cases=cases, dare=dare(noise))))


main()
