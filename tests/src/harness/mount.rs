//! A small disk, to be filled or made read-only.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A file system in memory with a fixed size; unmounted when it is dropped.
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts one of `size_mib` MiB; why not, where this process may not (it must be root, outside of most sandboxes).
    pub fn mount(size_mib: u64) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("fleetline-disk-")
            .tempdir()
            .map_err(|e| e.to_string())?;
        let path = folder.path().as_os_str();
        let options = format!("size={size_mib}m,mode=0777");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "fleetline-test"])
            .arg(path))?;
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Lets nobody write to it, or lets them again.
    pub fn set_read_only(&self, is_read_only: bool) {
        let options = if is_read_only { "remount,ro" } else { "remount,rw" };
        run(Command::new("mount").args(["-o", options]).arg(self.path()))
            .unwrap_or_else(|e| panic!("what was mounted can be mounted again: {e}"));
    }

    /// Fills it to the last byte; the file that does.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).expect("there is room for a file");
        // What a process that just ended had deleted may become free a moment later: it is full once it stays so.
        loop {
            let before = file.metadata().expect("it can be asked").len();
            // It ends with an error: the disk is full.
            let copied = std::io::copy(&mut std::io::repeat(0x55), &mut file);
            assert!(copied.is_err(), "the disk has no end");
            if file.metadata().expect("it can be asked").len() == before {
                return path;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that still runs keeps it until it ends.
        if let Err(e) = run(Command::new("umount").arg("--lazy").arg(self.path())) {
            eprintln!("{} is left mounted: {e}", self.path().display());
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|e| format!("cannot start {command:?}: {e}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
