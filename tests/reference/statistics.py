"""Reference numbers of every statistic that the gate decides by, from statsmodels, scipy and formulas written down again.

Use:   python3 tests/reference/statistics.py > tests/reference/statistics.json
Made with Python 3.11, numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0. `src/eval/reference.rs` reads the numbers.
"""
import json
import warnings

import numpy as np
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

warnings.simplefilter("ignore")
Z = stats.norm.ppf(0.975)


def wilson(k, n, alpha=0.05):
    return proportion_confint(k, n, alpha=alpha, method="wilson")


def newcombe(a, b, c, d, alpha=0.05):
    """Newcombe (1998), method 10, from statsmodels' Wilson limits; phi as in the paper's section 2."""
    n = a + b + c + d
    p1, p2 = (a + b) / n, (a + c) / n
    (l1, u1), (l2, u2) = wilson(a + b, n, alpha), wilson(a + c, n, alpha)
    product = (a + b) * (c + d) * (a + c) * (b + d)
    ad_bc = a * d - b * c
    phi = 0.0 if product == 0 else (max(ad_bc - n / 2, 0) if ad_bc > 0 else ad_bc) / np.sqrt(product)
    dl1, du1, dl2, du2 = p1 - l1, u1 - p1, p2 - l2, u2 - p2
    delta = np.sqrt(max(dl1**2 - 2 * phi * dl1 * du2 + du2**2, 0))
    epsilon = np.sqrt(max(du1**2 - 2 * phi * du1 * dl2 + dl2**2, 0))
    return p1 - p2, max(p1 - p2 - delta, -1), min(p1 - p2 + epsilon, 1)


def decision(low, high, margin):
    return "pass" if high <= margin else "fail" if low > margin else "inconclusive"


def margin_p(table, margin):
    """The one-sided level at which Newcombe's lower limit is the margin."""
    if newcombe(*table)[0] <= margin:
        return 1.0
    gap = lambda z: newcombe(*table, alpha=2 * stats.norm.sf(z))[1] - margin
    return float(stats.norm.sf(optimize.brentq(gap, 1e-9, 6))) if gap(6) < 0 else float(stats.norm.sf(6))


def repeated(table, factor):
    return [factor * count for count in table]


def needed(table, margin):
    for factor in [2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128]:
        _, low, high = newcombe(*repeated(table, factor))
        if decision(low, high, margin) != "inconclusive":
            return sum(table) * factor
    return None


def wald_needed(table, margin):
    """Prompts at which the plain (Wald) interval of the paired difference ends at the margin."""
    n, (_, b, c, _) = sum(table), table
    difference = (b - c) / n
    return Z**2 * ((b + c) / n - difference**2) / (margin - difference) ** 2


def crossed(x):
    """Mean squares by ordinary least squares on indicator variables."""
    s, n = x.shape
    seed, prompt = np.repeat(np.arange(s), n), np.tile(np.arange(n), s)
    indicators = lambda labels: np.eye(labels.max() + 1)[labels][:, 1:]
    rss = lambda *parts: sm.OLS(x.ravel(), np.column_stack([np.ones(x.size), *parts])).fit().ssr
    full = rss(indicators(seed), indicators(prompt))
    ms_seed = (rss(indicators(prompt)) - full) / (s - 1)
    ms_prompt = (rss(indicators(seed)) - full) / (n - 1)
    ms_rest = full / ((s - 1) * (n - 1))
    joint = ms_seed + ms_prompt - ms_rest
    if joint >= max(ms_seed, ms_prompt):
        freedom = joint**2 / (ms_seed**2 / (s - 1) + ms_prompt**2 / (n - 1) + ms_rest**2 / ((s - 1) * (n - 1)))
    else:
        joint, freedom = (ms_seed, s - 1) if ms_seed > ms_prompt else (ms_prompt, n - 1)
    return {"mean": x.mean(), "variance": joint / x.size, "freedom": freedom}


def fieller(a, b):
    """Closed form of the interval of mean(a) / mean(b) for one sample of pairs."""
    n, (ma, mb) = len(a), (a.mean(), b.mean())
    (vaa, vab), (_, vbb) = np.cov(a, b) / n
    t2 = stats.t.ppf(0.975, n - 1) ** 2
    roots = np.roots([mb**2 - t2 * vbb, -2 * (ma * mb - t2 * vab), ma**2 - t2 * vaa])
    return sorted(float(root.real) for root in roots)


