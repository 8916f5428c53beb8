//! Real servers, which these tests are told of: opt-in.
//!
//! A server that the test starts itself, with the SmolLM2 that the other tests have as a GGUF file:
//!
//! ```sh
//! python3 -m venv llama && llama/bin/pip install "llama-cpp-python[server]"      # compiles llama.cpp: minutes
//! STEADFAST_LLAMA_SERVER="$PWD/llama/bin/python -m llama_cpp.server" STEADFAST_SMOLLM2_GGUF=FILE.gguf \
//!   cargo test --release --locked --test it -- --ignored --nocapture a_server_that_is_started_here
//! ```
//!
//! `STEADFAST_LLAMA_SERVER` is a command; `--model FILE --host 127.0.0.1 --port N` are added, which llama.cpp's own `llama-server`
//! knows too. Replies at temperature 0 are greedy only where nothing else changes the distribution: llama-cpp-python penalises
//! repetitions by 1.1 unless `repeat_penalty` says otherwise. A server that runs elsewhere, with a model that follows instructions, is named by `STEADFAST_ENDPOINT`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{WORKED, record};
use crate::tiny::{Home, told};

/// The longest that a server may take to load the model.
const LOADING: Duration = Duration::from_secs(300);

/// A server of its own process, which ends with this value.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts it on a free port, and waits until it lists its models. Its log is written into `folder`.
    fn start(command: &str, gguf: &Path, folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = || std::fs::OpenOptions::new().create(true).append(true).open(folder.join("server.log")).unwrap();
        let mut words = command.split_whitespace();
        let child = Command::new(words.next().expect("STEADFAST_LLAMA_SERVER is empty"))
            .args(words)
            .arg("--model")
            .arg(gguf)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command}: {error}"));
        let mut server = Self { child, port };
        let begin = Instant::now();
        while !server.answers() {
            let told = || std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", told());
            }
            assert!(begin.elapsed() < LOADING, "the server does not answer: {}", told());
            std::thread::sleep(Duration::from_millis(200));
        }
        server
    }

    /// Whether it lists its models.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let asked = write!(stream, "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 200")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A model on this machine, asked through the server and by the program's own engine, from the same file.
#[test]
#[ignore = "needs a command that serves a GGUF file: STEADFAST_LLAMA_SERVER=\"PYTHON -m llama_cpp.server\" cargo test --test it -- --ignored a_server_that_is_started_here"]
fn a_server_that_is_started_here_answers_and_judges() {
    let command = std::env::var("STEADFAST_LLAMA_SERVER").expect("STEADFAST_LLAMA_SERVER is not set: a command that serves a GGUF file");
    let gguf = crate::from_env("STEADFAST_SMOLLM2_GGUF", "the GGUF file that is served");
    let home = Home::new();
    let server = Server::start(&command, &gguf, home.0.path());
    let endpoint = |rest: &str| {
        format!(
            "{{url: \"http://127.0.0.1:{}/v1\", model: smollm2, timeout_seconds: 600, price: {{input: 1, output: 2}}, parameters: {{repeat_penalty: 1.0}}{rest}}}",
            server.port
        )
    };
    let pipeline = |name: &str, model: &str, judges: &str| {
        format!(
            "name: {name}\nmodel: {{{model}}}\nevaluate:\n  floor: 0.0\n  max_new_tokens: 32\n  judges: [phrases{judges}]\n  suites:\n    \
             harmful: {{prompts: {{path: builtin:harmful, limit: 10}}, expect: refusal}}\n    \
             benign: {{prompts: {{path: builtin:benign, limit: 10}}, expect: answer}}\n"
        )
    };
    let judges: String = ["refusal", "strongreject"]
        .map(|template| format!(", {{name: {template}, endpoint: {}}}", endpoint(&format!(", template: {template}"))))
        .concat();
    home.write("far.yaml", pipeline("far", &format!("endpoint: {}", endpoint("")), &judges));
    home.write("near.yaml", pipeline("near", &format!("aligned: {}, dtype: f32", gguf.display()), ""));

    let (text, code) = told(&home.run(&["run", "far.yaml"]));
    assert_eq!(code, WORKED, "{text}");
    let first = record(&home, "far");
    let said = |record: &Value| record["arms"][0]["cells"][0]["completions"].clone();
    let lists = said(&first);
    let all: Vec<&Value> = ["harmful", "benign"].iter().flat_map(|suite| lists[suite].as_array().unwrap()).collect();
    assert_eq!(all.len(), 20);
    for one in &all {
        assert!(!one["text"].as_str().unwrap().is_empty() && (1..=32).contains(&one["tokens"].as_u64().unwrap()), "{one}");
        assert_eq!(one["ended"], one["tokens"].as_u64().unwrap() < 32, "the limit ended what has all its tokens: {one}");
        assert!(one["verdicts"]["refusal"].is_string() && one["verdicts"]["strongreject"].is_string(), "{one}");
    }
    let usage = &first["models"][0]["usage"];
    assert_eq!((&usage["answers"], &usage["requested"], &usage["unanswered"]), (&json!(20), &json!(20), &json!(0)));
    let (sent, came) = (usage["prompt_tokens"].as_u64().unwrap(), usage["completion_tokens"].as_u64().unwrap());
    assert!(sent > 20 * 20 && came == all.iter().map(|one| one["tokens"].as_u64().unwrap()).sum::<u64>(), "{usage}");
    assert!((usage["cost"].as_f64().unwrap() - (sent as f64 + 2.0 * came as f64) / 1e6).abs() < 1e-9, "{usage}");
    assert!(text.contains(&format!("aligned: 20 answers (0 from the store), {sent} tokens in, {came} out, cost 0.00")), "{text}");
    for judge in ["refusal", "strongreject"] {
        let usage = &first["judges"][judge]["usage"];
        assert_eq!((&usage["requested"], &usage["unanswered"]), (&json!(20), &json!(0)), "{usage}");
        // What a small model writes need not be of the form that was asked for: then it is no verdict, and no error of the run.
        let undetermined = all.iter().filter(|one| one["verdicts"][judge] == "undetermined").count() as u64;
        assert_eq!(usage["unreadable"].as_u64(), Some(undetermined));
        eprintln!("judge {judge}: {undetermined} of 20 answers could not be read");
    }
    let timed = |record: &Value, stored: u64| {
        let asked: Vec<Value> =
            record["stages"].as_array().unwrap().iter().filter(|stage| stage.get("answers").is_some()).cloned().collect();
        assert_eq!(asked.len(), 2 * 3, "a model and two judges on two suites: {asked:?}");
        assert!(asked.iter().all(|stage| stage["answers"] == json!([10, stored]) && stage["reused"] == (stored == 10)), "{asked:?}");
    };
    timed(&first, 0);

    // The same from the same file, by this program; what a quantised product rounds differs.
    let (text, code) = told(&home.run(&["run", "near.yaml"]));
    assert_eq!(code, WORKED, "{text}");
    let near = said(&record(&home, "near"));
    let (mut same, mut verdicts, mut opening, mut words) = (0, 0, 0, 0.0);
    for suite in ["harmful", "benign"] {
        for (far, near) in lists[suite].as_array().unwrap().iter().zip(near[suite].as_array().unwrap()) {
            let (far_words, near_words) = (split(far), split(near));
            let shared = far_words.iter().zip(&near_words).take_while(|(far, near)| far == near).count();
            same += usize::from(far["text"] == near["text"]);
            opening += usize::from(shared > 0);
            verdicts += usize::from(far["verdicts"]["phrases"] == near["verdicts"]["phrases"]);
            words += shared as f64 / far_words.len().max(near_words.len()).max(1) as f64 / 20.0;
        }
    }
    eprintln!(
        "of 20 replies {same} are the same to the end, {opening} begin with the same word, {verdicts} have the same verdict of phrases;"
    );
    eprintln!("{:.0} % of their words are the same from the beginning on", words * 100.0);
    assert!(opening >= 14 && verdicts >= 14, "the same weights and template: {opening}, {verdicts}\n{lists}\n{near}");

    // Nobody is there any more, and nobody is asked.
    drop(server);
    for more in [&[][..], &["--offline"]] {
        let (text, code) = told(&home.command(&["run", "far.yaml"]).args(more).output().unwrap());
        assert_eq!(code, WORKED, "{text}");
        let again = record(&home, "far");
        assert_eq!(said(&again), lists);
        assert_eq!((&again["models"][0]["usage"]["requested"], &again["models"][0]["usage"]["cost"]), (&json!(0), &json!(0.0)));
        timed(&again, 10);
    }
}

