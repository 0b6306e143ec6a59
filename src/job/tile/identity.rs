//! What two jobs must have in common for one to go on with the unfinished work of the other.
//!
//! Nothing is listed by hand that could be forgotten when a job gets another option: all fields of a [`TileJob`], as
//! `Debug` shows them, count, but for the few that are [named here](comparable) because they cannot change a tile. The inputs
//! count with size and time of change (on servers: `ETag`) of every file that GDAL says they are made of. And the whole plan counts, by its
//! hash: what a setting in the environment, a driver or a file behind a `/vsi…` path changed shows there.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use xxhash_rust::xxh3::Xxh3;

use super::plan::{Budget, Plan};
use super::{TileJob, survey};
use crate::error::Result;
use crate::job::effort::Versions;
use crate::raster::{SourceSpec, served};
use crate::sink::{Identity, Target};

/// Settings of GDAL that change no pixel.
const HARMLESS: [&str; 3] = ["GDAL_CACHEMAX", "GDAL_NUM_THREADS", "CPL_DEBUG"];

/// Files of an input that are named one by one; of more, only their sum is kept.
const NAMED_FILES: usize = 8;

/// The identity of a job with its plan.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) when an input cannot be opened any more.
pub(super) fn identity(job: &TileJob, plan: &Plan) -> Result<Identity> {
    let mut identity = Identity::default();
    let Versions { tileloom, gdal } = Versions::current();
    identity.add("the version of tileloom", tileloom);
    identity.add("the version of GDAL", gdal);
    for (name, value) in fields(&format!("{:#?}", comparable(job))) {
        identity.add(name, value);
    }
    add_inputs(&mut identity, &job.inputs, job.readers)?;
    identity.add_derived("what GDAL sees in the inputs, as a hash,", format!("{:016x}", plan_hash(plan)));
    Ok(identity)
}

/// Adds inputs: where they are, in which state, and how they are read.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) when one cannot be opened any more.
pub(in crate::job) fn add_inputs(
    identity: &mut Identity,
    inputs: &[SourceSpec],
    readers: usize,
) -> Result<()> {
    let states = survey::each(inputs, readers, |spec| Ok(described(&spec.path, spec.files()?)))?;
    let mut last = String::new();
    for (k, (spec, state)) in inputs.iter().zip(states).enumerate() {
        identity.add(format!("input {}", k + 1), state);
        // All inputs of a command line have the same.
        let own = format!("{:?}", SourceSpec { path: PathBuf::new(), ..spec.clone() });
        if own != last {
            identity.add(format!("reading of input {}", k + 1), own.as_str());
            last = own;
        }
    }
    Ok(())
}

/// A job without what cannot change a tile: how much of the machine it takes, how many tiles it may make, whether it replaces and
/// resumes, which pages show the tiles, and how paths are spelled. The inputs are looked at on their own.
fn comparable(job: &TileJob) -> TileJob {
    let target = Target {
        path: job.target.path.file_name().map(PathBuf::from).unwrap_or_default(),
        overwrite: false,
        tmp_dir: job.target.tmp_dir.as_deref().map(absolute),
    };
    let settings = job.settings.iter().filter(|setting| !is_harmless(setting)).cloned().collect();
    let (inputs, webviewers) = (Vec::new(), Vec::new());
    let same = TileJob { inputs, target, webviewers, settings, max_tiles: None, ..job.clone() };
    TileJob { readers: 0, threads: 0, memory: 0, resume: false, ..same }
}

/// Whether a setting of GDAL, `KEY=VALUE`, changes no pixel.
pub(in crate::job) fn is_harmless(setting: &str) -> bool {
    HARMLESS.iter().any(|key| setting.split('=').next() == Some(key))
}

/// A path that is the same from every working folder.
fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Names and values of the outer fields of what `{:#?}` shows of a struct. Names are spelled as options are.
pub(in crate::job) fn fields(text: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let outer =
            line.strip_prefix("    ").filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        if let Some((name, value)) = outer.and_then(|rest| rest.split_once(": ")) {
            fields.push((name.replace('_', "-"), value.to_owned()));
        } else if let Some((_, value)) = fields.last_mut().filter(|_| line.starts_with("    ")) {
            let _ = write!(value, " {}", line.trim_start());
        }
    }
    for (_, value) in &mut fields {
        value.truncate(value.trim_end_matches(',').len());
    }
    fields
}

/// An input and the state of its files.
pub(in crate::job) fn described(path: &Path, mut files: Vec<PathBuf>) -> String {
    // What another program notes beside a raster shows in the plan, if it matters.
    files.retain(|file| !file.as_os_str().as_encoded_bytes().ends_with(b".aux.xml"));
    files.sort();
    let own = absolute(path);
    let mut text = format!("'{}'", own.display());
    let states = files.iter().filter_map(|file| Some((absolute(file), state(file)?)));
    let mut sum = Xxh3::new();
    let mut count = 0;
    for (file, state) in states {
        count += 1;
        if file == own {
            let _ = write!(text, ", {state}");
        } else if count <= NAMED_FILES {
            let _ = write!(text, ", with '{}', {state}", file.display());
        }
        sum.update(format!("{} {state}", file.display()).as_bytes());
    }
    if count > NAMED_FILES {
        let _ = write!(text, " and others of {count} files (state {:016x})", sum.digest());
    }
    text
}

/// Size and time of change of a file, or what its server says of it. `None` where there is none that GDAL could not do without.
fn state(file: &Path) -> Option<String> {
    if let Some(state) = served::state(file) {
        return Some(state);
    }
    let metadata = std::fs::metadata(on_disk(file)?).ok()?;
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(format!("{} bytes of {}.{:09}", metadata.len(), changed.as_secs(), changed.subsec_nanos()))
}