def rogan_gladen(reported, n, recall, specificity):
    """Rogan and Gladen's rate; Lang and Reiczigel's interval without their shift of the centre, written down again, and what a
    simulation of the three shares makes of it."""
    share = lambda hits, of: ((hits + 1) / (of + 2), (hits + 1) / (of + 2) * (1 - (hits + 1) / (of + 2)) / of)
    (se, var_se), (sp, var_sp) = share(*recall), share(*specificity)
    p = (n * reported + Z**2 / 2) / (n + Z**2)
    true = (p + sp - 1) / (se + sp - 1)
    variance = (p * (1 - p) / (n + Z**2) + true**2 * var_se + (1 - true) ** 2 * var_sp) / (se + sp - 1) ** 2
    half = Z * np.sqrt(variance)
    rng = np.random.default_rng(5)
    draw = lambda mean, var: rng.normal(mean, np.sqrt(var), 2_000_000)
    ps, ses, sps = draw(p, p * (1 - p) / (n + Z**2)), draw(se, var_se), draw(sp, var_sp)
    simulated = np.quantile((ps + sps - 1) / (ses + sps - 1), [0.025, 0.975])
    clip = lambda x: float(np.clip(x, 0, 1))
    return {
        "reported": reported, "n": n, "recall": recall, "specificity": specificity,
        "rate": clip((reported + sp - 1) / (se + sp - 1)), "low": clip(true - half), "high": clip(true + half),
        "simulated": [clip(x) for x in simulated],
    }


def two_way(x, resamples=200_000):
    """The bootstrap over both clusters with numpy's own generator."""
    rng = np.random.default_rng(11)
    s, n = x.shape
    by_seed = rng.multinomial(s, np.full(s, 1 / s), resamples) / s
    by_prompt = rng.multinomial(n, np.full(n, 1 / n), resamples) / n
    return np.quantile(np.einsum("rs,sn,rn->r", by_seed, x, by_prompt, optimize=True), [0.025, 0.975])


def numbers(values):
    return [[round(float(value), 6) for value in row] for row in values]


def main():
    rng = np.random.default_rng(3)
    tables = [(36, 12, 2, 0), (20, 12, 2, 16), (0, 54, 0, 0), (0, 0, 0, 54), (55, 2, 1, 2), (280, 14, 2, 4), (240, 50, 4, 6), (250, 12, 12, 26),
              (90, 9, 0, 1), (10, 3, 30, 257), (1, 0, 0, 0), (5, 5, 5, 5)]
    margins = [0.02, 0.05, 0.1]
    scores = np.round(np.clip(rng.normal(0.3, 0.2, 60), 0, 1), 6)
    matrix = np.round(np.clip(rng.normal(0.4, 0.15, 40)[None] + rng.normal(0, 0.05, 5)[:, None] + rng.normal(0, 0.1, (5, 40)), 0, 1), 6)
    flat = np.round(rng.normal(0.4, 0.1, (3, 12)), 6)
    gains = np.round(rng.normal(0.5, 0.3, 50), 6)
    kept = np.round(0.9 * gains + rng.normal(0, 0.1, 50), 6)
    sets = [[0.01, 0.04, 0.03, 0.005, 0.9], [0.02, 0.02, 0.02], [1.0, 0.3], [0.5], [0.001, 0.2, 0.011, 0.012, 0.013, 0.6, 0.049]]
    one = stats.bootstrap((scores,), np.mean, n_resamples=200_000, method="percentile", rng=np.random.default_rng(7)).confidence_interval
    reference = {
        "wilson": [[k, n, *map(float, wilson(k, n))] for k, n in [(0, 10), (3, 60), (59, 60), (5, 5), (150, 300), (294, 300), (1, 1), (336, 336)]],
        "newcombe": [[table, *map(float, newcombe(*table))] for table in tables],
        "mcnemar": [[b, c, float(mcnemar([[9, b], [c, 9]], exact=True).pvalue)]
                    for b, c in [(12, 2), (5, 5), (0, 6), (0, 0), (60, 20), (700, 600), (1, 0), (2, 1)]],
        "holm": [[values, multipletests(values, method="holm")[1].tolist()] for values in sets],
        "margins": [{"table": table, "margin": margin, "decision": decision(*newcombe(*table)[1:], margin), "p": margin_p(table, margin),
                     "needed": needed(table, margin), "wald": wald_needed(table, margin)} for table in tables[4:10] for margin in margins],
        "students": [[freedom, z, float(stats.t.ppf(stats.norm.cdf(z), freedom)), float(stats.t.sf(z, freedom))]
                     for freedom in [1, 2, 4.7, 59, 1e4] for z in [0.5, 1.6, Z, 4.5]],
        "mean": {"scores": scores.tolist(), "interval": list(map(float, stats.ttest_1samp(scores, 0).confidence_interval(0.95))),
                 "beyond": [[margin, float(stats.ttest_1samp(scores, margin, alternative="greater").pvalue)] for margin in [0.2, 0.25, 0.28]]},
        "crossed": [{"values": numbers(x), **{key: float(value) for key, value in crossed(x).items()}} for x in [matrix, flat]],
        "fieller": {"first": kept.tolist(), "second": gains.tolist(), "interval": fieller(kept, gains)},
        "rogan_gladen": [rogan_gladen(*case) for case in [(0.6, 300, (490, 500), (480, 500)), (0.9, 336, (132, 150), (140, 150)),
                                                          (0.02, 200, (80, 100), (95, 100)), (0.5, 300, (90, 100), (88, 100))]],
        "bootstrap": [{"values": [scores.tolist()], "interval": [float(one.low), float(one.high)]},
                      {"values": numbers(matrix), "interval": two_way(matrix).tolist()}],
    }
    print(json.dumps(reference, indent=0))


if __name__ == "__main__":
    main()
