"""The program's random numbers (src/random.rs) in Python's integers: SplitMix64 over counters. Imported by edits.py and scores.py."""
WORD = 2**64 - 1


def mix(state):
    """`mix`: the number of SplitMix64 that follows this state."""
    z = (state + 0x9E3779B97F4A7C15) & WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31


def stream(seed, name):
    """`stream`: where the numbers of a name begin; number i is mix(stream ^ i)."""
    state = mix(seed)
    for byte in name.encode():
        state = mix(state ^ byte)
    return state


# The first outputs of SplitMix64 from 1234567, as published.
assert [mix(1234567 + i * 0x9E3779B97F4A7C15 & WORD) for i in range(2)] == [6457827717110365317, 3203168211198807973]
