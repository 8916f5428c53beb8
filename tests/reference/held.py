"""Elastic weights, projected gradients and ratios of scores by PyTorch and numpy, on the small random Llama of generate.py.

Use:   pip install torch transformers safetensors numpy; python3 -P tests/reference/held.py tests/reference   (-P: not the statistics.py beside it)
Reads plain.safetensors and scores.safetensors, writes held.safetensors. Made with torch 2.15.0 and transformers 5.24.0, f32 on a CPU.

The aligned weights are plain's `weight.NAME`, the safety rows plain's; the others are those of scores.safetensors.
elastic.NAME   at plain's `after.NAME`: the gradient by autograd of the others' mean loss + λ/2 Σ F̂ (θ − θ_aligned)² over all weights, F̂ the
               mean over the safety rows of the squared gradient of a row's summed losses at the aligned weights ÷ its mean over all weights
masked.NAME    the penalty's gradient alone where every third weight of every projection is trained (flat index divisible by three), F̂ ÷ its
               mean over these; compact
projected.NAME at the aligned weights: g − ⟨g, r⟩ / ⟨r, r⟩ r in f64 over all tensors as one vector, r the gradient of the safety rows' mean
               loss, g `sign` times that of the others'; `sign` is such that ⟨g, r⟩ < 0
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


def losses(model, row, learn):
    """The sum of the losses of the tokens to be learnt."""
    logits = model(input_ids=torch.tensor([row])).logits[0]
    places = [i for i in range(1, len(row)) if learn[i]]
    return torch.nn.functional.cross_entropy(logits[[i - 1 for i in places]], torch.tensor([row[i] for i in places]), reduction="sum")


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

    flat = {key: numpy.concatenate([value.double().flatten().numpy() for value in of.values()]) for key, of in (("s", wanda), ("u", utility))}
    ratio = flat["s"] / (flat["u"] + EPSILON * flat["u"].mean())
    chosen = numpy.zeros(len(ratio), numpy.uint8)
    chosen[numpy.argsort(-ratio, kind="stable")[:int(numpy.floor(DENSITY * len(ratio) + 0.5))]] = 1
    at = 0
    for name, value in wanda.items():
        out[f"over.{name}"] = torch.from_numpy(chosen[at:at + value.numel()].copy())
        at += value.numel()
    save_file({key: value.contiguous() for key, value in out.items()}, str(dest / "held.safetensors"), metadata=dict(
        strength=str(STRENGTH), sign=str(sign), epsilon=str(EPSILON), versions=f"torch {torch.__version__}"))


main(pathlib.Path(sys.argv[1]))
