"""Reference numbers of scores and selections by PyTorch and numpy, on the small random Llama of generate.py.

Use:   pip install torch transformers safetensors numpy; python3 -P tests/reference/scores.py tests/reference
(-P: or statistics.py, beside it, hides the module of that name.) Reads plain.safetensors, writes scores.safetensors. Made with torch 2.15.0 and transformers 5.24.0, f32 on a CPU.

gradient.NAME |g|, g the gradient of the mean loss over all rows' tokens to be learnt, by autograd
snip.NAME     |w · g|
fisher.NAME   mean over rows of g², g the gradient of the sum of the row's own losses, by autograd, row by row
wanda.NAME    |w_ij| ‖x_j‖₂, x what forward hooks see go into the matrix, over the tokens of the replies (those to be learnt, not
              those that predict them); each row in a pass of its own
utility.NAME  the same on other rows
conflict.*    dot products and cosines of each row's gradient (of the mean of its losses) with that of the other rows (of the mean of all
              of their losses), over all matrices
Selections, as bytes of 0 and 1 by tensor, made by sorting everything (stable, so that the lower index is first):
minus.NAME    the top 30 % of wanda outside of the top 40 % of utility
row.NAME      the top 30 % of every row of wanda
rows.NAME     whole rows of wanda by the mean score, those whose weights come nearest to 30 % of each tensor
columns.NAME  whole columns of all tensors together, nearest to 30 % of all weights
top.KIND.NAME, each.KIND.NAME
              the top 2 % of all tensors together, and of each tensor, by the scores of which SHiRA makes its masks (Bhardwaj et al., 2406.13175,
              section 3.1): gradient (SHiRA-Grad), snip (SHiRA-SNIP), magnitude, |w| (SHiRA-WM), and random (SHiRA-Rand), by the numbers of
              src/random.rs (draws.py) and src/ticket/score.rs in Python's integers
top.coarse.NAME
              the same by |w| in bf16: several weights of several tensors have the last score, and some of them are left
"""
import json
import pathlib
import sys

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

# At the end, behind Python's own modules.
sys.path.append(str(pathlib.Path(__file__).parent))
from draws import mix, stream  # noqa: E402

DENSITY, TAKEN, SPARSE, SEED = 0.3, 0.4, 0.02, 5


def drawn(seed, name, n):
    """src/ticket/score.rs, `random`; every number is exact in f32."""
    of = stream(seed, name)
    return torch.tensor([((mix(of ^ i) >> 41) + 0.5) / 2**23 for i in range(n)])


def losses(model, row, learn):
    """The sum of the losses of the tokens to be learnt."""
    logits = model(input_ids=torch.tensor([row])).logits[0]
    places = [i for i in range(1, len(row)) if learn[i]]
    return torch.nn.functional.cross_entropy(logits[[i - 1 for i in places]], torch.tensor([row[i] for i in places]), reduction="sum")


def wanda(model, names, rows, learn):
    squares = {}
    for row, mask in zip(rows, learn):
        replies = [i for i in range(1, len(row)) if mask[i]]

        def hook(name):
            def see(_, inputs, __):
                seen = inputs[0][0][replies].double().square().sum(0)
                squares[name] = squares.get(name, 0) + seen
            return see
        handles = [model.get_submodule(name.removesuffix(".weight")).register_forward_hook(hook(name)) for name in names]
        with torch.no_grad():
            model(input_ids=torch.tensor([row]))
        for handle in handles:
            handle.remove()
    return {name: (model.get_parameter(name).detach().abs().double() * squares[name].sqrt()).float() for name in names}


def top(values, k, open_=None):
    """0 and 1: the k largest of the open ones."""
    values = numpy.where(open_, values, -1.0) if open_ is not None else values
    chosen = numpy.zeros(len(values), numpy.uint8)
    chosen[numpy.argsort(-values, kind="stable")[:k]] = 1
    return chosen


def apart(values, k):
    """Whether rounding cannot decide which k are the largest: the next one is smaller by more than a gradient's error."""
    ordered = -numpy.sort(-values)
    return ordered[k - 1] - ordered[k] > 1e-4 * ordered[k - 1]


def count(share, n):
    return int(numpy.floor(share * n + 0.5))


def split(flat, scores):
    out, at = {}, 0
    for name, score in scores.items():
        out[name] = flat[at:at + score.numel()]
        at += score.numel()
    return out


def nearest(sizes, wanted):
    totals = numpy.concatenate([[0], numpy.cumsum(sizes)])
    apart = numpy.abs(totals - wanted)
    return max(i for i in range(len(totals)) if apart[i] == apart.min())


def whole(scores, axis):
    """Every group as (mean, tensor, flat indices)."""
    groups = []
    for name, score in scores.items():
        indices = numpy.arange(score.numel()).reshape(score.shape)
        for group in (indices if axis == 0 else indices.T):
            groups.append((score.double().flatten().numpy()[group].mean(), name, group))
    return groups


