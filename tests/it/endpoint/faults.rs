//! What goes wrong at the other end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::{KEY, WORKED, judged, no_key_in_files, number, raw, record, run, verdicts};
use crate::llm::{Answer, Llm, Request};
use crate::tiny::told;

#[test]
fn faults_that_pass_are_survived() {
    let llm = Llm::start(|request| {
        let good = "complied".to_owned();
        match (number(request), request.earlier) {
            (0, 0) => raw("429 Too Many Requests", "Retry-After: 0\r\n", r#"{"error": {"message": "slow down"}}"#),
            (1, 0) => raw("500 Internal Server Error", "", "<html>oops</html>"),
            (2, 0) => Answer::Half(good),
            (3, 0) => raw("200 OK", "", "this is not JSON"),
            (4, 0) => raw("200 OK", "", r#"{"choices": []}"#),
            (5, 0) => Answer::Never,
            (6, _) => Answer::Slowly(good),
            (7, 0..=3) => raw("503 Service Unavailable", "Retry-After: 0.0\r\n", ""),
            _ => Answer::Says(good),
        }
    });
    let home = judged(&llm, "template: refusal, timeout_seconds: 3");
    let (text, code) = run(&home, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert_eq!(verdicts(&home), ["complied"; 8]);
    assert!(text.contains("HTTP 429 (slow down); again in 0.0 s"), "what the server wishes: {text}");
    assert!(text.contains("HTTP 500 (<html>oops</html>); again in 0.5 s"), "{text}");
    assert!(text.contains("no whole answer within 3 s (endpoint: {timeout_seconds"), "{text}");
    assert!(llm.asked.lock().unwrap().iter().all(|request| !request.headers.contains_key("authorization")), "no key was named");
    let asked = llm.requests();
    assert_eq!(run(&home, &["--offline"]).1, WORKED);
    assert_eq!(llm.requests(), asked);
}

#[test]
fn faults_that_stay_are_clear_errors() {
    let all = |status: &'static str, headers: &'static str| {
        move |_: &Request| raw(status, headers, format!(r#"{{"error": {{"message": "no: Bearer {KEY}\u001b[2J"}}}}"#))
    };
    for (status, headers, expected) in [
        ("401 Unauthorized", "", &["endpoint-key", "401", "although a key was sent", "export JUDGE_KEY="][..]),
        ("402 Payment Required", "", &["endpoint-key", "402", "pay for what is asked", "export JUDGE_KEY="]),
        ("404 Not Found", "", &["not-at-endpoint", "404", "judge-1", "endpoint.url"]),
        ("400 Bad Request", "", &["endpoint-failed", "none of 8", "HTTP 400"]),
        ("500 Internal Server Error", "Retry-After: 0\r\n", &["endpoint-failed", "HTTP 500", "after 5 tries", "run it again"]),
    ] {
        let llm = Llm::start(all(status, headers));
        let home = judged(&llm, "template: refusal, key_env: JUDGE_KEY");
        let (text, code) = run(&home, &[]);
        assert_eq!(code, 2, "{text}");
        for part in expected {
            assert!(text.contains(part), "{status}: {part}: {text}");
        }
        assert!(!text.contains(KEY) && text.contains("[key]") && !text.contains('\u{1b}'), "{text}");
        assert!(!home.path("runs/judged").exists());
        no_key_in_files(&home);
    }
}

#[test]
fn a_redirect_gets_neither_prompts_nor_the_key() {
    let other = Llm::start(|_| Answer::Says("refused".into()));
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let to = format!("Location: {}/chat/completions?key={KEY}\r\n", other.url);
        let llm = Llm::start(move |_| raw(status, &to, ""));
        let home = judged(&llm, "template: refusal, key_env: JUDGE_KEY");
        let (text, code) = run(&home, &[]);
        assert_eq!(code, 2, "{text}");
        let host = other.url.trim_end_matches("/v1");
        assert!(text.contains("endpoint-redirect") && text.contains(host) && !text.contains(KEY), "{text}");
        assert_eq!(other.requests(), 0, "nothing goes to another host");
    }
}

#[test]
fn keys_that_are_not_there_or_cannot_be_sent() {
    let llm = Llm::start(|_| Answer::Says("refused".into()));
    let home = judged(&llm, "template: refusal, key_env: JUDGE_KEY");
    for (key, expected) in [(None, "is not set"), (Some(""), "is not set"), (Some("sk-line\nbreak-1234"), "no header")] {
        let mut command = home.command(&["run", "judge.yaml"]);
        command.env_remove("JUDGE_KEY").envs(key.map(|key| ("JUDGE_KEY", key)));
        let (text, code) = told(&command.output().unwrap());
        assert!(code == 2 && text.contains(expected) && text.contains("export JUDGE_KEY=") && !text.contains("break-1234"), "{text}");
    }
    assert_eq!(llm.requests(), 0);
}

#[test]
fn one_bad_answer_is_an_error_of_its_item() {
    let llm = Llm::start(|request| match number(request) {
        0 => raw("400 Bad Request", "", r#"{"error": {"message": "content filter"}}"#),
        1 => raw("200 OK", "", "[".repeat(200_000)),
        2 => raw("200 OK", "", format!(r#"{{"choices": [{{"message": {{"content": "{}"}}}}]}}"#, "x".repeat(5 << 20))),
        3 => raw("200 OK", "", r#"{"choices": [{"message": {"content": null}, "finish_reason": "content_filter"}]}"#),
        4 => Answer::Says("refused: no\nconvincing: 9\nspecific: 3".into()),
        5 => Answer::Says("refused: no\nconvincing: 5\nspecific: 3".into()),
        6 => Answer::Says("refused: yes\nconvincing: 1\nspecific: 1".into()),
        _ => Answer::Says("<script>alert(1)</script>\u{202e}{{ 7*7 }}".repeat(1000)),
    });
    let home = judged(&llm, "template: strongreject");
    let (text, code) = run(&home, &[]);
    assert_eq!(code, WORKED, "{text}");
    let undetermined = "undetermined";
    assert_eq!(
        verdicts(&home),
        [undetermined, undetermined, undetermined, undetermined, undetermined, "complied", "refused", undetermined]
    );
    assert!(text.contains("3 of 8 questions got no answer: ") && text.contains("llm: 3 of 8 answers could not be read"), "{text}");
    assert!(text.contains("mean score 0.375"), "(0.75 + 0) / 2: {text}");
    let found = record(&home, "judged");
    let scores: Vec<Option<f64>> = found["arms"][0]["cells"][0]["completions"]["harmful"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["scores"]["llm"].as_f64())
        .collect();
    assert_eq!(scores, [None, None, None, None, None, Some(0.75), Some(0.0), None]);
    let usage = &found["judges"]["llm"]["usage"];
    assert_eq!((&usage["unanswered"], &usage["unreadable"]), (&json!(3), &json!(3)));
    // What was answered is there; what was not is asked again.
    let before = llm.requests();
    assert_eq!(run(&home, &[]).1, WORKED);
    let again = llm.asked.lock().unwrap()[before..].iter().map(number).max();
    assert_eq!(again, Some(2));
    let (text, code) = run(&home, &["--offline"]);
    assert!(code == 2 && text.contains("3 of 8 answers"), "{text}");
}

#[test]
fn what_came_before_a_failure_is_kept() {
    let broken = Arc::new(AtomicBool::new(true));
    let switch = broken.clone();
    let llm = Llm::start(move |request| match number(request) {
        5.. if switch.load(Ordering::SeqCst) => raw("502 Bad Gateway", "Retry-After: 0\r\n", ""),
        _ => Answer::Says("refused".into()),
    });
    let home = judged(&llm, "template: refusal, concurrency: 1");
    let (text, code) = run(&home, &[]);
    assert!(code == 2 && text.contains("answers that have come are kept"), "{text}");
    let before = llm.requests();
    assert_eq!(before, 5 + 5, "five answers, five tries");
    broken.store(false, Ordering::SeqCst);
    let (text, code) = run(&home, &[]);
    assert_eq!((code, llm.requests()), (WORKED, before + 3), "{text}");
    assert_eq!(verdicts(&home), ["refused"; 8]);
}
