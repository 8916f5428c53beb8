//! A hub on this machine, with faults, through the real program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::tiny::{Home, told, write_model};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server was asked: path, and the headers by lower-case name.
type Asked = Arc<Mutex<Vec<(String, BTreeMap<String, String>)>>>;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The first answer for the weights ends in the middle.
    Cut,
    /// Two answers in three are 429 or 500.
    Busy,
    /// The listed hash of the weights is another one.
    Hash,
    /// Every answer has this status.
    Status(u16),
    /// Weights come from another host.
    Redirect,
}

struct Hub {
    endpoint: String,
    asked: Asked,
    elsewhere: Asked,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(stream: &mut TcpStream, status: &str, headers: &str, length: usize, body: &[u8]) {
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
    let _ = stream.write_all(body);
}

fn read_request(stream: &TcpStream) -> Option<(String, BTreeMap<String, String>)> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(": ") {
            Some((name, value)) => drop(headers.insert(name.to_ascii_lowercase(), value.to_owned())),
            None => return Some((path, headers)),
        }
    }
}

/// Serves one file, from the byte that a range asks for.
fn serve_file(stream: &mut TcpStream, headers: &BTreeMap<String, String>, bytes: &[u8], cut: bool) {
    let from: usize = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let rest = &bytes[from.min(bytes.len())..];
    let sent = if cut { &rest[..rest.len() / 2] } else { rest };
    answer(stream, if from > 0 { "206 Partial Content" } else { "200 OK" }, "", rest.len(), sent);
}

