"""Reference numbers of a small random Llama by PyTorch and transformers: logits, loss, every gradient, 20 AdamW steps.

Use:   pip install torch transformers safetensors; python3 tests/reference/generate.py tests/reference
Made with torch 2.15.0 and transformers 5.23.0, f32 on a CPU.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

BASE = dict(vocab_size=48, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
            head_dim=8, max_position_embeddings=64, rms_norm_eps=1e-5, hidden_act="silu", bos_token_id=1, eos_token_id=2,
            attention_bias=False, mlp_bias=False)
CASES = {
    "plain": dict(tie_word_embeddings=True, rope_theta=10000.0),
    "llama3": dict(tie_word_embeddings=False, rope_theta=500.0,
                   rope_scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                     original_max_position_embeddings=32)),
}
STEPS, RATE, DECAY, CLIP = 20, 1e-2, 0.1, 1.0


def main(dest):
    for name, extra in CASES.items():
        torch.manual_seed(11)
        config = LlamaConfig(**BASE, **extra, attn_implementation="eager")
        model = LlamaForCausalLM(config).float()
        with torch.no_grad():
            for key, weight in model.named_parameters():
                weight.copy_(1 + 0.2 * torch.randn(weight.shape) if weight.dim() == 1 else 0.3 * torch.randn(weight.shape))
        rows = [torch.randint(3, 48, (n,)).tolist() for n in (9, 5, 13)]
        learn = [[i >= len(row) // 3 and i % 4 != 3 for i in range(len(row))] for row in rows]
        learn[1][-1] = True

        def targets():
            """Logits of every supervised prediction, in order, and its token. One row at a time: no padding to go wrong."""
            logits, tokens = [], []
            for row, mask in zip(rows, learn):
                out = model(input_ids=torch.tensor([row])).logits[0]
                for i in range(1, len(row)):
                    if mask[i]:
                        logits.append(out[i - 1])
                        tokens.append(row[i])
            return torch.stack(logits), torch.tensor(tokens)

        out = {f"weight.{key}": weight.detach().clone() for key, weight in model.named_parameters()}
        logits, tokens = targets()
        loss = torch.nn.functional.cross_entropy(logits, tokens)
        loss.backward()
        out["logits"] = logits.detach().clone()
        out |= {f"gradient.{key}": weight.grad.clone() for key, weight in model.named_parameters()}
        groups = [dict(params=[w for w in model.parameters() if w.dim() > 1], weight_decay=DECAY),
                  dict(params=[w for w in model.parameters() if w.dim() == 1], weight_decay=0.0)]
        optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), eps=1e-8)
        losses, norms = [], []
        for _ in range(STEPS):
            optimizer.zero_grad()
            step_loss = torch.nn.functional.cross_entropy(*targets())
            step_loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
            losses.append(step_loss.item())
            optimizer.step()
        out |= {f"after.{key}": weight.detach().clone() for key, weight in model.named_parameters()}
        described = json.dumps(dict(architectures=["LlamaForCausalLM"], **BASE, **extra))
        save_file({key: value.contiguous() for key, value in out.items()}, str(dest / f"{name}.safetensors"), metadata=dict(
            config=described, rows=json.dumps(rows), learn=json.dumps(learn), loss=repr(loss.item()), losses=json.dumps(losses),
            norms=json.dumps(norms), versions=f"torch {torch.__version__}"))


main(pathlib.Path(sys.argv[1]))
