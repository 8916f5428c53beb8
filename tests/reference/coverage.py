"""How often nominal 95 % intervals of a mean over seeds and prompts hold the truth: the variance of both (`crossed`, with Student's
quantile) beside the percentile bootstrap over both. The table stands in `src/eval/bootstrap.rs`.

Use:   python3 tests/reference/coverage.py
Made with numpy 2.4.6 and scipy 1.17.1. Scores are a line (`even`), or an exponential cut at 1 (`skewed`), of a normal number per
prompt (60 % of a reply's variance), one per seed (`sd`, in standard deviations of a reply) and one per reply.
"""
import numpy as np
from scipy import stats

TRIES, RESAMPLES = 2000, 1000
rng = np.random.default_rng(1)


def crossed(x):
    s, n = x.shape
    mean, by_seed, by_prompt = x.mean(), x.mean(1), x.mean(0)
    if s == 1:
        variance, freedom = x[0].var(ddof=1) / n, n - 1
    else:
        ms_seed = n * ((by_seed - mean) ** 2).sum() / (s - 1)
        ms_prompt = s * ((by_prompt - mean) ** 2).sum() / (n - 1)
        ms_rest = ((x - by_seed[:, None] - by_prompt + mean) ** 2).sum() / ((s - 1) * (n - 1))
        joint = ms_seed + ms_prompt - ms_rest
        if joint >= max(ms_seed, ms_prompt):
            freedom = joint**2 / (ms_seed**2 / (s - 1) + ms_prompt**2 / (n - 1) + ms_rest**2 / ((s - 1) * (n - 1)))
        else:
            joint, freedom = max((ms_seed, s - 1), (ms_prompt, n - 1))
        variance = joint / (s * n)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    return mean - half, mean + half


def bootstrap(x):
    s, n = x.shape
    by_seed = rng.multinomial(s, np.full(s, 1 / s), RESAMPLES) / s
    by_prompt = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n
    return np.quantile(((by_seed @ x) * by_prompt).sum(1), [0.025, 0.975])


def draw(kind, s, n, sd):
    z = rng.normal(0, np.sqrt(0.6), n) + rng.normal(0, sd, s)[:, None] + rng.normal(0, np.sqrt(0.4), (s, n))
    return 0.4 + 0.15 * z if kind == "even" else np.minimum(1, np.exp(z - 2.5))


def truth(kind, sd):
    z = np.linspace(-9, 9, 400_001) * np.sqrt(1 + sd**2)
    weights = stats.norm.pdf(np.linspace(-9, 9, 400_001))
    values = 0.4 + 0.15 * z if kind == "even" else np.minimum(1, np.exp(z - 2.5))
    return (values * weights).sum() / weights.sum()


def main():
    print("| scores | seeds | prompts | sd | crossed | bootstrap |\n|---|---|---|---|---|---|")
    for kind, s, n, sd in [("even", 1, 60, 0.0), ("skewed", 1, 60, 0.0), ("skewed", 1, 300, 0.0), ("even", 2, 300, 0.2), ("even", 3, 300, 0.2),
                           ("even", 5, 60, 0.2), ("even", 5, 300, 0.2), ("even", 5, 300, 0.5), ("skewed", 5, 300, 0.5), ("even", 10, 300, 0.2)]:
        expected, held = truth(kind, sd), np.zeros(2)
        for _ in range(TRIES):
            x = draw(kind, s, n, sd)
            held += [low <= expected <= high for low, high in (crossed(x), bootstrap(x))]
        print(f"| {kind} | {s} | {n} | {sd} | {held[0] / TRIES * 100:.1f} % | {held[1] / TRIES * 100:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
