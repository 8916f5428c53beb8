//! Imports point down: a module may use only modules of lower rooms, and its own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

/// Rooms from the bottom to the top; modules of one room do not use each other, except along [`ALLOWED`].
const ROOMS: [&[&str]; 9] = [
    &["error", "event", "mask", "random", "record"],
    &["artifact"],
    &["model", "data", "ticket"],
    &["train", "delta", "edit", "eval", "hub"],
    &["report"],
    &["pipeline"],
    &["stage"],
    &["run"],
    &["cli", "ui"],
];

/// Uses inside a room: scores, tickets and examples are made for a model.
const ALLOWED: [(&str, &str); 5] = [("data", "model"), ("ticket", "model"), ("error", "event"), ("cli", "ui"), ("train", "eval")];

#[test]
fn imports_point_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let room = |module: &str| ROOMS.iter().position(|room| room.contains(&module));
    let mut wrong = Vec::new();
    for file in files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let module = inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        if module == "main" || module == "lib" {
            continue;
        }
        let from = room(&module).unwrap_or_else(|| panic!("{module} has no room: add it to ROOMS"));
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") {
                continue;
            }
            for (at, _) in code.match_indices("crate::") {
                let used: String = code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(to) = room(&used) else { continue };
                if used != module && to >= from && !ALLOWED.contains(&(module.as_str(), used.as_str())) {
                    wrong.push(format!("{}:{}: {module} uses {used}, which is not below it", inside.display(), number + 1));
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Doors to the outside: what only these rooms may use, tests apart. The hub writes its own cache; nobody else reaches the network.
const DOORS: [(&[&str], &[&str]); 3] = [
    (&["ureq::", "hf_hub::", "TcpStream"], &["hub"]),
    (
        &["File::create", "OpenOptions", "fs::write", "fs::rename", "fs::remove_", "fs::create_dir", "fs::copy", "hard_link", "symlink("],
        &["artifact", "hub"],
    ),
    (&["SystemTime::now", "env::var"], &["cli", "hub"]),
];

#[test]
fn only_their_rooms_open_the_doors() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let module = inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        if inside.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (words, rooms) in DOORS {
            for word in words.iter().filter(|word| text.contains(**word) && !rooms.contains(&module.as_str())) {
                wrong.push(format!("{}: {word} belongs to {}", inside.display(), rooms.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where the compiler is told to trust us: the engine's kernels, and the one function that maps a file.
const TRUSTED: [&str; 2] = ["model/backend/cpu/kernels", "artifact/map.rs"];

/// The lint `unsafe_code` is denied for the whole crate, so the places where it is allowed are all that there are.
#[test]
fn only_kernels_and_mapped_files_are_unsafe() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let manifest = std::fs::read_to_string(source.with_file_name("Cargo.toml")).unwrap();
    assert!(manifest.lines().any(|line| line.starts_with("unsafe_code = \"deny\"")), "the lint is not denied");
    let (mut wrong, mut trusted) = (Vec::new(), [0; TRUSTED.len()]);
    for file in files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if !code.contains("unsafe_code")
                && !["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|word| code.contains(word))
            {
                continue;
            }
            match TRUSTED.iter().position(|place| inside.starts_with(place)) {
                Some(place) => trusted[place] += 1,
                None => wrong.push(format!("{}:{}: {}", inside.display(), number + 1, line.trim())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(trusted.iter().all(|&count| count > 0), "a trusted place that needs no trust: {trusted:?}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}
