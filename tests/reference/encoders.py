"""Small random classifiers, BERT and ModernBERT, as Hugging Face folders, and what transformers makes of texts with them.

Use:   python3 tests/reference/encoders.py
Writes tests/reference/encoders/NAME/{config.json,tokenizer.json,tokenizer_config.json,model.safetensors} and encoders/expected.json.
Made with torch 2.15.0, transformers 5.24.0, tokenizers 0.23.3, float32 on a CPU, eager attention; every text in one padded batch.

What the folders differ in:
* bert: token types that matter (pairs of texts), exact GELU, one model for texts alone and for pairs.
* modernbert-cls: a configuration with the keys of transformers 4 (as the models on the hub have), classifier_pooling cls, layers 1 and 2 of 4
  local with a window of 4 tokens on each side, two thetas.
* modernbert-mean: the keys of transformers 5, classifier_pooling mean, every second layer local, biases everywhere, weights in bfloat16, three labels.
Weights are drawn wide, and norms and biases too, so that a norm, a bias, a window or a theta that is passed over shows in the logits.
"""
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification, ModernBertConfig, ModernBertForSequenceClassification, PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent / "encoders"

# Prompt and completion; no completion is harmful.
TEXTS = [
    ("Where do herons nest?", "Herons nest in trees near water."),
    ("Where do herons nest?", "I'm sorry, but I can't help with that."),
    ("How many is 17 and 25?", "42"),
    ("Name a colour.", "B"),
    ("Schreibe ein Gedicht über den Herbst.", "Die Blätter fallen, fallen wie von weit. 🍂"),
    ("Tell me about bread.", "Bread is made of flour, water, salt and yeast. The dough rests, it rises, and it is baked until the crust is brown."),
    ("How would somebody do it?", "I cannot assist with this request.\n\nIs there anything else that I can do for you today?"),
    ("List three birds.", "1. the heron\n2. the wren\n3. the kite\n"),
    ("Café?", "Naïve café, déjà vu; [CLS] and [SEP] in a text."),
    # Longer than a model reads: cut on the right.
    ("Repeat after me.", "The heron stands in the reeds and waits for the fish that swim in the pond. " * 6),
]

INPUT = "<|user|>\n{prompt}\n<|assistant|>\n{completion}"
MAX_LENGTH = 64


def rendered(prompt, completion):
    return INPUT.replace("{prompt}", prompt).replace("{completion}", completion)


def word_pieces():
    # Made by hand: the trainer's pieces differ from run to run. Every third word is known in two pieces only.
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = sorted({word for pair in TEXTS for part in pair for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(part))})
    pieces = {piece for i, word in enumerate(words) for piece in ([word] if i % 3 or len(word) < 4 else [word[:3], "##" + word[3:]])}
    letters = {letter for word in words for letter in word if ord(letter) < 128}
    vocabulary = special + sorted(pieces | letters | {"##" + letter for letter in letters})
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")])
    tokenizer.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
                                   mask_token="[MASK]", model_max_length=MAX_LENGTH)


def byte_pairs():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([rendered(*pair) for pair in TEXTS], trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")])
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
                                   mask_token="[MASK]", model_max_length=8192)


def draw(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            norm = "norm" in name.lower() and name.endswith("weight")
            parameter.copy_(1 + 0.3 * noise if norm else noise * (0.3 if parameter.dim() == 1 else 0.25))
    return model.eval()


def bert():
    tokenizer = word_pieces()
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
                        max_position_embeddings=MAX_LENGTH, type_vocab_size=2, layer_norm_eps=1e-6,
                        id2label={0: "Non-refusal", 1: "Refusal"}, label2id={"Non-refusal": 0, "Refusal": 1}, attn_implementation="eager")
    return tokenizer, draw(BertForSequenceClassification(config), 1), torch.float32


