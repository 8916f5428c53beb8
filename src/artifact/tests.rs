//! The store: what a sweep takes and leaves, and what is no reason to make a stage again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;

use super::ArtifactError;
use super::digest::Key;
use super::store::{Place, Store, Swept};

fn key(name: &str) -> Key {
    Key::new(name, 1, &())
}

/// Makes a stage with one file of four bytes.
fn make(store: &Store, key: &Key) {
    let Place::Open(place) = store.open(key).unwrap() else { panic!("{key} is there already") };
    fs::write(place.folder.join("file"), "four").unwrap();
    place.finish("stage", key, 1.0).unwrap();
}

fn sweep(root: &std::path::Path, used: &[&Key], unfinished: bool) -> Swept {
    let used = || Ok::<_, ArtifactError>(used.iter().map(|key| key.to_string()).collect::<BTreeSet<_>>());
    Store::new(root).sweep(used, unfinished, false).unwrap()
}

#[test]
fn what_an_interrupted_run_would_go_on_from_stays() {
    let folder = tempfile::tempdir().unwrap();
    let [named, unnamed, interrupted] = ["named", "unnamed", "interrupted"].map(key);
    let there = |key: &Key| folder.path().join(key.to_string()).is_dir();
    {
        let store = Store::new(folder.path());
        make(&store, &named);
        make(&store, &unnamed);
        // Killed, or failed: its workplace is left.
        assert!(matches!(store.open(&interrupted).unwrap(), Place::Open(_)));
    }
    assert_eq!(sweep(folder.path(), &[&named], false), Swept { stages: 0, bytes: 0, held: 2 });
    assert!(there(&named) && there(&unnamed));
    assert_eq!(sweep(folder.path(), &[&named], true).stages, 2);
    assert!(there(&named) && !there(&unnamed) && !folder.path().join(format!("{interrupted}.open")).exists());
    // With nothing unfinished, what no record names goes.
    make(&Store::new(folder.path()), &unnamed);
    let swept = sweep(folder.path(), &[&named], false);
    assert!(swept.stages == 1 && swept.held == 0 && swept.bytes > 4 && !there(&unnamed), "{swept:?}");
}

#[test]
fn what_runs_use_is_asked_when_none_is_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let (stage, store) = (key("stage"), Store::new(folder.path()));
    make(&store, &stage);
    // The run that is at work could write its record at any time.
    let asked = || -> Result<BTreeSet<String>, ArtifactError> { panic!("asked while a run is at work") };
    assert!(matches!(Store::new(folder.path()).sweep(asked, false, false), Err(ArtifactError::AtWork { .. })));
    drop(store);
    let lock = fs::File::open(folder.path().join("at-work.lock")).unwrap();
    let asked = || {
        assert!(lock.try_lock_shared().is_err(), "no run begins meanwhile");
        Ok::<_, ArtifactError>(BTreeSet::from([stage.to_string()]))
    };
    assert_eq!(Store::new(folder.path()).sweep(asked, false, false).unwrap(), Swept::default());
}

#[test]
fn a_killed_sweep_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let stage = key("stage");
    let going = folder.path().join(format!("{stage}.going"));
    make(&Store::new(folder.path()), &stage);
    fs::create_dir(&going).unwrap();
    fs::write(going.join("file"), "old").unwrap();
    assert_eq!(sweep(folder.path(), &[], false).stages, 2);
    assert!(!going.exists() && !folder.path().join(stage.to_string()).exists());
}

#[test]
fn a_stage_that_cannot_be_read_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (stage, store) = (key("stage"), Store::new(folder.path()));
    make(&store, &stage);
    let entry = folder.path().join(stage.to_string());
    // What was changed, or is gone, is made again.
    fs::remove_file(entry.join("file")).unwrap();
    make(&store, &stage);
    fs::write(entry.join("manifest.json"), [0xff]).unwrap();
    make(&store, &stage);
    fs::remove_file(entry.join("manifest.json")).unwrap();
    make(&store, &stage);
    // An error that is not "it is not there".
    fs::remove_file(entry.join("manifest.json")).unwrap();
    fs::create_dir(entry.join("manifest.json")).unwrap();
    assert!(matches!(store.open(&stage), Err(ArtifactError::Unread { .. })));
    assert_eq!(fs::read_to_string(entry.join("file")).unwrap(), "four");
}