/// The file on this machine that holds what a path of GDAL names: of `/vsizip/a/b.zip/c.tif`, `a/b.zip`.
fn on_disk(path: &Path) -> Option<PathBuf> {
    let mut text = path.to_str()?;
    if !text.starts_with("/vsi") {
        return Some(path.to_owned());
    }
    while text.starts_with("/vsi") {
        text = text[1..].split_once('/')?.1;
    }
    let bare = text.replace(['{', '}'], "");
    Path::new(&bare).ancestors().find(|path| path.is_file()).map(Path::to_owned)
}

/// A hash of everything the plan holds but how memory is shared out and how paths are spelled.
fn plan_hash(plan: &Plan) -> u64 {
    let mut plan = Plan { budget: Budget::default(), guesses: Vec::new(), ..plan.clone() };
    let inputs = plan.bases.iter_mut().flat_map(|base| &mut base.inputs);
    for part in inputs.flat_map(|input| &mut input.parts) {
        part.spec = SourceSpec::default();
    }
    Hash::of(&plan)
}

/// Hashes what is written to it.
pub(in crate::job) struct Hash(Xxh3);

impl Hash {
    /// The hash of what `Debug` shows of a value.
    pub(in crate::job) fn of(value: &impl fmt::Debug) -> u64 {
        let mut hash = Self(Xxh3::new());
        // Writing to a hash cannot fail.
        let _ = write!(hash, "{value:?}");
        hash.0.digest()
    }
}

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::grid::Bounds;
    use crate::raster::crs::Extent;
    use crate::resampling::Resampling;

    fn job() -> TileJob {
        TileJob::new(vec![SourceSpec::new("a.tif")], Target::new("/elsewhere/set.pmtiles"))
    }

    fn shown(job: &TileJob) -> Vec<(String, String)> {
        fields(&format!("{:#?}", comparable(job)))
    }

    #[test]
    fn every_field_of_a_job_is_there_with_its_whole_value() {
        let mut job = job();
        job.bbox = Some(Extent::degrees(Bounds { west: -1.5, south: 2.0, east: 3.0, north: 4.0 }));
        job.labels.name = Some("two\nlines, \"quoted\"".to_owned());
        let fields = shown(&job);
        let value = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        for name in ["min-zoom", "resampling", "tiles", "terrain", "labels", "bbox", "tile-size", "target"] {
            assert!(value(name).is_some(), "{name}: {fields:?}");
        }
        assert_eq!(value("tile-size"), Some("256"));
        assert_eq!(
            value("bbox"),
            Some(
                "Some( Extent { degrees: Bounds { west: -1.5, south: 2.0, east: 3.0, north: 4.0, }, given: None, }, )"
            )
        );
        assert!(value("labels").is_some_and(|v| v.contains(r#"two\nlines, \"quoted\""#)), "{fields:?}");
    }

    #[test]
    fn whatever_changes_a_tile_makes_another_job() {
        let change: [fn(&mut TileJob); 9] = [
            |job| job.max_zoom = Some(7),
            |job| job.overview_resampling = Some(Resampling::Mode),
            |job| job.tile_size = 512,
            |job| job.retina = true,
            |job| {
                let mut set = crate::grid::TileMatrixSet::web_mercator();
                set.matrices[7].west += 1.0;
                job.tiling = super::super::TilingScheme::Set(set.into());
            },
            |job| job.labels.attribution = Some("me".to_owned()),
            |job| job.categorical = true,
            |job| job.target.path = PathBuf::from("/elsewhere/set.mbtiles"),
            |job| job.tiles = crate::encode::EncoderOptions::new(crate::encode::TileFormat::Webp),
        ];
        for (k, change) in change.iter().enumerate() {
            let mut other = job();
            change(&mut other);
            assert!(shown(&other) != shown(&job()), "change {k}");
        }
    }

    #[test]
    fn what_changes_no_tile_makes_no_other_job() {
        let mut other = job();
        (other.threads, other.readers, other.memory) = (77, 66, 1 << 33);
        (other.resume, other.target.overwrite) = (true, true);
        other.settings.push("GDAL_CACHEMAX=64".to_owned());
        other.target.path = PathBuf::from("set.pmtiles");
        other.webviewers.push(crate::view::Webviewer::Leaflet);
        assert_eq!(shown(&other), shown(&job()));
    }

    #[test]
    fn files_in_archives_are_known_by_the_archive() {
        let dir = tempfile::tempdir().expect("tempdir");
        let zip = dir.path().join("a.zip");
        std::fs::write(&zip, "PK").expect("file");
        let inside = |prefix: &str| on_disk(Path::new(&format!("{prefix}{}/b/c.tif", zip.display())));
        assert_eq!(inside("/vsizip/").as_deref(), Some(&*zip));
        assert_eq!(inside("/vsitar//vsigzip/").as_deref(), Some(&*zip));
        assert_eq!(on_disk(Path::new("/vsicurl/https://example.org/a.tif")), None);
        assert_eq!(on_disk(Path::new("a.tif")).as_deref(), Some(Path::new("a.tif")));
    }

    #[test]
    fn a_file_that_grows_or_is_touched_changes_its_input() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (own, beside) = (dir.path().join("a.tif"), dir.path().join("a.tif.ovr"));
        let describe = || described(&own, vec![own.clone(), beside.clone()]);
        let mut seen = HashSet::new();
        for (file, text) in [(&own, "1"), (&own, "22"), (&beside, "1"), (&beside, "22"), (&beside, "22")] {
            std::thread::sleep(std::time::Duration::from_millis(20));
            std::fs::write(file, text).expect("written");
            assert!(seen.insert(describe()), "{file:?} {text}");
        }
    }
}