def chosen_groups(groups, scores, wanted):
    out = {name: numpy.zeros(score.numel(), numpy.uint8) for name, score in scores.items()}
    groups = sorted(groups, key=lambda group: -group[0])
    for _, name, group in groups[:nearest([len(group[2]) for group in groups], wanted)]:
        out[name][group] = 1
    return out


def main(dest):
    with safe_open(dest / "plain.safetensors", "pt") as file:
        metadata = file.metadata()
        weights = {key.removeprefix("weight."): file.get_tensor(key) for key in file.keys() if key.startswith("weight.")}
    config = LlamaConfig(**{key: value for key, value in json.loads(metadata["config"]).items() if key != "architectures"},
                         attn_implementation="eager")
    model = LlamaForCausalLM(config).float()
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    rows, learn = json.loads(metadata["rows"]), json.loads(metadata["learn"])
    names = [name for name, weight in model.named_parameters() if "proj" in name]
    generator = torch.Generator().manual_seed(5)
    others = [torch.randint(3, 48, (n,), generator=generator).tolist() for n in (7, 11)]
    others_learn = [[i >= len(row) // 2 for i in range(len(row))] for row in others]

    fisher = {}
    for row, mask in zip(rows, learn):
        model.zero_grad()
        losses(model, row, mask).backward()
        for name in names:
            fisher[name] = fisher.get(name, 0) + model.get_parameter(name).grad.double().square() / len(rows)

    def gradient(rows, learn):
        model.zero_grad()
        tokens = sum(sum(mask[1:]) for mask in learn)
        sum(losses(model, row, mask) for row, mask in zip(rows, learn)).div(tokens).backward()
        return torch.cat([model.get_parameter(name).grad.flatten() for name in names]).double()
    anchor = gradient(others, others_learn)
    each = [gradient([row], [mask]) for row, mask in zip(rows, learn)]
    scores, utility = wanda(model, names, rows, learn), wanda(model, names, others, others_learn)
    flat = torch.cat([score.flatten() for score in scores.values()]).numpy()
    taken = top(torch.cat([score.flatten() for score in utility.values()]).numpy(), count(TAKEN, len(flat)))
    minus = split(top(flat, count(DENSITY, len(flat)), taken == 0), scores)
    mean = dict(zip(names, gradient(rows, learn).split([model.get_parameter(name).numel() for name in names])))
    flat_weights = {name: model.get_parameter(name).detach().flatten() for name in names}
    by_kind = {
        "gradient": {name: g.abs().float() for name, g in mean.items()},
        "snip": {name: (flat_weights[name].double() * g).abs().float() for name, g in mean.items()},
        "magnitude": {name: weight.abs() for name, weight in flat_weights.items()},
        "random": {name: drawn(SEED, name, len(weight)) for name, weight in flat_weights.items()},
        "coarse": {name: weight.bfloat16().float().abs() for name, weight in flat_weights.items()},
    }
    sparse = []
    for kind, of in by_kind.items():
        together = torch.cat(list(of.values())).numpy()
        k = count(SPARSE, len(together))
        sparse.append((f"top.{kind}", split(top(together, k), of)))
        if kind == "coarse":
            last = together == -numpy.sort(-together)[k - 1]
            tied = numpy.concatenate(list(sparse[-1][1].values()))[last].tolist()
            assert tied == sorted(tied, reverse=True) and 0 < sum(tied) < len(tied), tied
            continue
        sparse.append((f"each.{kind}", {name: top(values.numpy(), count(SPARSE, len(values))) for name, values in of.items()}))
        if kind in ("gradient", "snip"):
            assert apart(together, k) and all(apart(values.numpy(), count(SPARSE, len(values))) for values in of.values()), kind
    out = {f"{kind}.{name}": value for kind in ("gradient", "snip") for name, value in by_kind[kind].items()}
    out |= {f"fisher.{name}": value.float() for name, value in fisher.items()}
    out["conflict.dot"] = torch.stack([row @ anchor for row in each]).float()
    out["conflict.cosine"] = torch.stack([row @ anchor / row.norm() / anchor.norm() for row in each]).float()
    out |= {f"wanda.{name}": value for name, value in scores.items()}
    out |= {f"utility.{name}": value for name, value in utility.items()}
    by_row = {name: numpy.concatenate([top(row, count(DENSITY, score.shape[1])) for row in score.numpy()]) for name, score in scores.items()}
    rows_ = {}
    for name, score in scores.items():
        rows_ |= chosen_groups(whole({name: score}, 0), {name: score}, DENSITY * score.numel())
    columns = chosen_groups(whole(scores, 1), scores, DENSITY * len(flat))
    for kind, masks in [("minus", minus), ("row", by_row), ("rows", rows_), ("columns", columns), *sparse]:
        out |= {f"{kind}.{name}": torch.from_numpy(numpy.ascontiguousarray(mask)) for name, mask in masks.items()}
    save_file({key: value.contiguous() for key, value in out.items()}, str(dest / "scores.safetensors"), metadata=dict(
        others=json.dumps(others), others_learn=json.dumps(others_learn), versions=f"torch {torch.__version__}"))


main(pathlib.Path(sys.argv[1]))
