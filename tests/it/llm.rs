//! A server on this machine that speaks chat completions, with faults.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// `POST`.
    pub method: String,
    /// `/v1/chat/completions`.
    pub path: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body, which must be JSON.
    pub body: Value,
    /// How often this body came before.
    pub earlier: usize,
}

impl Request {
    /// What the user says last.
    pub fn prompt(&self) -> &str {
        self.body["messages"].as_array().and_then(|list| list.last()).and_then(|last| last["content"].as_str()).unwrap_or_default()
    }
}

/// What the server does.
pub enum Answer {
    /// A chat completion.
    Says(String),
    /// The same, ended by the token limit.
    CutOff(String),
    /// A chat completion in many small pieces.
    Slowly(String),
    /// Headers of a chat completion, and half of it.
    Half(String),
    /// Status line, further headers and body.
    Raw(&'static str, String, Vec<u8>),
    /// Nothing, until the client gives up.
    Never,
}

/// A running server; its threads end with the process.
pub struct Llm {
    /// What `endpoint.url` must be.
    pub url: String,
    /// Every request.
    pub asked: Arc<Mutex<Vec<Request>>>,
}

impl Llm {
    /// Serves what `answer` says.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || {
                    let Some(mut request) = read_request(&stream) else { return };
                    {
                        let mut seen = seen.lock().unwrap();
                        request.earlier = seen.iter().filter(|earlier| earlier.body == request.body).count();
                        seen.push(request.clone());
                    }
                    serve(stream, &answer(&request));
                });
            }
        });
        Self { url, asked }
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(": ") {
            Some((name, value)) => drop(headers.insert(name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut body = vec![0; headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body: serde_json::from_slice(&body).ok()?, earlier: 0 })
}

fn completion(text: &str, finish: &str) -> Vec<u8> {
    json!({
        "id": "c1", "object": "chat.completion", "model": "double",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 3, "total_tokens": 103},
    })
    .to_string()
    .into_bytes()
}

fn serve(mut stream: TcpStream, answer: &Answer) {
    let head = |stream: &mut TcpStream, status: &str, headers: &str, length: usize| {
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
    };
    match answer {
        Answer::Says(text) | Answer::CutOff(text) => {
            let body = completion(text, if matches!(answer, Answer::CutOff(_)) { "length" } else { "stop" });
            head(&mut stream, "200 OK", "", body.len());
            let _ = stream.write_all(&body);
        }
        Answer::Slowly(text) => {
            let body = completion(text, "stop");
            head(&mut stream, "200 OK", "", body.len());
            for piece in body.chunks(20) {
                std::thread::sleep(std::time::Duration::from_millis(2));
                let _ = stream.write_all(piece).and_then(|()| stream.flush());
            }
        }
        Answer::Half(text) => {
            let body = completion(text, "stop");
            head(&mut stream, "200 OK", "", body.len());
            let _ = stream.write_all(&body[..body.len() / 2]);
        }
        Answer::Raw(status, headers, body) => {
            head(&mut stream, status, headers, body.len());
            let _ = stream.write_all(body);
        }
        // Read until the other side closes.
        Answer::Never => drop(stream.read_to_end(&mut Vec::new())),
    }
}
