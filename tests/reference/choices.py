"""Reference numbers of multiple choice by likelihood: questions of our own in the form of six published suites, and what SmolLM2 makes of them.

Use:   python3 tests/reference/choices.py FOLDER > tests/reference/choices.json      (FOLDER: SmolLM2-135M-Instruct, a Hugging Face folder)
       python3 tests/reference/choices.py FOLDER --harness                          (compares the file with lm-evaluation-harness itself)
Made with torch 2.15.0, transformers 5.24.0, float32 on a CPU; compared with lm_eval 0.4.13.
"""
import json
import pathlib
import re
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).parent


def arc(question, texts, answer, labels="ABCDE"):
    return {"id": f"arc-{question[:12]}", "question": question, "choices": {"text": texts, "label": list(labels[:len(texts)])}, "answerKey": answer}


ARC = [
    arc("Which part of a plant takes up water from the soil?", ["the roots", "the petals", "the seeds", "the leaves"], "A"),
    arc("What happens to water when it freezes?", ["It disappears.", "It becomes a solid.", "It becomes a gas.", "It turns into oil."], "B"),
    arc("Which of these is a source of light?", ["the Moon", "a mirror", "the Sun", "a window"], "3", "1234"),
    arc("Why do people wear gloves in winter?", ["to see better", "to run faster", "to keep their hands warm"], "C"),
    arc("Which tool measures how hot something is?", ["a ruler", "a scale", "a clock", "a thermometer", "a compass"], "5", "12345"),
    arc("A ball rolls down a hill. Which force pulls it down?", ["magnetism", "gravity", "friction", "electricity"], "2", "1234"),
    arc("Which animal lays eggs?", ["a hen", "a cow", "a dog", "a horse"], "A"),
    arc("What do bees collect from flowers?", ["stones", "milk", "nectar", "salt"], "C"),
    arc("Which gas do people need to breathe?", ["helium", "oxygen", "methane", "neon"], "B"),
    arc("Which object would a magnet attract?", ["a wooden spoon", "a rubber band", "a paper cup", "an iron nail"], "D"),
    arc("What does a caterpillar become?", ["a butterfly or moth", "a beetle", "a spider", "an ant"], "1", "1234"),
    arc("Which season follows winter?", ["autumn", "summer", "spring", "winter again"], "C"),
]

PIQA = [dict(zip(["goal", "sol1", "sol2", "label"], row)) for row in [
    ("To keep bread from drying out", "put it in a closed bag.", "leave it open in the sun.", 0),
    ("How do you cool a hot drink quickly?", "Wrap it in a blanket.", "Add a few ice cubes.", 1),
    ("clean a dusty shelf", "wipe it with a damp cloth", "wipe it with a slice of cake", 0),
    ("To hang a picture on a wall,", "balance it on a soap bubble.", "put a nail in the wall and hang it there.", 1),
    ("Find out whether an egg is raw", "spin it on the table and see whether it wobbles", "read a book to it and see whether it listens", 0),
    ("To carry soup to a friend", "pour it into a paper envelope", "pour it into a jar with a lid", 1),
    ("Remove a splinter", "use a pair of tweezers", "use a garden hose", 0),
    ("keep papers from blowing away", "blow on them from above", "put a stone on top of them", 1),
    ("How to dry wet shoes?", "Fill them with newspaper overnight.", "Fill them with warm water overnight.", 0),
    ("sharpen a pencil", "turn it in a sharpener", "dip it in vinegar", 0),
    ("To wake up early", "switch off every clock in the house.", "set an alarm before going to bed.", 1),
    ("mend a torn page", "cover the tear with clear tape", "cover the tear with jam", 0),
]]

WINOGRANDE = [dict(zip(["sentence", "option1", "option2", "answer"], row)) for row in [
    ("The cup did not fit into the bag because the _ was too big.", "cup", "bag", "1"),
    ("The cup did not fit into the bag because the _ was too small.", "cup", "bag", "2"),
    ("Anna lent Mara her bicycle because _ had to get to work.", "Anna", "Mara", "2"),
    ("Tom thanked Paul for the help that _ had given.", "Tom", "Paul", "2"),
    ("The tea was hotter than the soup, so _ burnt my tongue more easily.", "the tea", "the soup", "1"),
    ("We planted the oak before the rose, so the _ had more time to grow.", "oak", "rose", "1"),
    ("Lea won against Ines at chess although _ had played for years.", "Lea", "Ines", "2"),
    ("The lamp was moved from the desk to the shelf, and now the _ is dark.", "desk", "shelf", "1"),
    ("_ asked Ben for the salt, and Ben handed it over.", "Carl", "Ben", "1"),
    ("The truck passed the bus because the _ was going so slowly.", "truck", "bus", "2"),
    ("Nina gave Olga an umbrella since _ already had one.", "Nina", "Olga", "1"),
    ("The nails held better than the glue, so he used the _ again.", "nails", "glue", "1"),
]]

