//! What two jobs must have in common for one to go on with the unfinished work of the other: all fields of the job but for how much of
//! the machine it takes, the inputs with size and time of change of their files, and what GDAL sees in them.

use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_64;

use super::SplitJob;
use super::plan::Plan;
use crate::error::Result;
use crate::job::effort::Versions;
use crate::job::tile::identity::{described, fields, is_harmless};
use crate::raster::SourceSpec;
use crate::sink::Identity;
use crate::target::Target;

/// The identity of a job with its plan.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) when an input cannot be opened any more.
pub(super) fn identity(job: &SplitJob, plan: &Plan) -> Result<Identity> {
    let mut identity = Identity::default();
    let Versions { tileloom, gdal } = Versions::current();
    identity.add("the version of tileloom", tileloom);
    identity.add("the version of GDAL", gdal);
    for (name, value) in fields(&format!("{:#?}", comparable(job))) {
        identity.add(name, value);
    }
    let like = job.like.iter().map(|spec| ("the raster of the grid", spec));
    for (name, spec) in job.inputs.iter().map(|i| ("an input", &i.source)).chain(like) {
        identity.add(name, described(&spec.path, spec.files()?));
        let own = SourceSpec { path: PathBuf::new(), ..spec.clone() };
        identity.add("its reading", format!("{own:?}"));
    }
    if let Some(footprints) = &job.footprints {
        identity.add("the footprints", described(&footprints.path, vec![footprints.path.clone()]));
    }
    let seen: Vec<_> = plan.layers.iter().map(|l| (&l.description, &l.placement, &l.fill)).collect();
    let windows = [0, plan.count() - 1].map(|k| plan.window(k));
    let text = format!("{seen:?} {windows:?} {}", plan.count());
    identity.add_derived(
        "what GDAL sees in the inputs, as a hash,",
        format!("{:016x}", xxh3_64(text.as_bytes())),
    );
    Ok(identity)
}

/// A job without what cannot change a chip.
fn comparable(job: &SplitJob) -> SplitJob {
    let target = Target {
        path: job.target.path.file_name().map(PathBuf::from).unwrap_or_default(),
        overwrite: false,
        tmp_dir: None,
    };
    let names: Vec<_> =
        job.inputs.iter().map(|i| super::SplitInput { source: SourceSpec::default(), ..i.clone() }).collect();
    let settings = job.settings.iter().filter(|s| !is_harmless(s)).cloned().collect();
    let footprints =
        job.footprints.clone().map(|f| crate::raster::cutline::CutlineSpec { path: PathBuf::new(), ..f });
    let same = SplitJob { inputs: names, target, settings, footprints, like: None, ..job.clone() };
    SplitJob { readers: 0, threads: 0, memory: 0, resume: false, ..same }
}
