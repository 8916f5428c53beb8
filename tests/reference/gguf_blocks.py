"""Reference numbers of every block type of GGUF that is read: two blocks of random bytes with sane scales, dequantised.

Use:   pip install gguf; python3 tests/reference/gguf_blocks.py > tests/reference/gguf_blocks.json
Made with gguf 0.19.0 and numpy 2.4.6.
"""
import json
import sys

import numpy
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

# Byte offsets of the f16 scales in a block.
SCALES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
          "Q5_K": [0, 2], "Q6_K": [208]}
PLAIN = {"F32": numpy.float32, "F16": numpy.float16}


def main():
    random = numpy.random.default_rng(5)
    out = []
    for name in ["F32", "F16", "BF16", *SCALES]:
        kind = GGMLQuantizationType[name]
        values, size = GGML_QUANT_SIZES[kind]
        if name in SCALES:
            blocks = random.integers(0, 256, (2, size), dtype=numpy.uint8)
            for at in SCALES[name]:
                # One scale of either sign, one so small that f16 has it as a subnormal number.
                scales = numpy.array([random.uniform(0.01, 0.2) * random.choice([-1, 1]), random.uniform(1e-5, 5e-5)], numpy.float16)
                blocks[:, at:at + 2] = scales.view(numpy.uint8).reshape(2, 2)
            raw = blocks.reshape(-1)
        else:
            numbers = numpy.concatenate([random.normal(0, 0.05, 12), [0.0, -0.0, 1.0, 3e-39]]).astype(PLAIN.get(name, numpy.float32))
            raw = numbers.view(numpy.uint8) if name in PLAIN else (numbers.view(numpy.uint32) >> 16).astype(numpy.uint16).view(numpy.uint8)
        floats = [float(str(value)) for value in dequantize(raw, kind).reshape(-1).astype(numpy.float32)]
        assert numpy.isfinite(floats).all()
        assert (numpy.array(floats, numpy.float32) == dequantize(raw, kind).reshape(-1)).all()
        out.append({"type": name, "number": int(kind), "block": values, "bytes": raw.tobytes().hex(), "values": floats})
    json.dump(out, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