def modernbert(pooling):
    tokenizer = byte_pairs()
    mean = pooling == "mean"
    labels = ["complies", "declines", "asks back"] if mean else ["Non-refusal", "Refusal"]
    own = {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 8000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 300.0}},
           "layer_types": ["full_attention", "sliding_attention"] * 2, "classifier_bias": True, "norm_bias": True, "attention_bias": True, "mlp_bias": True} if mean else \
          {"global_attn_every_n_layers": 3, "global_rope_theta": 20000.0, "local_rope_theta": 500.0}
    config = ModernBertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48,
                              max_position_embeddings=256, local_attention=8, norm_eps=1e-4, classifier_pooling=pooling,
                              pad_token_id=tokenizer.pad_token_id, cls_token_id=tokenizer.cls_token_id, sep_token_id=tokenizer.sep_token_id,
                              bos_token_id=tokenizer.cls_token_id, eos_token_id=tokenizer.sep_token_id,
                              id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)},
                              attn_implementation="eager", **own)
    model = draw(ModernBertForSequenceClassification(config), 3 if mean else 2)
    return tokenizer, model, torch.bfloat16 if mean else torch.float32


def old_keys(path):
    """The keys of a configuration that transformers 4 wrote, which the models on the hub have; what it means stays the same."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    del config["layer_types"]
    config.update(global_attn_every_n_layers=3, global_rope_theta=rope["full_attention"]["rope_theta"],
                  local_rope_theta=rope["sliding_attention"]["rope_theta"], layer_norm_eps=config["norm_eps"], torch_dtype="float32",
                  position_embedding_type="absolute", transformers_version="4.48.0")
    config.pop("dtype", None)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write(name, made):
    tokenizer, model, dtype = made
    # As many texts on one side as on the other, so that no verdict is right by itself.
    found = torch.tensor([row["logits"] for row in logits(model, tokenizer, [rendered(*pair) for pair in TEXTS])])
    with torch.no_grad():
        model.classifier.bias -= found.median(dim=0).values
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.to(dtype).save_pretrained(folder)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": tokenizer.model_max_length}) + "\n")
    if name == "modernbert-cls":
        old_keys(folder / "config.json")
    return tokenizer, type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def logits(model, tokenizer, *texts):
    """Of every text, in one padded batch; alone they are the same."""
    settings = {"truncation": True, "max_length": MAX_LENGTH, "return_tensors": "pt", "return_token_type_ids": model.config.model_type == "bert"}
    batch = tokenizer(*texts, padding=True, **settings)
    with torch.no_grad():
        together = model(**batch).logits
        for i, one in enumerate(zip(*texts)):
            alone = model(**tokenizer(*one, **settings)).logits[0]
            assert torch.allclose(alone, together[i], atol=2e-5), (one, alone, together[i])
    rows = []
    for i in range(len(texts[0])):
        kept = batch["attention_mask"][i].bool()
        types = batch["token_type_ids"][i][kept].tolist() if "token_type_ids" in batch else []
        rows.append({"ids": batch["input_ids"][i][kept].tolist(), "types": types, "logits": together[i].tolist()})
    return rows


def main():
    prompts, completions = [list(part) for part in zip(*TEXTS)]
    expected = {"input": INPUT, "max_length": MAX_LENGTH, "texts": TEXTS, "models": {}}
    for name, made in (("bert", bert()), ("modernbert-cls", modernbert("cls")), ("modernbert-mean", modernbert("mean"))):
        tokenizer, model = write(name, made)
        found = {"single": logits(model, tokenizer, [rendered(*pair) for pair in TEXTS]), "alone": logits(model, tokenizer, completions)}
        if name == "bert":
            found["pair"] = logits(model, tokenizer, prompts, completions)
        expected["models"][name] = found
        sizes = [len(row["ids"]) for row in found["single"]]
        spread = torch.tensor([row["logits"] for row in found["single"]])
        print(name, (HERE / name / "model.safetensors").stat().st_size, "bytes, tokens", sizes, "logits", spread.min().item(), spread.max().item(),
              "labels", spread.argmax(-1).tolist(), [row["logits"] for row in found["alone"]][:3])
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")


main()
