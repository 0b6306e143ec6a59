//! Running contestants in turn.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::measure::{self, Others, Usage};
use crate::programs::{Contestant, Task};
use crate::tiles::{Container, Difference, Extent, Set};

/// How many tiles of the highest level are compared pixel by pixel.
const COMPARED: usize = 64;

/// How measuring goes on.
pub struct Rounds<'a> {
    scratch: PathBuf,
    /// Measured rounds.
    pub count: u16,
    others: &'a mut Others,
    /// Outputs so far, for their names.
    outputs: usize,
}

/// One who did the job once.
pub struct Entered {
    /// Who.
    pub contestant: Contestant,
    /// What came out.
    pub extent: Extent,
    /// How far its pixels are from those they are compared with.
    pub difference: Option<Difference>,
    /// What each measured round used.
    pub usage: Vec<Usage>,
}

impl<'a> Rounds<'a> {
    /// Rounds that write into a folder.
    pub fn new(scratch: PathBuf, count: u16, others: &'a mut Others) -> Self {
        Self { scratch, count, others, outputs: 0 }
    }

    /// The folder for what is made.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Runs a contestant once.
    pub fn once(&mut self, contestant: &Contestant, task: &Task) -> Result<(Usage, Set)> {
        self.outputs += 1;
        let path = contestant.container.path(&self.scratch, &format!("output{}", self.outputs));
        eprintln!("{}", contestant.name);
        let usage = measure::run(&contestant.commands(task, &path), &self.scratch)?;
        let extension = contestant.form.extension();
        Ok((usage, Set { path, container: contestant.container, extension }))
    }

    /// The round that is not measured: who fails here does not take part. Outputs are counted, and their pixels compared
    /// with those of `reference`, or of the first.
    pub fn enter(
        &mut self,
        contestants: Vec<Contestant>,
        task: &Task,
        reference: Option<&Set>,
    ) -> Result<(Vec<Entered>, Vec<String>)> {
        let (mut entered, mut skipped) = (Vec::new(), Vec::new());
        let mut first: Option<Set> = None;
        for contestant in contestants {
            let set = match self.once(&contestant, task) {
                Ok((_, set)) => set,
                Err(error) if first.is_some() => {
                    skipped.push(format!("{}: {error}", contestant.name));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let extent = set.extent()?;
            let difference = match reference.or(first.as_ref()) {
                Some(other) => Difference::between(other, &set, task.levels.1, COMPARED)?,
                None => None,
            };
            match &first {
                None => first = Some(set),
                Some(_) => discard(&set)?,
            }
            entered.push(Entered { contestant, extent, difference, usage: Vec::new() });
        }
        if let Some(first) = first {
            discard(&first)?;
        }
        Ok((entered, skipped))
    }

    /// One measured round of one contestant.
    pub fn measured(&mut self, contestant: &Contestant, task: &Task) -> Result<(Usage, Extent)> {
        let mut others = *self.others;
        let mut made = None;
        let usage = others.beside(|| {
            let (usage, set) = self.once(contestant, task)?;
            made = Some(set);
            Ok(usage)
        })?;
        *self.others = others;
        let set = made.ok_or("nothing was made")?;
        let extent = set.extent()?;
        discard(&set)?;
        Ok((usage, extent))
    }
}

/// Deletes an archive; a folder stays until the end, because creating files is slow just after as many were deleted.
pub fn discard(set: &Set) -> Result<()> {
    match set.container {
        Container::Folder => Ok(()),
        Container::Mbtiles | Container::Pmtiles => Ok(fs::remove_file(&set.path)?),
    }
}
