//! The folders that people look into: `runs/<name>/<UTC>-<key8>/` and `runs/<name>/latest`.

use std::fs;
use std::path::{Path, PathBuf};

use super::ArtifactError;
use super::write::create_folder;

/// Makes the folder of a new run; when the name is taken, a number is added. Nothing is replaced.
///
/// # Errors
/// When it cannot be made.
pub fn create_run(runs: &Path, name: &str, run_id: &str) -> Result<PathBuf, ArtifactError> {
    let parent = runs.join(name);
    create_folder(&parent)?;
    let mut tries = 1;
    loop {
        let id = if tries == 1 { run_id.to_owned() } else { format!("{run_id}-{tries}") };
        let folder = parent.join(id);
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => tries += 1,
            Err(error) => return Err(ArtifactError::io("cannot create", folder)(error)),
        }
    }
}

/// Checks, before a run, that its folders can be made when it ends: `latest` must be a link, or not be there.
///
/// # Errors
/// When something of the user's is in its place.
pub fn check_latest(runs: &Path, name: &str) -> Result<(), ArtifactError> {
    let latest = runs.join(name).join("latest");
    match fs::symlink_metadata(&latest) {
        Ok(meta) if meta.is_dir() => {
            let taken = std::io::Error::new(std::io::ErrorKind::AlreadyExists, "a folder is in the place of the link to the latest run");
            Err(ArtifactError::io("cannot write", latest)(taken))
        }
        _ => Ok(()),
    }
}

/// Points `latest`, beside the run, to it.
///
/// # Errors
/// When the link cannot be made.
pub fn point_latest(run: &Path) -> Result<(), ArtifactError> {
    let (Some(parent), Some(name)) = (run.parent(), run.file_name()) else { return Ok(()) };
    let latest = parent.join("latest");
    let fresh = parent.join(format!(".latest-{}", name.to_string_lossy()));
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(name, &fresh);
    #[cfg(not(unix))]
    let made = fs::write(&fresh, name.to_string_lossy().as_bytes());
    made.and_then(|()| fs::rename(&fresh, &latest)).map_err(ArtifactError::io("cannot write", latest))
}

/// The folders of all runs below the folder for runs.
///
/// # Errors
/// When a folder cannot be read.
pub fn runs_below(runs: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    let folders = |of: &Path| -> Result<Vec<PathBuf>, ArtifactError> {
        let entries = fs::read_dir(of).map_err(ArtifactError::io("cannot read", of))?;
        let mut found: Vec<PathBuf> =
            entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect();
        found.sort();
        Ok(found)
    };
    if !runs.is_dir() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for name in folders(runs)?.into_iter().filter(|folder| !folder.ends_with(".store")) {
        all.extend(folders(&name)?.into_iter().filter(|run| run.join("run.json").is_file()));
    }
    Ok(all)
}

/// Puts a finished file into a run's folder without a second copy where the system can (hard link), else with one.
///
/// # Errors
/// When it can neither be linked nor copied.
pub fn place_file(from: &Path, to: &Path) -> Result<(), ArtifactError> {
    if let Some(parent) = to.parent() {
        create_folder(parent)?;
    }
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    // Never onto a file that is there: it could be a link to a finished stage's own.
    let copied = fs::File::create_new(to).and_then(|mut copy| std::io::copy(&mut fs::File::open(from)?, &mut copy));
    copied.map(|_| ()).map_err(ArtifactError::io("cannot write", to))
}
