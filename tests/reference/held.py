"""Elastic weights, projected gradients, held first tokens and ratios of scores by PyTorch and numpy, on the small random Llama of generate.py.

Use:   pip install torch transformers safetensors numpy; python3 -P tests/reference/held.py tests/reference   (-P: not the statistics.py beside it)
Reads plain.safetensors and scores.safetensors, writes held.safetensors. Made with torch 2.15.0 and transformers 5.24.0, f32 on a CPU.

The aligned weights are plain's `weight.NAME`, the safety rows plain's; the others are those of scores.safetensors.
elastic.NAME   at plain's `after.NAME`: the gradient by autograd of the others' mean loss + λ/2 Σ F̂ (θ − θ_aligned)² over all weights, F̂ the
               mean over the safety rows of the squared gradient of a row's summed losses at the aligned weights ÷ its mean over all weights
masked.NAME    the penalty's gradient alone where every third weight of every projection is trained (flat index divisible by three), F̂ ÷ its
               mean over these; compact
projected.NAME at the aligned weights: g − ⟨g, r⟩ / ⟨r, r⟩ r in f64 over all tensors as one vector, r the gradient of the safety rows' mean
               loss, g `sign` times that of the others'; `sign` is such that ⟨g, r⟩ < 0
first.NAME     how far one step of AdamW moves each weight (rate `rate`, moments 0.9 and 0.999, no decay, clipped to 1; ε 1, so that the sizes
               of gradients count and not their signs alone), from a quarter of the way between the aligned weights and plain's `after.NAME`.
               Three rows of 13, 7 and 9 tokens are learnt, the sum of their losses ÷ their tokens to be learnt: the second freely, as what
               is replayed; in the others a token's loss is −(2/β) log σ(β (log π − log π_aligned)), by autograd, with β by its place in
               its reply: `betas`, then `rest` (Qi et al., 2406.05946, section 4). `loss` is the plain mean loss, `norm` the gradient's
               before it is clipped. Every tensor moves otherwise, by more than a hundredth, where each token has the constraint of the one
               before, where the rows' are exchanged, where the second row is held too, and where none is: the script fails if not
over.NAME      bytes of 0 and 1: the top 30 % of wanda ÷ (utility + 0.1 · mean utility) of all projections together
"""
import json
import pathlib
import sys

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

STRENGTH, DENSITY, EPSILON = 0.7, 0.3, 0.1
BETAS, REST, RATE = [0.3, 0.8], 0.1, 0.5


def each_loss(model, row, learn):
    """The loss of each token to be learnt."""
    logits = model(input_ids=torch.tensor([row])).logits[0]
    places = [i for i in range(1, len(row)) if learn[i]]
    return torch.nn.functional.cross_entropy(logits[[i - 1 for i in places]], torch.tensor([row[i] for i in places]), reduction="none")


def losses(model, row, learn):
    """The sum of the losses of the tokens to be learnt."""
    return each_loss(model, row, learn).sum()


def betas(learn):
    """How hard each token to be learnt is held: by how many tokens of its reply are before it."""
    text = "".join("x" if taught else " " for taught in learn[1:])
    return torch.tensor([(BETAS + [REST] * len(reply))[i] for reply in text.split() for i in range(len(reply))])