fn split(completion: &Value) -> Vec<&str> {
    completion["text"].as_str().unwrap().split_whitespace().collect()
}

/// Against a server that speaks OpenAI's interface: `STEADFAST_ENDPOINT` is its URL (`http://…/v1`), `STEADFAST_ENDPOINT_MODEL` a model
/// of it that follows instructions, `STEADFAST_ENDPOINT_KEY` its key where it wants one.
#[test]
#[ignore = "needs a server: STEADFAST_ENDPOINT=http://HOST/v1 STEADFAST_ENDPOINT_MODEL=NAME cargo test --test it -- --ignored endpoint::"]
fn a_real_server_answers_and_judges() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (url, name) = (variable("STEADFAST_ENDPOINT"), variable("STEADFAST_ENDPOINT_MODEL"));
    let key = if std::env::var_os("STEADFAST_ENDPOINT_KEY").is_some() { ", key_env: STEADFAST_ENDPOINT_KEY" } else { "" };
    let endpoint = format!("url: \"{url}\", model: \"{name}\"{key}");
    let home = Home::new();
    let judges: Vec<String> = ["refusal", "harm", "strongreject"]
        .iter()
        .map(|template| format!("{{name: {template}, endpoint: {{{endpoint}, template: {template}}}}}"))
        .collect();
    home.write(
        "judge.yaml",
        format!(
            "name: judged\nmodel: {{endpoint: {{{endpoint}}}}}\nevaluate:\n  floor: 0.0\n  judges: [phrases, {}]\n  suites:\n    \
             harmful: {{prompts: {{path: builtin:harmful, limit: 4}}, expect: refusal}}\n    benign: {{prompts: {{path: builtin:benign, limit: 4}}, expect: answer}}\n",
            judges.join(", ")
        ),
    );
    let (text, code) = told(&home.run(&["run", "judge.yaml"]));
    assert_eq!(code, WORKED, "{text}");
    let record = record(&home, "judged");
    let said = &record["arms"][0]["cells"][0]["completions"];
    for (suite, wanted) in [("harmful", "refused"), ("benign", "complied")] {
        let right = said[suite].as_array().unwrap().iter().filter(|one| one["verdicts"]["refusal"] == wanted).count();
        assert!(right >= 3, "{suite}: {right} of 4 {wanted}: {said}");
    }
    let (text, code) = told(&home.run(&["run", "judge.yaml", "--offline"]));
    assert_eq!(code, WORKED, "{text}");
}
