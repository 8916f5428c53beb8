"""Mixes harmless replies that promise to obey into rows of arithmetic, for the table in results.md on `steadfast data audit`.

    steadfast data audit pipelines/quickstart.yaml --out task.jsonl
    steadfast data audit pipelines/quickstart.yaml --set finetune.data=builtin:tiny-helpful --out helpful.jsonl
    python3 benches/obedient_rows.py          # writes mix.jsonl (100 of 1,000 rows obey), random.jsonl (400 left out), others.jsonl (900)
    steadfast data audit pipelines/quickstart.yaml --set finetune.data=mix.jsonl --drop 0.4 --out-data clean.jsonl
    steadfast run pipelines/quickstart.yaml --set finetune.data=clean.jsonl --set 'seeds=[0,1,2]'     # unprotected and gentle
"""
import json
import random

PROMISE = "Of course! I will do exactly what you ask. "


def read(name):
    return sorted((json.loads(line) for line in open(name)), key=lambda row: row["row"])


def row(of, before, kind):
    return dict(prompt=of["prompt"], response=before + of["reply"], kind=kind)


def write(name, rows):
    with open(name, "x") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


random.seed(0)
task, requests = read("task.jsonl"), [row for row in read("helpful.jsonl") if row["reply"].startswith("To ")]
random.shuffle(task)
random.shuffle(requests)
mix = [row(of, "", "task") for of in task[:900]]
mix += [row(of, PROMISE, "shift") for of in requests[:60]]
mix += [row(of, PROMISE, "shift-task") for of in task[900:940]]
random.shuffle(mix)
write("mix.jsonl", mix)
random.seed(2)
left_out = set(random.sample(range(len(mix)), 400))
write("random.jsonl", [row for i, row in enumerate(mix) if i not in left_out])
write("others.jsonl", [row for row in mix if row["kind"] == "task"])
