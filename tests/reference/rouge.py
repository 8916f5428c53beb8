"""Reference numbers of ROUGE by the Python package rouge-score, and stems by the stemmer that it uses.

Use:   python3 tests/reference/rouge.py > tests/reference/rouge.json
Made with rouge-score 0.1.2 and nltk 3.10.4. The words are made of stems and endings of our own, so that every rule is met.
"""
import itertools
import json

from nltk.stem import porter
from rouge_score import rouge_scorer

PAIRS = [
    ("", ""), ("a word", ""), ("", "a word"), ("...", "!?"), ("one", "one"), ("one", "two"),
    ("the cat sat on the mat", "the cat sat on the mat"),
    ("the cat sat on the mat", "on the mat sat the cat"),
    ("the the the the", "the the"), ("the the", "the the the the"), ("a b a b a b", "b a b a"), ("no no yes", "no yes no yes no"),
    ("Ann will bring the cakes to the meeting on Friday.", "Ann is bringing cake to Friday's meeting."),
    ("Paul cannot find his keys. He asks Lea, who has seen them in the kitchen.", "Lea tells Paul that his keys are in the kitchen."),
    ("They are running, hoping and lying about relational databases.", "He runs, hopes and lies about a related database"),
    ("Café déjà-vu naïve", "cafe deja vu naive"), ("ÄÖÜ 你好 🙂", "äöü 你好 🙂"), ("İstanbul ſchool K", "istanbul school k"),
    ("It costs 1,234.50 euros", "It costs 1234.50 euros"), ("x_y e-mail don't", "x y email dont"), ("A\n\tB\u00a0C", "a b c"),
    ("UPPER case Words", "upper CASE words"), ("1 2 3 4 5", "5 4 3 2 1"), ("single", "single single single"),
    ("Tom moves to Rome in May and will learn Italian.", "In May Tom will move to Rome, and he will be learning Italian there with a teacher."),
    ("skies dying news innings proceed exceeds howe", "sky die news inning proceeding exceed howe"),
]
STEMS = ["", "a", "t", "by", "sk", "fl", "hop", "fil", "fall", "hiss", "fizz", "tann", "conflat", "troubl", "siz", "agre", "fe", "enjo", "happ", "relat",
         "condit", "rat", "val", "hesit", "digit", "conform", "radic", "differ", "vil", "analog", "vietnam", "oper", "feud", "decis", "hope", "call",
         "form", "sensit", "sens", "tripl", "electr", "good", "reviv", "allow", "infer", "airlin", "adjust", "irrit", "replac", "depend", "adopt",
         "commun", "effect", "prob", "ceas", "controll", "roll", "yell", "yy", "toy", "syzyg", "geo", "theo", "x", "ow", "playw", "r2d", "99"]
ENDINGS = ["", "s", "es", "ies", "sses", "ss", "ed", "ied", "eed", "ing", "y", "ational", "tional", "enci", "ency", "ancy", "izer", "bly", "ably", "ally", "alli",
           "ently", "ely", "ously", "ization", "ation", "ator", "alism", "iveness", "fulness", "ousness", "ality", "ivity", "bility", "fully", "logy", "logi", "icate",
           "ative", "alize", "icity", "ical", "ful", "ness", "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "sion", "tion", "ion",
           "ou", "ism", "ate", "iti", "ous", "ive", "ize", "e", "ll", "le", "at", "ings", "edly"]
WORDS = ["sky", "skies", "die", "dying", "lie", "lying", "tying", "news", "innings", "inning", "outings", "outing", "cannings", "canning", "howe", "proceed", "exceed",
         "succeed", "exceeds", "proceeded", "ties", "dies", "tied", "died", "spied", "enjoyment", "yyyy", "ayyyb", "oats", "ivy", "orrery", "the", "is", "as"]


def main():
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    pairs = []
    for reference, text in PAIRS:
        scores = scorer.score(reference, text)
        pairs.append({"reference": reference, "text": text, **{name: float(score.fmeasure) for name, score in scores.items()}})
    stemmer = porter.PorterStemmer()
    words = [word for word in WORDS + [a + b for a, b in itertools.product(STEMS, ENDINGS)] if word]
    stems = {word: stemmer.stem(word) for word in dict.fromkeys(words)}
    print(json.dumps({"pairs": pairs, "stems": stems}, ensure_ascii=False, indent=0))


if __name__ == "__main__":
    main()