impl Hub {
    /// Serves a folder as `repo`.
    fn start(folder: &Path, fault: Fault) -> Self {
        let files: BTreeMap<String, Vec<u8>> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        let siblings: Vec<_> = files
            .iter()
            .map(|(name, bytes)| {
                let blob = hex(&Sha1::new().chain_update(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize());
                let mut sibling = json!({"rfilename": name, "size": bytes.len(), "blobId": blob});
                if name.ends_with(".safetensors") {
                    let digest = if fault == Fault::Hash { "0".repeat(64) } else { hex(&Sha256::digest(bytes)) };
                    sibling["lfs"] = json!({"sha256": digest, "size": bytes.len(), "pointerSize": 134});
                }
                sibling
            })
            .collect();
        let listing = json!({"sha": COMMIT, "siblings": siblings}).to_string();
        let (asked, elsewhere) = (Asked::default(), Asked::default());
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let other_address = other.local_addr().unwrap();
        let (files, seen) = (Arc::new(files), elsewhere.clone());
        let stored = files.clone();
        std::thread::spawn(move || {
            for mut stream in other.incoming().flatten() {
                let Some((path, headers)) = read_request(&stream) else { continue };
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                serve_file(&mut stream, &headers, &stored[&name], false);
                seen.lock().unwrap().push((path, headers));
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = asked.clone();
        std::thread::spawn(move || {
            let mut cut = fault == Fault::Cut;
            for mut stream in listener.incoming().flatten() {
                let Some((path, headers)) = read_request(&stream) else { continue };
                let count = {
                    let mut seen = seen.lock().unwrap();
                    seen.push((path.clone(), headers.clone()));
                    seen.len()
                };
                match fault {
                    Fault::Status(status) => {
                        answer(&mut stream, &format!("{status} No"), "", 0, b"");
                        continue;
                    }
                    Fault::Busy if count % 3 == 1 => {
                        answer(&mut stream, "429 Slow", "Retry-After: 0\r\n", 0, b"");
                        continue;
                    }
                    Fault::Busy if count % 3 == 2 => {
                        answer(&mut stream, "500 Oh", "Retry-After: 0\r\n", 0, b"");
                        continue;
                    }
                    _ => {}
                }
                if path.starts_with("/api/models/some/tiny/revision/") {
                    answer(&mut stream, "200 OK", "", listing.len(), listing.as_bytes());
                    continue;
                }
                let name = path.strip_prefix(&format!("/some/tiny/resolve/{COMMIT}/")).unwrap_or_default();
                match files.get(name) {
                    Some(_) if fault == Fault::Redirect && name.ends_with(".safetensors") => {
                        answer(&mut stream, "302 Found", &format!("Location: http://{other_address}/blob/{name}\r\n"), 0, b"");
                    }
                    Some(bytes) => {
                        let now = cut && name.ends_with(".safetensors");
                        cut = cut && !now;
                        serve_file(&mut stream, &headers, bytes, now);
                    }
                    None => answer(&mut stream, "404 No", "", 0, b""),
                }
            }
        });
        Self { endpoint, asked, elsewhere }
    }

    fn paths(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }
}

/// A pipeline that evaluates the hub's model on a few prompts.
fn home(revision: &str) -> Home {
    let home = Home::new();
    let text = format!(
        "name: hub\nmodel: {{aligned: \"hf://some/tiny@{revision}\"}}\nevaluate:\n  floor: 0.0\n  max_new_tokens: 4\n  suites:\n    harmful: {{prompts: harmful.jsonl, expect: refusal}}\n"
    );
    home.write("hub.yaml", text);
    home
}

fn run(home: &Home, hub: &Hub, more: &[&str]) -> (String, i32) {
    let mut command = home.command(&["run", "hub.yaml"]);
    told(&command.args(more).env("HF_ENDPOINT", &hub.endpoint).env("HF_TOKEN", "hf_secretsecret").output().unwrap())
}

/// The run has no gate, so a run that worked is inconclusive.
const WORKED: i32 = 3;

fn digest(home: &Home) -> String {
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(home.path("runs/hub/latest/run.json")).unwrap()).unwrap();
    assert_eq!(record["models"][0]["revision"], COMMIT);
    record["models"][0]["weights"].as_str().unwrap().to_owned()
}

#[test]
fn a_model_comes_from_the_hub_once_and_only_what_a_model_needs() {
    let home = home(COMMIT);
    std::fs::write(home.path("model/pytorch_model.bin"), "pickle").unwrap();
    std::fs::write(home.path("model/modeling_tiny.py"), "import os").unwrap();
    let hub = Hub::start(&home.path("model"), Fault::None);
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert!(!text.contains("hf_secret"), "the token is never shown: {text}");
    let paths = hub.paths();
    assert!(paths.iter().all(|path| !path.ends_with(".bin") && !path.ends_with(".py")), "{paths:?}");
    digest(&home);
    let standard = home.path("hf/hub/models--some--tiny/snapshots").join(COMMIT).join("model.safetensors");
    assert!(standard.is_file(), "the standard cache layout");
    // Again, and offline: everything is there, and a pinned commit needs no question.
    for more in [&[][..], &["--offline"]] {
        let (text, code) = run(&home, &hub, more);
        assert_eq!(code, WORKED, "{text}");
        assert_eq!(hub.paths().len(), paths.len(), "no request was made");
    }
    // A cache that was damaged by hand is found out and made again.
    let blob = standard.canonicalize().unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&blob, &bytes).unwrap();
    let (text, code) = run(&home, &hub, &["--offline"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("hash-mismatch"), "{text}");
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert!(hub.paths().len() > paths.len());
}

#[test]
fn faults_that_pass_are_survived() {
    let plain = home(COMMIT);
    let hub = Hub::start(&plain.path("model"), Fault::None);
    assert_eq!(run(&plain, &hub, &[]).1, WORKED);
    let expected = digest(&plain);
    for fault in [Fault::Cut, Fault::Busy, Fault::Redirect] {
        let home = home(COMMIT);
        let hub = Hub::start(&home.path("model"), fault);
        let (text, code) = run(&home, &hub, &[]);
        assert_eq!(code, WORKED, "{text}");
        assert_eq!(digest(&home), expected);
        let asked = hub.asked.lock().unwrap();
        assert!(asked.iter().all(|(_, headers)| headers.get("authorization").is_some_and(|value| value == "Bearer hf_secretsecret")));
        if fault == Fault::Cut {
            assert!(asked.iter().any(|(_, headers)| headers.contains_key("range")), "it goes on where it stopped");
        }
        if fault == Fault::Redirect {
            let elsewhere = hub.elsewhere.lock().unwrap();
            assert!(
                !elsewhere.is_empty() && elsewhere.iter().all(|(_, headers)| !headers.contains_key("authorization")),
                "no token for another host"
            );
        }
    }
}

#[test]
fn shards_and_branches() {
    let home = home("main");
    let folder = home.path("sharded");
    write_model(&folder, true);
    let hub = Hub::start(&folder, Fault::None);
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert!(text.contains("not pinned"), "{text}");
    digest(&home);
    let before = hub.paths().len();
    let (text, code) = run(&home, &hub, &["--offline"]);
    assert_eq!(code, WORKED, "{text}");
    assert_eq!(hub.paths().len(), before);
    // A blob that was damaged by hand is made again for a branch, too.
    let shard = home.path("hf/hub/models--some--tiny/snapshots").join(COMMIT).join("model-00002-of-00002.safetensors");
    let blob = shard.canonicalize().unwrap();
    let good = std::fs::read(&blob).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bad).unwrap();
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert!(std::fs::read(&blob).unwrap() == good, "the damaged blob was used");
}

#[test]
fn a_whole_run_from_the_hub_is_the_run_from_the_folder() {
    let home = home(COMMIT);
    let hub = Hub::start(&home.path("model"), Fault::None);
    let (text, code) = told(&home.run(&["run", "p.yaml", "--runs", "folder"]));
    assert_ne!(code, 2, "{text}");
    let set = format!("model.base=hf://some/tiny@{COMMIT}");
    let (text, through) =
        told(&home.command(&["run", "p.yaml", "--runs", "hub", "--set", &set]).env("HF_ENDPOINT", &hub.endpoint).output().unwrap());
    assert_eq!(through, code, "{text}");
    for arm in ["unprotected", "protected", "control"] {
        let saved = |runs: &str| std::fs::read(home.path(runs).join("tiny/latest/arms").join(arm).join("model.safetensors")).unwrap();
        assert!(saved("folder") == saved("hub"), "{arm}");
    }
}

#[test]
fn faults_that_stay_are_clear_errors() {
    for (fault, expected) in [
        (Fault::Status(401), "HF_TOKEN"),
        (Fault::Status(403), "HF_TOKEN"),
        (Fault::Status(404), "not-on-hub"),
        (Fault::Hash, "hash-mismatch"),
    ] {
        let home = home(COMMIT);
        let hub = Hub::start(&home.path("model"), fault);
        let (text, code) = run(&home, &hub, &[]);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(expected) && text.contains("help"), "{expected}: {text}");
        assert!(!text.contains("hf_secret"), "{text}");
        assert!(!home.path("runs/hub").exists());
        let blobs = std::fs::read_dir(home.path("hf/hub/models--some--tiny/blobs")).map(|blobs| blobs.count()).unwrap_or(0);
        assert!(
            fault != Fault::Hash
                || std::fs::read_dir(home.path("hf/hub/models--some--tiny/blobs"))
                    .unwrap()
                    .flatten()
                    .all(|blob| blob.file_name().len() != 64),
            "{blobs} blobs"
        );
    }
    let home = home(COMMIT);
    let (text, code) = told(&home.command(&["run", "hub.yaml", "--offline"]).output().unwrap());
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("offline"), "{text}");
}

/// The real model at the commit that `pipelines/smollm2.yaml` pins cannot be had here; its files are served under the tiny name.
#[test]
fn smollm2_through_the_hub_is_smollm2_from_its_folder() {
    let folder = crate::from_env("STEADFAST_SMOLLM2", "a Hugging Face folder with SmolLM2-135M-Instruct");
    let home = home(COMMIT);
    let hub = Hub::start(&folder, Fault::Redirect);
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    let through_hub = digest(&home);
    for (name, source) in
        [("folder", folder), ("gguf", crate::from_env("STEADFAST_SMOLLM2_GGUF", "the GGUF file that the folder was made from"))]
    {
        let set = format!("model.aligned={}", source.display());
        let (text, code) = told(&home.run(&["run", "hub.yaml", "--set", &set, "--set", &format!("name={name}")]));
        assert_eq!(code, WORKED, "{text}");
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(home.path(&format!("runs/{name}/latest/run.json"))).unwrap()).unwrap();
        assert_eq!(record["models"][0]["weights"], through_hub, "{name}");
    }
}