def main(dest):
    with safe_open(dest / "plain.safetensors", "pt") as file, safe_open(dest / "scores.safetensors", "pt") as scores:
        meta, other = file.metadata(), scores.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        wanda = {key.removeprefix("wanda."): scores.get_tensor(key) for key in scores.keys() if key.startswith("wanda.")}
        utility = {key: scores.get_tensor(f"utility.{key}") for key in wanda}
    config = LlamaConfig(**{key: value for key, value in json.loads(meta["config"]).items() if key != "architectures"},
                         attn_implementation="eager")
    model = LlamaForCausalLM(config).float()
    parameters = dict(model.named_parameters())

    def put(kind):
        with torch.no_grad():
            for name, weight in parameters.items():
                weight.copy_(tensors[f"{kind}.{name}"])

    def gradient():
        return {name: weight.grad.detach().clone() for name, weight in parameters.items()}

    def mean_loss(rows, learn):
        tokens = sum(sum(mask[1:]) for mask in learn)
        return sum(losses(model, row, mask) for row, mask in zip(rows, learn)) / tokens

    rows, learn = json.loads(meta["rows"]), json.loads(meta["learn"])
    others, others_learn = json.loads(other["others"]), json.loads(other["others_learn"])
    put("weight")
    aligned = {name: weight.detach().clone() for name, weight in parameters.items()}
    fisher = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in parameters.items()}
    for row, mask in zip(rows, learn):
        model.zero_grad()
        losses(model, row, mask).backward()
        for name, grad in gradient().items():
            fisher[name] += grad.double().square() / len(rows)
    model.zero_grad()
    mean_loss(rows, learn).backward()
    r = gradient()
    model.zero_grad()
    mean_loss(others, others_learn).backward()
    g = gradient()
    dot = sum((g[name].double() * r[name].double()).sum() for name in r).item()
    square = sum(value.double().square().sum() for value in r.values()).item()
    sign = -1.0 if dot > 0 else 1.0
    out = {f"projected.{name}": (sign * g[name].double() - sign * dot / square * r[name].double()).float() for name in r}

    put("after")
    mean = sum(value.sum() for value in fisher.values()) / sum(value.numel() for value in fisher.values())
    model.zero_grad()
    penalty = sum((fisher[name] / mean * (weight.double() - aligned[name].double()).square()).sum() for name, weight in parameters.items())
    (mean_loss(others, others_learn) + STRENGTH / 2 * penalty).backward()
    out |= {f"elastic.{name}": value for name, value in gradient().items()}
    third = {name: torch.arange(parameters[name].numel()) % 3 == 0 for name in wanda}
    held = {name: fisher[name].flatten()[mask] for name, mask in third.items()}
    mean = torch.cat(list(held.values())).mean()
    for name, mask in third.items():
        moved = (parameters[name].detach().double() - aligned[name].double()).flatten()[mask]
        out[f"masked.{name}"] = (STRENGTH * held[name] / mean * moved).float()

    learnt = [(rows[2], learn[2]), (others[0], others_learn[0]), (rows[0], learn[0])]
    tokens = sum(sum(mask[1:]) for _, mask in learnt)
    put("weight")
    with torch.no_grad():
        constraints = [(each_loss(model, row, mask), betas(mask)) for row, mask in learnt]

    def step(constraints):
        """The plain mean loss, the gradient's norm, and how far each weight moves. Tokens without a constraint are learnt freely."""
        with torch.no_grad():
            for name, weight in parameters.items():
                weight.copy_(aligned[name] + 0.25 * (tensors[f"after.{name}"] - aligned[name]))
        start = {name: weight.detach().clone() for name, weight in parameters.items()}
        model.zero_grad()
        plain, total = 0.0, 0.0
        for (row, mask), (before, beta) in zip(learnt, constraints):
            loss = each_loss(model, row, mask)
            plain += loss.detach().double().sum().item()
            n = min(len(loss), len(beta))
            objective = -2 / beta[:n] * torch.nn.functional.logsigmoid(beta[:n] * (before[:n] - loss[:n]))
            total = total + objective.sum() + loss[n:].sum()
        (total / tokens).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.999), eps=1.0, weight_decay=0.0).step()
        moved = {name: (weight.detach().double() - start[name].double()).float() for name, weight in parameters.items()}
        return plain / tokens, norm, moved

    none = (torch.zeros(0), torch.zeros(0))
    last, _, first = constraints
    loss, norm, moved = step([last, none, first])
    out |= {f"first.{name}": value for name, value in moved.items()}
    one_on = [tuple(values.roll(1) for values in constraint) for constraint in (last, first)]
    for wrong in ([one_on[0], none, one_on[1]], [first, none, last], constraints, [none] * 3):
        far = [((other - moved[name]).norm() / moved[name].norm()).item() for name, other in step(wrong)[2].items()]
        assert min(far) > 0.01, far

    flat = {key: numpy.concatenate([value.double().flatten().numpy() for value in of.values()]) for key, of in (("s", wanda), ("u", utility))}
    ratio = flat["s"] / (flat["u"] + EPSILON * flat["u"].mean())
    chosen = numpy.zeros(len(ratio), numpy.uint8)
    chosen[numpy.argsort(-ratio, kind="stable")[:int(numpy.floor(DENSITY * len(ratio) + 0.5))]] = 1
    at = 0
    for name, value in wanda.items():
        out[f"over.{name}"] = torch.from_numpy(chosen[at:at + value.numel()].copy())
        at += value.numel()
    save_file({key: value.contiguous() for key, value in out.items()}, str(dest / "held.safetensors"), metadata=dict(
        strength=str(STRENGTH), sign=str(sign), epsilon=str(EPSILON), betas=json.dumps(BETAS), rest=str(REST), rate=str(RATE),
        loss=repr(loss), norm=repr(norm), versions=f"torch {torch.__version__}"))


main(pathlib.Path(sys.argv[1]))
