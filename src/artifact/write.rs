//! Writes that are whole or not there.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::ArtifactError;

/// Whether files can be written into a folder, by writing one that is gone afterwards.
///
/// # Errors
/// When they cannot.
pub fn try_folder(folder: &Path) -> Result<(), ArtifactError> {
    tempfile::tempfile_in(folder).map(drop).map_err(ArtifactError::io("cannot write into", folder))
}

/// Writes a file so that a reader, or the next run after a crash, sees all of it or nothing of it.
///
/// # Errors
/// When the folder cannot be written or the disk is full; the file is then as it was before.
pub fn write_whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), ArtifactError> {
    let (temporary, folder) = written(path, fill)?;
    temporary.persist(path).map_err(|error| ArtifactError::io("cannot write", path)(error.error))?;
    sync_folder(folder)
}

/// [`write_whole`] of a file that must not be there yet.
///
/// # Errors
/// As [`write_whole`], and when something is in its place; nothing is then written.
pub fn write_new(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), ArtifactError> {
    must_be_new(path)?;
    let (temporary, folder) = written(path, fill)?;
    temporary.persist_noclobber(path).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => ArtifactError::Exists { path: path.into() },
        _ => ArtifactError::io("cannot write", path)(error.error),
    })?;
    sync_folder(folder)
}

/// Makes a folder that must not be there yet: `fill` writes its files into a hidden one beside it, which takes its name at the end.
///
/// # Errors
/// What `fill` fails with; when something is in its place, or it cannot be made. Nothing of it stays then.
pub fn write_folder<T, E: From<ArtifactError>>(path: &Path, fill: impl FnOnce(&Path) -> Result<T, E>) -> Result<T, E> {
    must_be_new(path)?;
    let failed = || ArtifactError::io("cannot create", path);
    let parent = folder_of(path);
    create_folder(parent)?;
    // As open as the umask of whoever runs this lets it be.
    let temporary = tempfile::Builder::new().prefix(".writing-").tempdir_in(parent).map_err(failed())?;
    let made = fill(temporary.path())?;
    fs::rename(temporary.path(), path).map_err(failed())?;
    let _ = temporary.keep();
    sync_folder(parent)?;
    Ok(made)
}

/// Checks that nothing is in the place of what is to be made.
///
/// # Errors
/// When something is.
pub fn must_be_new(path: &Path) -> Result<(), ArtifactError> {
    if fs::symlink_metadata(path).is_ok() { Err(ArtifactError::Exists { path: path.into() }) } else { Ok(()) }
}

/// The finished content of a file, still under another name, and its folder.
fn written(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(tempfile::NamedTempFile, &Path), ArtifactError> {
    let failed = || ArtifactError::io("cannot write", path);
    let folder = folder_of(path);
    create_folder(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    // Temporary files are private; this one is to be as the user's other files, and the umask is applied to what is asked for.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(folder).map_err(failed())?;
    {
        let mut buffered = std::io::BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
        fill(&mut buffered).map_err(failed())?;
        buffered.flush().map_err(failed())?;
    }
    temporary.as_file().sync_all().map_err(failed())?;
    Ok((temporary, folder))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// [`write_whole`] of bytes that are there already.
///
/// # Errors
/// As [`write_whole`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ArtifactError> {
    write_whole(path, |file| file.write_all(bytes))
}

/// [`write_whole`] of what another file holds.
///
/// # Errors
/// When the other cannot be read, or as [`write_whole`].
pub fn copy_whole(from: &Path, to: &Path) -> Result<(), ArtifactError> {
    let mut source = File::open(from).map_err(ArtifactError::io("cannot read", from))?;
    write_whole(to, |file| std::io::copy(&mut source, file).map(|_| ()))
}

/// Removes a file, where there is one.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_if_there(path: &Path) -> Result<(), ArtifactError> {
    if path.is_file() { fs::remove_file(path).map_err(ArtifactError::io("cannot remove", path)) } else { Ok(()) }
}

/// Makes a folder with its parents.
///
/// # Errors
/// When it cannot be made.
pub fn create_folder(path: &Path) -> Result<(), ArtifactError> {
    fs::create_dir_all(path).map_err(ArtifactError::io("cannot create", path))
}

/// Makes a rename inside the folder last through a power cut.
pub(super) fn sync_folder(path: &Path) -> Result<(), ArtifactError> {
    // Elsewhere a folder is no file that could be opened.
    #[cfg(unix)]
    File::open(path).and_then(|folder| folder.sync_all()).map_err(ArtifactError::io("cannot write", path))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
