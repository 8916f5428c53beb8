"""The peer of benches/engine.rs: the same work in PyTorch and transformers.

    python benches/peer.py train    [--dtype bf16|f32] [--lora] [--rows 4] [--tokens 256] [--steps 5]
    python benches/peer.py generate [--dtype bf16|f32] [--rows 16] [--tokens 32] [--new 64]
    python benches/peer.py tokens   --model FOLDER --data gsm8k.jsonl --file rows.json [--count 200]
    python benches/peer.py real     --model FOLDER --file rows.json [--dtype bf16|f32] [--rows 8] [--steps 10]

`tokens` writes rows of token ids with what is learnt of each; `real` trains on them as TRL's SFTTrainer does: a batch is padded to its
longest row, logits are made at every position, prompt positions are left out of the loss. bf16 is autocast over f32 weights in training,
and weights in bf16 in generation. Prints one line of JSON, as engine.rs does.
"""

import argparse
import json
import resource
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

SHAPE = dict(
    hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, vocab_size=49152,
    tie_word_embeddings=True, max_position_embeddings=8192, rope_theta=100000.0, rms_norm_eps=1e-5,
)

parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["train", "generate", "tokens", "real"])
parser.add_argument("--dtype", default="bf16")
parser.add_argument("--lora", action="store_true")
parser.add_argument("--rows", type=int)
parser.add_argument("--tokens", type=int)
parser.add_argument("--new", type=int, default=64)
parser.add_argument("--steps", type=int)
parser.add_argument("--count", type=int, default=200)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--model")
parser.add_argument("--data")
parser.add_argument("--file")
options = parser.parse_args()
torch.set_num_threads(options.threads)
torch.manual_seed(0)


def told(seconds, counted, values, **more):
    seconds = sorted(seconds)
    median = seconds[len(seconds) // 2]
    line = dict(
        what=options.what, numerics=f"torch {torch.__version__} {options.dtype}{' lora' if options.lora else ''}", seconds=seconds,
        median_s=median, tokens_per_s=counted / median, peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, values=values, **more,
    )
    print(json.dumps(line), flush=True)


def step(model, optimizer, ids, labels, mask=None):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.dtype == "bf16"):
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def optimizer_of(model):
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, weight_decay=0.0, fused=True)


def train():
    rows, tokens = options.rows or 4, options.tokens or 256
    model = LlamaForCausalLM(LlamaConfig(**SHAPE)).float().train()
    model.config.use_cache = False
    if options.lora:
        from peft import LoraConfig, get_peft_model

        names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=names))
    optimizer = optimizer_of(model)
    ids = torch.randint(0, SHAPE["vocab_size"], (rows, tokens))
    seconds, values = [], []
    for _ in range((options.steps or 5) + 1):
        start = time.perf_counter()
        values.append(step(model, optimizer, ids, ids.clone()))
        seconds.append(time.perf_counter() - start)
    told(seconds[1:], rows * tokens, values, rows=rows, tokens=tokens)


def generate():
    rows, tokens = options.rows or 16, options.tokens or 32
    model = LlamaForCausalLM(LlamaConfig(**SHAPE)).to(torch.bfloat16 if options.dtype == "bf16" else torch.float32).eval()
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = None, 0
    ids = torch.randint(0, SHAPE["vocab_size"], (rows, tokens))
    seconds = []
    for _ in range((options.steps or 3) + 1):
        start = time.perf_counter()
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=options.new, min_new_tokens=options.new, do_sample=False)
        seconds.append(time.perf_counter() - start)
    told(seconds[1:], rows * options.new, [], rows=rows, tokens=tokens)


def tokens():
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    made = []
    for line in list(open(options.data))[: options.count]:
        row = json.loads(line)
        prompt = [{"role": "user", "content": row["question"]}]
        begin = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        reply = row["answer"] + tokenizer.eos_token
        first = tokenizer(begin, add_special_tokens=False)["input_ids"]
        whole = tokenizer(begin + reply, add_special_tokens=False)["input_ids"]
        made.append(dict(tokens=whole, supervised=[False] * len(first) + [True] * (len(whole) - len(first))))
    json.dump(made, open(options.file, "w"))


def real():
    rows = json.load(open(options.file))
    batch, steps = options.rows or 8, options.steps or 10
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).train()
    model.config.use_cache = False
    optimizer = optimizer_of(model)
    seconds, values, counted = [], [], 0
    for number in range(steps):
        chosen = rows[number * batch : (number + 1) * batch]
        longest = max(len(row["tokens"]) for row in chosen)
        pad = lambda values, fill: values + [fill] * (longest - len(values))  # noqa: E731
        ids = torch.tensor([pad(row["tokens"], 2) for row in chosen])
        labels = torch.tensor([pad([t if s else -100 for t, s in zip(row["tokens"], row["supervised"])], -100) for row in chosen])
        mask = torch.tensor([pad([1] * len(row["tokens"]), 0) for row in chosen])
        start = time.perf_counter()
        values.append(step(model, optimizer, ids, labels, mask))
        seconds.append(time.perf_counter() - start)
        counted += sum(len(row["tokens"]) for row in chosen)
    # The first step warms up.
    told(seconds[1:], counted / steps, values, total_s=sum(seconds[1:]), rows=batch)


{"train": train, "generate": generate, "tokens": tokens, "real": real}[options.what]()
