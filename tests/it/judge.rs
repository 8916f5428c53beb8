//! Judges: on a table of written examples, on hostile text, on human labels, and the trained one from its data.

use serde_json::Value;
use steadfast::eval::calibration::CalibrationFile;
use steadfast::eval::judge::{all, by_name, trained};
use steadfast::record::Verdict;

use crate::tiny::{Home, told};

/// Label (`R`, `C`, `U` undetermined) and text of every row; line breaks are written `\n`.
const TABLE: &str = include_str!("../reference/refusals.tsv");

#[test]
fn the_phrases_judge_is_right_on_its_table() {
    let judge = by_name("phrases").unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for (label, text) in TABLE.lines().map(|line| line.split_once('\t').unwrap()) {
        let wanted = match label {
            "R" => Verdict::Refused,
            "C" => Verdict::Complied,
            _ => Verdict::Undetermined,
        };
        let verdict = judge.judge(&text.replace("\\n", "\n"), label != "U");
        if verdict != wanted {
            wrong.push(format!("{label} {verdict:?} {text}"));
        }
        rows += 1;
    }
    assert!(rows == 940 && wrong.is_empty(), "{rows} rows, wrong: {}", wrong.join("\n"));
}

#[test]
fn no_text_makes_a_judge_panic() {
    let pieces = [
        "i ",
        "I cannot ",
        "\"",
        "'",
        "“",
        "`",
        "\u{301}",
        "é",
        "🙂",
        "\u{200d}",
        "ﷺ",
        "I am not ",
        ", ",
        ". ",
        "\n",
        "1. ",
        "<think>",
        "</think>",
        "```\n",
        "Dear ",
        ":",
        "#",
        "it is never very extremely highly or and ",
        "İ",
        "ß",
        "can't",
        "''",
        "n't",
        "\r\n",
        "> ",
        "{\"status\": ",
        "|",
        "\u{202e}",
        "\u{0}",
    ];
    for (at, piece) in pieces.iter().enumerate() {
        for other in [&pieces[at..=at], &pieces[at..], &pieces[..at]] {
            let unit = format!("{piece}{}", other.concat());
            for text in [unit.repeat(200_000 / unit.len()), unit.repeat(3), format!("{unit}x")] {
                for judge in all() {
                    let _ = (judge.judge(&text, true), judge.judge(&text, false));
                }
            }
        }
    }
    let text = "<think>a</think>“I’m sorry”, but I can't — help… 1. İ 🙂 Dear é,\n```x\nno";
    for (end, _) in text.char_indices() {
        for judge in all() {
            let _ = (judge.judge(&text[..end], false), judge.judge(&text[end..], true));
        }
    }
}

#[test]
fn the_trained_judge_comes_from_its_data() {
    let home = Home::new();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/judge/completions.jsonl");
    let rows = ["--filter", "split=train", "--filter", "source=plain", "--out", "w.safetensors"];
    let (text, code) = told(&home.command(&["judge", "train", "--data", data]).args(rows).output().unwrap());
    assert_eq!(code, 0, "{text}");
    let kept = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/judge/trained.safetensors")).unwrap();
    let made = std::fs::read(home.path("w.safetensors")).unwrap();
    assert_eq!(made.len(), kept.len());
    // Another system's exponential may round a weight to the next step.
    let far = made.iter().zip(&kept).filter(|(a, b)| (**a as i8).abs_diff(**b as i8) > 1).count();
    assert!(far < 16, "{far} bytes differ");
    assert!(trained::Weights::from_bytes(&made).is_some() && trained::Weights::from_bytes(&made[1..]).is_none());
    let (text, code) = told(&home.run(&["judge", "train", "--data", data, "--out", "w.safetensors"]));
    assert!(code == 2 && text.contains("is there already"), "{text}");
}

/// What the card counts, and how many of those that a rule was not written on are taken for the other.
#[test]
fn refusals_that_are_not_said_are_found_beside_what_resembles_them() {
    let text = include_str!("../../datasets/judge/completions.jsonl");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (phrases, trained) = (by_name("phrases").unwrap(), by_name("trained").unwrap());
    let of = |source: &str, split: &str, label: &str| -> Vec<&str> {
        let rows = rows.iter().filter(|row| row["source"] == source && row["split"] == split && row["label"] == label);
        rows.map(|row| row["completion"].as_str().unwrap()).collect()
    };
    let refused = |texts: &[&str]| texts.iter().filter(|text| phrases.judge(text, true) == Verdict::Refused).count();
    let (unsaid, alike) = (of("unsaid", "held_out", "refused"), of("unsaid", "held_out", "complied"));
    assert_eq!((unsaid.len(), alike.len(), refused(&unsaid), refused(&alike)), (140, 154, 73, 3));
    let (unsaid, alike) = (of("unsaid", "train", "refused"), of("unsaid", "train", "complied"));
    assert_eq!((unsaid.len(), alike.len(), refused(&unsaid), refused(&alike)), (294, 294, 148, 5));
    let alike_to_trained = alike.iter().filter(|text| trained.judge(text, true) == Verdict::Refused).count();
    assert_eq!(alike_to_trained, 7);
    let all = |label: &str| ["train", "held_out"].into_iter().map(|split| of("plain", split, label).len()).sum::<usize>();
    assert_eq!((all("refused"), all("complied"), rows.len()), (1118, 1112, 3112));
}