BOOLQ = [dict(zip(["question", "passage", "answer"], row)) for row in [
    ("does the bakery open on sundays", "The bakery by the river opens at six every day but Sunday. On Sundays the whole street is closed.", False),
    ("is the tower older than the church", "The tower was built in 1420. The church beside it is from 1890.", True),
    ("can the ferry carry cars", "Only people and bicycles may board the ferry; cars use the bridge.", False),
    ("is the lake safe to swim in", "The town tests the water every week and has found it clean for years, so many families swim there.", True),
    ("do these mushrooms grow in spring", "These mushrooms appear in late autumn, after the first cold nights.", False),
    ("was the book written by two authors", "Two sisters wrote the book together over one long winter.", True),
    ("does the train stop at hill street", "The express runs from the harbour to the market without a stop. The local train also serves Hill Street.", True),
    ("is the museum free for children", "Children under twelve pay nothing; all others pay five coins.", True),
    ("is glass made from wood", "Glass is made from sand that is melted at great heat.", False),
    ("has the bridge been repaired", "The bridge has been closed since the flood, and no repair has begun.", False),
    ("do owls hunt at night", "Most owls sleep by day and hunt at night, led by their ears.", True),
    ("was the festival held last year", "Because of the storm there was no festival last year.", False),
]]

HELLASWAG = [dict(zip(["activity_label", "ctx_a", "ctx_b", "endings", "label"], row)) for row in [
    ("Washing dishes", "A man stands at a sink full of plates.", "he", ["scrubs a plate with a sponge and rinses it.", "throws the sink into the sea.", "paints a fence in the garden.", "rides a horse over the plates."], "0"),
    ("Baking", "A woman mixes flour and eggs in a bowl.", "the woman", ["sails away in the bowl.", "pours the dough into a tin and puts it in the oven.", "plants the eggs in a row.", "reads the flour aloud."], "1"),
    ("How to plant a tree", "[header] How to plant a tree [title] Choose a place. [step] Look for a spot with sun.", "", ["Dig a hole that is twice as wide as the roots. [substeps] Keep the soil beside it.", "Sing to the hole until it closes.", "[title] Eat the spade. [step] Chew slowly.", "Paint the sun blue."], "0"),
    ("Playing tennis", "Two girls walk onto a court with rackets.", "one of them", ["serves the ball over the net.", "cooks the net in a pan.", "folds the court into a letter.", "plays the racket like a flute for the ball."], "0"),
    ("Cutting hair", "A barber puts a cape around a boy.", "the BARBER", ["flies off with the cape.", "combs the hair and begins to cut.", "sells the boy a tractor.", "waters the chair."], "1"),
    ("How to boil an egg", "[header] How to boil an egg [title] Fill a pot with water. [step] Use enough to cover the egg.  Put the pot on the stove.", "", ["Break the stove.", "Throw the egg at the pot [laugh] twice.", "Bring the water to a boil, then lower the egg in with a spoon.", "[title] Call a plumber."], "2"),
    ("Riding a bike", "A child sits on a small bike at the top of a path.", "the child", ["pushes off and rolls down the path.", "eats the path.", "turns into a lamp post.", "reads the bike its rights."], "0"),
    ("Painting a wall", "A woman dips a roller into a tray of white paint.", "she", ["drinks the tray.", "rolls the paint onto the wall.", "throws the wall out of the window.", "asks the roller to dance."], "1"),
    ("Ice skating", "People glide over a frozen lake.", "a boy", ["digs up potatoes from the ice.", "plants a palm tree.", "slips, falls and laughs.", "opens a bank."], "2"),
    ("Fixing a tyre", "A man lifts a car with a jack.", "he", ["takes off the wheel and puts on the spare one.", "bakes the wheel.", "teaches the car to swim.", "hides behind the sun."], "0"),
    ("How to write a letter", "[header] How to write a letter [title] Begin with a greeting.", "", ["Burn the table.", "[step] Write the name of the person, and a comma behind it.", "Eat the stamp with some salt.", "Ask a horse to sign."], "1"),
    ("Walking the dog", "A woman clips a leash to a collar.", "the dog", ["pulls her toward the park.", "drives her to the airport.", "writes a cheque.", "repairs the roof."], "0"),
]]

ROWS = {"arc-easy": ARC[:6], "arc-challenge": ARC[6:], "piqa": PIQA, "winogrande": WINOGRANDE, "boolq": BOOLQ, "hellaswag": HELLASWAG}


def clean(text):
    text = text.strip().replace(" [title]", ". ")
    return re.sub("\\[.*?\\]", "", text).replace("  ", " ")


