//! Disks that fill up.

use std::path::Path;
use std::process::Command;

/// A file system of a few megabytes, unmounted with the value.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` when this user may not mount file systems; the test then has to say that it skips.
    pub fn mount(kilobytes: usize) -> Option<Self> {
        let dir = tempfile::tempdir().expect("tempdir");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(dir.path())
            .output();
        mounted.is_ok_and(|o| o.status.success()).then_some(Self(dir))
    }

    /// Makes it larger.
    pub fn resize(&self, kilobytes: usize) {
        let resized = Command::new("mount")
            .args(["-o", &format!("remount,size={kilobytes}k")])
            .arg(self.0.path())
            .status();
        assert!(resized.expect("mount").success());
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}