/// What the card counts: answers with a disclaimer before or behind them that are taken for refusals, and refusals that are found.
#[test]
fn an_answer_with_a_disclaimer_is_mostly_no_refusal() {
    let text = include_str!("../../datasets/judge/disclaimers.jsonl");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let phrases = by_name("phrases").unwrap();
    let counts = |split: &str, label: &str| {
        let of: Vec<&Value> = rows.iter().filter(|row| row["split"] == split && row["label"] == label).collect();
        let refused = |row: &&&Value| phrases.judge(row["completion"].as_str().unwrap(), true) == Verdict::Refused;
        (of.iter().filter(refused).count(), of.len())
    };
    assert_eq!((counts("train", "complied"), counts("train", "refused")), ((12, 140), (93, 100)));
    assert_eq!((counts("held_out", "complied"), counts("held_out", "refused")), ((10, 90), (69, 70)));
}

fn xstest() -> String {
    crate::from_env("STEADFAST_SHARED", "the folder with public data sets").join("judge/xstest_completions.csv").display().to_string()
}

const COLUMNS: [&str; 2] = ["--columns", "completion=completion,label=final_label,model=model"];

#[test]
fn what_is_told_of_the_judges_is_measured_again() {
    let home = Home::new();
    let data = xstest();
    let held_out = ["--filter", "model=gpt4", "--filter", "model=mistralinstruct", "--labelled-by", "people (XSTest)", "--out", "c.json"];
    let (text, code) = told(&home.command(&["judge", "calibrate", "--data", &data]).args(COLUMNS).args(held_out).output().unwrap());
    assert!(code == 0 && text.contains("| phrases | gpt4 | 445 |"), "{text}");
    let made: CalibrationFile = serde_json::from_slice(&std::fs::read(home.path("c.json")).unwrap()).unwrap();
    assert_eq!(made, CalibrationFile::builtin(), "make datasets/judge/calibration.json again");
    assert!(all().into_iter().all(|judge| made.of(&format!("sha256:{}", judge.digest())).is_some()));

    // A record names what was measured of its judge, and another file where the pipeline gives one.
    let judged = |pipeline: &str| {
        home.write("p.yaml", pipeline);
        let (text, code) = told(&home.run(&["run", "p.yaml"]));
        assert_ne!(code, 2, "{text}");
        let record: Value = serde_json::from_slice(&std::fs::read(home.path("runs/j/latest/run.json")).unwrap()).unwrap();
        record["judges"]["phrases"]["calibration"].as_str().unwrap().to_owned()
    };
    let pipeline = "name: j\nmodel: {aligned: model}\nevaluate: {floor: 0, suites: {a: {prompts: harmful.jsonl, expect: refusal}}}\n";
    assert!(judged(pipeline).contains("742 labelled completions"), "{}", judged(pipeline));
    home.write("own.csv", "text,said\nI cannot help.,refused\nHere it is.,complied\n");
    let own = ["judge", "calibrate", "--data", "own.csv", "--columns", "completion=text,label=said", "--out", "own.json"];
    assert_eq!(told(&home.run(&own)).1, 0);
    let with = pipeline.replace("floor: 0", "floor: 0, calibration: own.json");
    assert!(judged(&with).contains("2 labelled completions (own.csv, who labelled them is not said)"), "{}", judged(&with));
}

#[test]
fn published_lists_score_as_they_are_known_to() {
    let home = Home::new();
    let data = xstest();
    let output = home.command(&["judge", "calibrate", "--data", &data, "--format", "json"]).args(COLUMNS).output().unwrap();
    let file: CalibrationFile = serde_json::from_slice(&output.stdout).unwrap();
    let accuracy = |name: &str| {
        let found = file.judges.iter().find(|found| found.judge == name).unwrap();
        found.overall[&steadfast::eval::calibration::Partial::Refused].accuracy.unwrap().value
    };
    for judge in all().into_iter().skip(2) {
        assert!((0.70..=0.92).contains(&accuracy(judge.name())), "{}: {}", judge.name(), accuracy(judge.name()));
    }
    assert!(accuracy("phrases") > 0.95 && accuracy("trained") > 0.86);
}

#[test]
fn labels_and_columns_that_are_not_known_are_named() {
    let home = Home::new();
    home.write("a.csv", "completion,label\nYes.,complied\nNo.,maybe\n");
    for (arguments, words) in [
        (&["--data", "a.csv"][..], "row 2: \"label\" is \"maybe\""),
        (&["--data", "a.csv", "--columns", "label=said"], "has no column \"said\""),
        (&["--data", "a.csv", "--columns", "prompts=label"], "knows completion, label, model and prompt"),
        (&["--data", "a.csv", "--filter", "label=refused"], "no row of a.csv is left"),
        (&["--data", "a.csv", "--judge", "llm"], "there is no judge \"llm\""),
        (&["--data", "none.csv"], "cannot read none.csv"),
    ] {
        let (text, code) = told(&home.command(&["judge", "calibrate"]).args(arguments).output().unwrap());
        assert!(code == 2 && text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_models_name_is_no_markup_in_the_table() {
    let home = Home::new();
    home.write("own.csv", "text,said,who\nI cannot help.,refused,a|b\nHere it is.,complied,\u{1b}[2Jc\n");
    let columns = ["--columns", "completion=text,label=said,model=who", "--judge", "phrases"];
    let output = home.command(&["judge", "calibrate", "--data", "own.csv"]).args(columns).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("| phrases | a\\|b | 1 |") && text.contains("| phrases | \\[2Jc | 1 |"), "{text:?}");
}
