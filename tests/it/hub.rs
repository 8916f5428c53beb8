//! A hub on this machine, with faults.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What the server was asked: path, and the headers by lower-case name.
pub type Asked = Arc<Mutex<Vec<(String, BTreeMap<String, String>)>>>;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// The first answer for the weights ends in the middle.
    Cut,
    /// Every answer for the weights ends after a sixth of the file.
    Sixths,
    /// The first answer for the weights ends in the middle, and there is no going on.
    NoRange,
    /// Two answers in three are 429 or 500.
    Busy,
    /// The listed hash of the weights is another one.
    Hash,
    /// Every answer has this status.
    Status(u16),
    /// Every answer is the hub's for a repository that is not there.
    NoRepository,
    /// Weights come from another host.
    Redirect,
}

/// A running hub; its threads end with the process.
pub struct Hub {
    /// What `HF_ENDPOINT` must be.
    pub endpoint: String,
    /// Every request to the hub itself.
    pub asked: Asked,
    /// Every request to the other host, where [`Fault::Redirect`] sends.
    pub elsewhere: Asked,
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

/// Serves one file, from the byte that a range asks for, and at most so many bytes of it.
fn serve_file(stream: &mut TcpStream, headers: &BTreeMap<String, String>, bytes: &[u8], most: usize) {
    let from: usize = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let rest = &bytes[from.min(bytes.len())..];
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    answer(stream, status, "", rest.len(), &rest[..rest.len().min(most)]);
}

impl Hub {
    /// Serves a folder as the repository `repo` (`owner/name`, `datasets/owner/name`) at `commit`.
    pub fn start(repo: &str, commit: &str, folder: &Path, fault: Fault) -> Self {
        let files: BTreeMap<String, Vec<u8>> = steadfast::artifact::store::files_below(folder)
            .unwrap()
            .into_iter()
            .map(|path| (path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
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
        let listing = json!({"sha": commit, "siblings": siblings}).to_string();
        let (asked, elsewhere) = (Asked::default(), Asked::default());
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let other_address = other.local_addr().unwrap();
        let (files, seen) = (Arc::new(files), elsewhere.clone());
        let stored = files.clone();
        std::thread::spawn(move || {
            for mut stream in other.incoming().flatten() {
                let Some((path, headers)) = read_request(&stream) else { continue };
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                serve_file(&mut stream, &headers, &stored[&name], usize::MAX);
                seen.lock().unwrap().push((path, headers));
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = asked.clone();
        let api = if repo.starts_with("datasets/") { repo.to_owned() } else { format!("models/{repo}") };
        let (listed, files_at) = (format!("/api/{api}/revision/"), format!("/{repo}/resolve/{commit}/"));
        std::thread::spawn(move || {
            let mut cut = false;
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
                    Fault::NoRepository => {
                        answer(&mut stream, "401 No", "X-Error-Code: RepoNotFound\r\n", 0, b"");
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
                if path.starts_with(&listed) {
                    answer(&mut stream, "200 OK", "", listing.len(), listing.as_bytes());
                    continue;
                }
                let name = path.strip_prefix(&files_at).unwrap_or_default();
                match files.get(name) {
                    Some(_) if fault == Fault::Redirect && name.ends_with(".safetensors") => {
                        answer(&mut stream, "302 Found", &format!("Location: http://{other_address}/blob/{name}\r\n"), 0, b"");
                    }
                    Some(_) if fault == Fault::NoRange && headers.contains_key("range") => answer(&mut stream, "416 No", "", 0, b""),
                    Some(bytes) => {
                        let weights = name.ends_with(".safetensors");
                        let most = match fault {
                            Fault::Sixths if weights => bytes.len().div_ceil(6),
                            Fault::Cut | Fault::NoRange if weights && !cut => {
                                cut = true;
                                bytes.len() / 2
                            }
                            _ => bytes.len(),
                        };
                        serve_file(&mut stream, &headers, bytes, most);
                    }
                    None => answer(&mut stream, "404 No", "", 0, b""),
                }
            }
        });
        Self { endpoint, asked, elsewhere }
    }

    /// The path of every request to the hub itself, in order.
    pub fn paths(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }
}
