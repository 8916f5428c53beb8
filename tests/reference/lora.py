"""LoRA by PyTorch, with unmerged adapters, on the model of plain.safetensors: losses, norms, factors and logits after the steps.

Use:   pip install torch transformers safetensors; python3 -P tests/reference/lora.py tests/reference   (-P: not the statistics.py beside it)
Made with torch 2.15.0 and transformers 5.24.0, f32 on a CPU. The adapter is written out (y = W0 x + α/r · B (A x), as PEFT computes it
without dropout), so that PEFT itself is not needed.
"""
import json
import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

RANK, ALPHA, TARGETS = 3, 7.0, ("q_proj", "v_proj", "down_proj")
STEPS, RATE, DECAY, CLIP = 12, 1e-2, 0.1, 1.0


class Adapted(torch.nn.Module):
    """A frozen linear map with an adapter beside it."""

    def __init__(self, frozen):
        super().__init__()
        self.frozen = frozen
        frozen.weight.requires_grad_(False)
        rows, columns = frozen.weight.shape
        self.a = torch.nn.Parameter(torch.empty(RANK, columns).uniform_(-(columns**-0.5), columns**-0.5))
        self.b = torch.nn.Parameter(torch.zeros(rows, RANK))

    def forward(self, x):
        return self.frozen(x) + ALPHA / RANK * torch.nn.functional.linear(torch.nn.functional.linear(x, self.a), self.b)


def main(dest):
    file = safe_open(dest / "plain.safetensors", "pt")
    meta = file.metadata()
    config = LlamaConfig(**{key: value for key, value in json.loads(meta["config"]).items() if key != "architectures"},
                         attn_implementation="eager")
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            weight.copy_(file.get_tensor(f"weight.{key}"))
            weight.requires_grad_(False)
    torch.manual_seed(5)
    adapters = {}
    for name, module in list(model.named_modules()):
        if name.rsplit(".", 1)[-1] in TARGETS:
            adapters[f"{name}.weight"] = Adapted(module)
            parent, leaf = name.rsplit(".", 1)
            setattr(model.get_submodule(parent), leaf, adapters[f"{name}.weight"])
    rows, learn = json.loads(meta["rows"]), json.loads(meta["learn"])

    def targets():
        logits, tokens = [], []
        for row, mask in zip(rows, learn):
            out = model(input_ids=torch.tensor([row])).logits[0]
            for i in range(1, len(row)):
                if mask[i]:
                    logits.append(out[i - 1])
                    tokens.append(row[i])
        return torch.stack(logits), torch.tensor(tokens)

    out = {f"first_a.{name}": adapter.a.detach().clone() for name, adapter in adapters.items()}
    factors = [factor for adapter in adapters.values() for factor in (adapter.a, adapter.b)]
    optimizer = torch.optim.AdamW(factors, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY)
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(*targets())
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(factors, CLIP).item())
        losses.append(loss.item())
        optimizer.step()
    for name, adapter in adapters.items():
        out |= {f"a.{name}": adapter.a.detach().clone(), f"b.{name}": adapter.b.detach().clone()}
    out["logits"] = targets()[0].detach().clone()
    save_file({key: value.contiguous() for key, value in out.items()}, str(dest / "lora.safetensors"), metadata=dict(
        rank=str(RANK), alpha=str(ALPHA), losses=json.dumps(losses), norms=json.dumps(norms), versions=f"torch {torch.__version__}"))


main(pathlib.Path(sys.argv[1]))
