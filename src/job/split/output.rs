//! Where chips go: the folder with its files or shards, and what lists them.

use std::collections::BTreeMap;

use serde_json::json;

use super::SplitJob;
use super::index::{self, Listed};
use super::plan::Plan;
use super::weave::Woven;
use crate::error::{Error, Result};
use crate::pipeline;
use crate::sink::chips::{Begun, ChipSink, WrittenChips};

/// Begins the names of shards where there are no subsets.
const SHARD: &str = "chips";

/// What a finished split has written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Done {
    /// Chips of the first input.
    pub chips: u64,
    /// Places with too little data.
    pub skipped: u64,
    /// Chips of each subset.
    pub subsets: Vec<u64>,
    /// Places that an earlier run had finished.
    pub resumed: u64,
    /// Files and bytes.
    pub written: WrittenChips,
}

/// The folder, and what is known of its chips.
pub(super) struct Output<'a> {
    job: &'a SplitJob,
    plan: &'a Plan,
    sink: ChipSink,
    listed: Vec<Listed>,
    /// Names of shards, and their numbers.
    shards: (Vec<String>, BTreeMap<String, u32>),
    done: Done,
}

impl<'a> Output<'a> {
    /// Opens the folder, with the places that an earlier run has finished.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub fn create(job: &'a SplitJob, plan: &'a Plan, begun: Begun) -> Result<Self> {
        let entries = begun.entries().to_vec();
        let sink = ChipSink::create(begun, job.shards, &description(job, plan, None))?;
        let done =
            Done { subsets: vec![0; plan.subsets.len()], resumed: entries.len() as u64, ..Done::default() };
        let mut output =
            Self { job, plan, sink, listed: Vec::new(), shards: (Vec::new(), BTreeMap::new()), done };
        for entry in entries {
            let valid = entry.valid();
            if entry.has_chips() {
                output.list(entry.number, valid, entry.shard.map(|(name, _)| name));
            } else {
                output.done.skipped += 1;
            }
        }
        Ok(output)
    }

    /// Lists a place of which there are chips.
    fn list(&mut self, number: usize, valid: f64, shard: Option<String>) {
        if let Some(k) = self.plan.subset(number) {
            self.done.subsets[k] += 1;
        }
        self.done.chips += 1;
        let shard = shard.map(|name| self.shard(name));
        self.listed.push(Listed { number, valid, shard });
    }

    /// The number of a shard.
    fn shard(&mut self, name: String) -> u32 {
        let (names, numbers) = &mut self.shards;
        *numbers.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            names.len() as u32 - 1
        })
    }
}

impl pipeline::Sink for Output<'_> {
    type Item = Woven;
    type Done = Done;
    type Error = Error;

    fn write(&mut self, woven: Woven) -> Result<()> {
        let Woven { number, valid, files } = woven;
        let Some(files) = files else {
            self.done.skipped += 1;
            return self.sink.skip(number, valid);
        };
        let subset = self.plan.subset_name(number).unwrap_or(SHARD);
        let shard = self.sink.chip((number, valid), subset, &files)?;
        self.list(number, valid, shard);
        Ok(())
    }

    fn finish(mut self) -> Result<Done> {
        if self.listed.is_empty() {
            return Err(Error::input(
                &self.job.inputs[0].source.path,
                format!("gives no chip: none has data in {} of its pixels (--min-valid)", self.job.min_valid),
            ));
        }
        let shards = &self.shards.0;
        for kind in &self.job.index {
            let list = index::List { job: self.job, plan: self.plan, chips: &self.listed, shards };
            self.sink.text(kind.file_name(), |out| list.write(*kind, out))?;
        }
        self.done.written = self.sink.finish(&description(self.job, self.plan, Some(self.done.chips)))?;
        Ok(self.done)
    }
}

/// What says that a folder holds chips, and how they were cut. `chips` is how many there are, once that is known.
fn description(job: &SplitJob, plan: &Plan, chips: Option<u64>) -> String {
    let mut extensions = vec![".json".to_owned(), ".csv".to_owned(), ".geojson".to_owned()];
    if job.shards.is_some() {
        extensions.push(".tar".to_owned());
    } else {
        extensions.extend(plan.layers.iter().map(|l| l.encoder.extension().to_owned()));
        // What drivers put beside their files.
        extensions.extend([".xml", ".wld", ".hdr", ".prj", ".msk", ".ovr", ".tfw"].map(str::to_owned));
        extensions.extend(plan.layers.iter().flat_map(|l| l.encoder.beside().to_vec()));
    }
    extensions.sort();
    extensions.dedup();
    let inputs: Vec<_> = plan
        .layers
        .iter()
        .map(|l| json!({"name": l.name, "label": l.label, "format": l.driver(), "bands": l.bands(), "type": l.sample_type().name()}))
        .collect();
    let largest = plan.largest();
    let mut told = json!({
        "generator": concat!("tileloom ", env!("CARGO_PKG_VERSION")),
        "inputs": inputs,
        "size": [largest.width, largest.height],
        "edges": job.edges.name(),
        "chips": chips,
        "extensions": extensions,
    });
    if let Some(crs) = &plan.grid.georeferencing.crs {
        told["crs"] = json!(crs);
    }
    if let Some(dealing) = &job.dealing {
        let shares: serde_json::Map<_, _> =
            dealing.subsets.iter().map(|s| (s.name.clone(), json!(s.share))).collect();
        told["subsets"] = json!(shares);
        told["seed"] = json!(dealing.seed);
    }
    // A value made of strings and numbers is always text.
    let text = serde_json::to_string_pretty(&told).unwrap_or_default();
    text + "\n"
}