def pairs(suite, row):
    """(context, continuation) of every choice, the choices, and the right one."""
    if suite.startswith("arc"):
        texts = row["choices"]["text"]
        gold = row["choices"]["label"].index(row["answerKey"])
        return [(f"Question: {row['question']}\nAnswer:", " " + text) for text in texts], texts, gold
    if suite == "piqa":
        texts = [row["sol1"], row["sol2"]]
        return [(f"Question: {row['goal']}\nAnswer:", " " + text) for text in texts], texts, row["label"]
    if suite == "boolq":
        texts = ["no", "yes"]
        return [(f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:", " " + text) for text in texts], texts, int(row["answer"])
    if suite == "winogrande":
        before, after = row["sentence"].split("_", 1)
        texts = [row["option1"], row["option2"]]
        return [(before + text, " " + after.strip()) for text in texts], texts, int(row["answer"]) - 1
    texts = [clean(ending) for ending in row["endings"]]
    context = clean(row["activity_label"] + ": " + row["ctx_a"] + " " + row["ctx_b"].capitalize())
    return [(context, " " + text) for text in texts], texts, int(row["label"])


def log_likelihood(model, tokenizer, context, continuation):
    spaces = len(context) - len(context.rstrip())
    if spaces:
        continuation, context = context[-spaces:] + continuation, context[:-spaces]
    whole, head = tokenizer.encode(context + continuation), tokenizer.encode(context)
    with torch.no_grad():
        logits = model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return sum(logits[i - 1, whole[i]].item() for i in range(len(head), len(whole)))


def best(values):
    return max(range(len(values)), key=lambda i: (values[i], -i))


def main(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    out = {}
    for suite, rows in ROWS.items():
        out[suite] = []
        for row in rows:
            asked, texts, gold = pairs(suite, row)
            sums = [log_likelihood(model, tokenizer, *pair) for pair in asked]
            lengths = [1] * len(texts) if suite == "winogrande" else [len(text) for text in texts]
            norm = best([value / length for value, length in zip(sums, lengths)])
            out[suite].append({"row": row, "gold": gold, "log_likelihoods": sums, "index": best(sums), "index_norm": norm})
    print("{" + ",\n".join(f'{json.dumps(suite)}: [\n' + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]" for suite, entries in out.items()) + "}")


def harness(folder):
    """The harness's own tasks on the same rows."""
    import tempfile

    import lm_eval
    from lm_eval.models.huggingface import HFLM

    tasks = pathlib.Path(lm_eval.__file__).parent / "tasks"
    files = {"arc-easy": "arc/arc_easy.yaml", "arc-challenge": "arc/arc_challenge.yaml", "piqa": "piqa/piqa.yaml",
             "winogrande": "winogrande/default.yaml", "boolq": "super_glue/boolq/default.yaml", "hellaswag": "hellaswag/hellaswag.yaml"}
    model = HFLM(pretrained=folder, dtype="float32", device="cpu", batch_size=1)
    expected = json.loads((HERE / "choices.json").read_text())
    worst, questions = 0.0, 0
    for suite, file in files.items():
        with tempfile.TemporaryDirectory() as place:
            rows = [dict(entry["row"], **({"label": int(entry["row"]["answer"])} if suite == "boolq" else {})) for entry in expected[suite]]
            data = pathlib.Path(place) / "rows.jsonl"
            data.write_text("".join(json.dumps(row) + "\n" for row in rows))
            name = {"arc-easy": "arc_easy", "arc-challenge": "arc_challenge"}.get(suite, suite)
            config = load(tasks / file)
            for key in ["training_split", "validation_split", "test_split", "fewshot_split"]:
                config.pop(key, None)
            config.update(task=name, dataset_path="json", dataset_name=None, dataset_kwargs={"data_files": {"test": str(data)}}, test_split="test")
            found = lm_eval.simple_evaluate(model=model, tasks=[config], num_fewshot=0, log_samples=True, bootstrap_iters=0)
            for sample in found["samples"][name]:
                entry = expected[suite][sample["doc_id"]]
                sums = [float(response[0]) for response in sample["filtered_resps"]]
                worst = max(worst, *(abs(a - b) / abs(b) for a, b in zip(sums, entry["log_likelihoods"], strict=True)))
                assert sample["acc"] == float(entry["index"] == entry["gold"]), sample
                if "acc_norm" in sample:
                    assert sample["acc_norm"] == float(entry["index_norm"] == entry["gold"]), sample
                questions += 1
    print(f"{questions} questions, log-likelihoods at most {worst:.1e} apart (relative), acc and acc_norm equal")


def load(path):
    """A task of the harness as it is written."""
    import importlib.util

    import yaml

    def function(loader, node):
        module, name = node.value.rsplit(".", 1)
        spec = importlib.util.spec_from_file_location(module, path.parent / f"{module}.py")
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return getattr(loaded, name)

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", function)
    config = yaml.load(path.read_text(), Loader)
    base = load(path.parent / config.pop("include")) if "include" in config else {}
    return {**base, **config}


if __name__ == "__main__":
    harness(sys.argv[1]) if "--harness" in sys.argv else main(sys.argv[1])
