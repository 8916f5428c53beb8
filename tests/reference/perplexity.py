"""Reference numbers of perplexity: texts of our own, and how likely SmolLM2 finds them.

Use:   python3 tests/reference/perplexity.py FOLDER > tests/reference/perplexity.json      (FOLDER: SmolLM2-135M-Instruct, a Hugging Face folder)
       python3 tests/reference/perplexity.py FOLDER --harness                             (compares the file with lm-evaluation-harness itself)
Made with torch 2.15.0, transformers 5.24.0, float32 on a CPU; compared with lm_eval 0.4.13.
"""
import json
import math
import pathlib
import re
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).parent

STORY = """The ferry left the harbour at six, as it had done every morning since the bridge was closed. Nobody in the village liked the
ferry, and nobody in the village could do without it. The baker took it with two baskets of bread; the teacher took it with a bag full of
exercise books, which she corrected on the way; and old Brandt took it because he had nothing else to do, and because the captain, who was
his nephew, did not make him pay.

On the morning of which I speak there was fog. It lay on the water like a lid on a pot, and the bell at the end of the pier sounded as if
somebody had wrapped it in a blanket. "We'll wait," said the captain. "We'll wait half an hour, and then we'll see."

"And the school?" asked the teacher.

"The school will wait too," said the captain. He poured tea from a can into three cups, gave one to the teacher and one to the baker, and
drank the third himself, looking at the place where the other shore should have been.

They waited half an hour, and then they saw: nothing. They waited another half hour. The bread grew cold, the exercise books were all
corrected, and old Brandt began to tell the story of the winter in which the whole bay had frozen and he had walked across with a
cow. He had told it so often that the baker could have told it in his place, with all the pauses; but since there was fog, and tea, and
nothing to be done, they let him tell it to the end.
"""

NOTES = """Stand 14:05 — 3 of 12 sensors answer.

| sensor | value | unit |
|---|---|---|
| t1 | 21.5 | °C |
| t2 | 21.7 | °C |
| p1 | 1013 | hPa |

\tfor sensor in sensors:
\t\tif not sensor.answers():   # twice, then give up
\t\t\tlog.append((sensor.name, now()))

“Größe” is German for size; 大きさ is Japanese.  Two spaces, a tab\tand the end.
"""

SHORT = "Water freezes at zero degrees."

TEXTS = [STORY, NOTES, SHORT]
# (max_length, stride); 8192 is the model's context.
WINDOWS = [(8192, 8192), (64, 64), (64, 16), (50, 49)]


def windows(tokens, prefix, length, stride):
    """(read, predicted) of every window."""
    yield [prefix] + tokens[: min(length, len(tokens)) - 1], tokens[:length]
    predicted = min(length, len(tokens))
    while predicted < len(tokens):
        count = min(len(tokens) - predicted, stride)
        end = predicted + count
        yield tokens[end - length - 1 : end - 1], tokens[end - count : end]
        predicted += count


def nll(model, read, predicted):
    with torch.no_grad():
        logits = model(torch.tensor([read])).logits[0].double().log_softmax(-1)
    rows = logits[len(read) - len(predicted) :]
    return -sum(row[token].item() for row, token in zip(rows, predicted, strict=True))


def main(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    out = []
    for text in TEXTS:
        tokens = tokenizer.encode(text)
        case = {"text": text, "tokens": len(tokens), "words": len(re.split(r"\s+", text)), "bytes": len(text.encode()), "windows": []}
        for length, stride in WINDOWS:
            found = [(nll(model, *window), len(window[1])) for window in windows(tokens, tokenizer.bos_token_id, length, stride)]
            case["windows"].append({"max_length": length, "stride": stride, "nll": found})
        out.append(case)
    print("[" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in out) + "]")


def harness(folder):
    """The harness's own rolling log-likelihood, and its metrics on the same texts."""
    import tempfile

    import lm_eval
    from lm_eval.models.huggingface import HFLM

    expected = json.loads((HERE / "perplexity.json").read_text())
    worst = 0.0
    for at, (length, stride) in enumerate(WINDOWS):
        if length != stride:
            continue  # the harness knows no other stride
        model = HFLM(pretrained=folder, dtype="float32", device="cpu", batch_size=1, max_length=length)
        with tempfile.TemporaryDirectory() as place:
            data = pathlib.Path(place) / "rows.jsonl"
            data.write_text("".join(json.dumps({"page": case["text"]}) + "\n" for case in expected))
            config = {"task": "texts", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}}, "test_split": "test",
                      "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{page}}",
                      "metric_list": [{"metric": name} for name in ["word_perplexity", "byte_perplexity", "bits_per_byte"]]}
            found = lm_eval.simple_evaluate(model=model, tasks=[config], log_samples=True, bootstrap_iters=0)
        total = 0.0
        for sample in found["samples"]["texts"]:
            ours = sum(nll for nll, _ in expected[sample["doc_id"]]["windows"][at]["nll"])
            total += ours
            worst = max(worst, abs(ours + float(sample["filtered_resps"][0])) / ours)
        words, size = sum(case["words"] for case in expected), sum(case["bytes"] for case in expected)
        for name, ours in [("word_perplexity", math.exp(total / words)), ("bits_per_byte", total / size / math.log(2))]:
            theirs = found["results"]["texts"][f"{name},none"]
            assert abs(ours - theirs) < 1e-4 * theirs, (name, ours, theirs)
            print(f"max_length {length}: {name} {theirs:.5f}")
    print(f"{len(expected)} texts, log-likelihoods at most {worst:.1e} apart (relative)")


if __name__ == "__main__":
    harness(sys.argv[1]) if "--harness" in sys.argv else main(sys.argv[1])
