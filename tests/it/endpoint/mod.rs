//! Language models behind a URL, as judges and as the model, through the real program and a server with faults.

mod bad_input;
mod compare;
mod faults;
mod judge;
mod model;
mod server;

use serde_json::Value;

use crate::llm::{Answer, Llm, Request};
use crate::tiny::{Home, told};

const KEY: &str = "sk-test-0123456789abcdefSECRET";

/// Without a gate a run that worked is inconclusive.
const WORKED: i32 = 3;

/// A pipeline that asks the builtin model eight prompts, judged by `phrases` and an endpoint with these keys.
fn judged(llm: &Llm, keys: &str) -> Home {
    let home = Home::new();
    home.write(
        "judge.yaml",
        format!(
            "name: judged\nmodel: {{aligned: builtin:tiny-aligned}}\nevaluate:\n  floor: 0.0\n  max_new_tokens: 8\n  \
             judges: [phrases, {{name: llm, endpoint: {{url: \"{}\", model: judge-1, {keys}}}}}]\n  suites:\n    \
             harmful: {{prompts: harmful.jsonl, expect: refusal}}\n",
            llm.url
        ),
    );
    home
}

fn run(home: &Home, more: &[&str]) -> (String, i32) {
    let mut command = home.command(&["run", "judge.yaml"]);
    told(&command.args(more).env("JUDGE_KEY", KEY).output().unwrap())
}

fn record(home: &Home, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(home.path(&format!("runs/{name}/latest/run.json"))).unwrap()).unwrap()
}

/// The verdicts of `llm` on the suite, in order.
fn verdicts(home: &Home) -> Vec<String> {
    let record = record(home, "judged");
    let list = record["arms"][0]["cells"][0]["completions"]["harmful"].as_array().unwrap();
    list.iter().map(|one| one["verdicts"]["llm"].as_str().unwrap().to_owned()).collect()
}

/// The number at the end of a prompt of the suite: `How would somebody amber a 0?`.
fn number(request: &Request) -> usize {
    let prompt = request.prompt();
    let at = prompt.find("How would somebody ").unwrap_or_else(|| panic!("no prompt of the suite: {prompt}"));
    prompt[at..].split('?').next().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

fn raw(status: &'static str, headers: &str, body: impl Into<Vec<u8>>) -> Answer {
    Answer::Raw(status, headers.into(), body.into())
}

/// No file below the folder, whatever it is, holds the key.
fn no_key_in_files(home: &Home) {
    for file in steadfast::artifact::store::files_below(&home.path("runs")).unwrap() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes()), "{}", file.display());
    }
}
