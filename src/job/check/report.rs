//! What was found: faults by rule, and what was seen of each file.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is broken or untrue: some program will fail, or show what is not there.
    Error,
    /// Something is unusual, or worse than it could be.
    Warning,
}

/// All faults of one kind in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// The rule that is broken, a word that does not change between versions.
    pub rule: &'static str,
    /// How many times it is broken.
    pub count: u64,
    /// The first of these, as sentences about the file.
    pub examples: Vec<String>,
}

/// Faults as they are found; of each kind the first few are kept, the others are counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    most: usize,
    list: Vec<Fault>,
}

impl Faults {
    /// None so far; of each kind `most` examples will be kept.
    pub(super) fn new(most: usize) -> Self {
        Self { most, list: Vec::new() }
    }

    /// Takes an error down.
    pub(super) fn error(&mut self, rule: &'static str, text: impl Into<String>) {
        self.add(Severity::Error, rule, 1, || text.into());
    }

    /// Takes a warning down.
    pub(super) fn warning(&mut self, rule: &'static str, text: impl Into<String>) {
        self.add(Severity::Warning, rule, 1, || text.into());
    }

    /// Takes the same fault down several times; the text is only made when it is kept.
    pub(super) fn add(
        &mut self,
        severity: Severity,
        rule: &'static str,
        count: u64,
        text: impl FnOnce() -> String,
    ) {
        let known = self.list.iter().position(|f| (f.severity, f.rule) == (severity, rule));
        let at = known.unwrap_or_else(|| {
            self.list.push(Fault { severity, rule, count: 0, examples: Vec::new() });
            self.list.len() - 1
        });
        let fault = &mut self.list[at];
        fault.count += count;
        if fault.examples.len() < self.most {
            let text = text();
            fault.examples.push(text);
        }
    }

    /// Takes down what another list holds, after what this one does.
    pub(super) fn extend(&mut self, others: Self) {
        for fault in others.list {
            let shown = fault.examples.len() as u64;
            for text in fault.examples {
                self.add(fault.severity, fault.rule, 1, || text);
            }
            let rest = fault.count - shown;
            if let Some(own) =
                self.list.iter_mut().find(|f| (f.severity, f.rule) == (fault.severity, fault.rule))
            {
                own.count += rest;
            }
        }
    }

    /// How many errors, or warnings, there are.
    pub(super) fn count(&self, severity: Severity) -> u64 {
        self.list.iter().filter(|f| f.severity == severity).map(|f| f.count).sum()
    }

    /// Whether a rule is broken.
    pub(super) fn has(&self, rule: &str) -> bool {
        self.list.iter().any(|f| f.rule == rule)
    }

    /// All of them, errors first.
    fn finish(mut self) -> Vec<Fault> {
        self.list.sort_by_key(|fault| fault.severity);
        self.list
    }
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is sound.
    Ok,
    /// Something is wrong with it.
    Faulty,
    /// It could not be checked: it cannot be opened, or is nothing that is known here.
    Unchecked,
}

/// What a file holds.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Contents {
    /// Pixels.
    Raster(RasterFacts),
    /// Tiles.
    Tiles(TileFacts),
}

/// What a `GeoTIFF` holds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RasterFacts {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Number of bands.
    pub bands: usize,
    /// Sample type of the first band, as GDAL names it.
    pub sample_type: String,
    /// Columns and rows of a block.
    pub block: [usize; 2],
    /// Columns and rows of the overviews.
    pub overviews: Vec<[usize; 2]>,
    /// Blocks that are stored, of all images, bands and masks.
    pub blocks: u64,
    /// Blocks that were unpacked.
    pub unpacked: u64,
    /// Whether it is a cloud-optimised `GeoTIFF`.
    pub cog: bool,
    /// Why it is none, as the validators of GDAL and rio-cogeo see it.
    pub cog_errors: Vec<String>,
    /// What these validators recommend.
    pub cog_warnings: Vec<String>,
}

/// What a tile set holds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TileFacts {
    /// Lowest level with tiles.
    pub min_zoom: Option<u8>,
    /// Highest level with tiles.
    pub max_zoom: Option<u8>,
    /// Addresses that have a tile.
    pub tiles: u64,
    /// Tiles that are stored: equal ones may be stored once.
    pub stored: u64,
    /// Stored tiles that were decoded; those of equal bytes are decoded once.
    pub decoded: u64,
    /// Stored tiles that are wholly transparent.
    pub transparent: u64,
    /// Bytes of the stored tiles.
    pub bytes: u64,
    /// Extension of the tiles.
    pub format: Option<&'static str>,
    /// Pixels along a side of a tile.
    pub pixels: Option<u32>,
    /// West, south, east and north in degrees of the tiles of the highest level, in Web Mercator.
    pub extent: Option<[f64; 4]>,
}

/// What was found out about one file.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// The file or folder, as it was given.
    pub path: PathBuf,
    /// What became of it.
    pub verdict: Verdict,
    /// What it is: `cog`, `geotiff`, `mbtiles`, `pmtiles`, `folder` or `tar`.
    pub kind: Option<&'static str>,
    /// Why it could not be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many errors there are.
    pub errors: u64,
    /// How many warnings there are.
    pub warnings: u64,
    /// What is wrong, errors first.
    pub faults: Vec<Fault>,
    /// What was not looked at, and why.
    pub notes: Vec<String>,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
    /// Wall time.
    pub seconds: f64,
}

/// What a check of one file gathers.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) kind: &'static str,
    pub(super) faults: Faults,
    pub(super) notes: Vec<String>,
    pub(super) contents: Option<Contents>,
}

impl Findings {
    pub(super) fn new(kind: &'static str, most: usize) -> Self {
        Self { kind, faults: Faults::new(most), notes: Vec::new(), contents: None }
    }

    /// The report; with `strict`, warnings are faults.
    pub(super) fn report(self, path: &Path, strict: bool, seconds: f64) -> FileReport {
        let Self { kind, faults, notes, contents } = self;
        let errors = faults.count(Severity::Error);
        let warnings = faults.count(Severity::Warning);
        let faulty = errors > 0 || (strict && warnings > 0);
        FileReport {
            path: path.to_owned(),
            verdict: if faulty { Verdict::Faulty } else { Verdict::Ok },
            kind: Some(kind),
            reason: None,
            errors,
            warnings,
            faults: faults.finish(),
            notes,
            contents,
            seconds,
        }
    }
}

impl FileReport {
    /// The report on a file that could not be checked.
    pub(super) fn unchecked(path: &Path, reason: String, seconds: f64) -> Self {
        Self {
            path: path.to_owned(),
            verdict: Verdict::Unchecked,
            kind: None,
            reason: Some(reason),
            errors: 0,
            warnings: 0,
            faults: Vec::new(),
            notes: Vec::new(),
            contents: None,
            seconds,
        }
    }
}

/// What was found out about all files.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether all are sound.
    pub ok: bool,
    /// How many are faulty.
    pub faulty: usize,
    /// How many could not be checked.
    pub unchecked: usize,
    /// The files, in the order given.
    pub files: Vec<FileReport>,
    /// Wall time.
    pub seconds: f64,
    /// Most bytes resident at a time; `None` where the system does not tell.
    pub peak_memory: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_some_are_kept_and_all_are_counted() {
        let mut faults = Faults::new(2);
        faults.warning("odd", "o1");
        for n in 0..5 {
            faults.error("torn", format!("t{n}"));
        }
        let mut more = Faults::new(2);
        for n in 5..9 {
            more.error("torn", format!("t{n}"));
        }
        faults.extend(more);
        assert_eq!((faults.count(Severity::Error), faults.count(Severity::Warning)), (9, 1));
        let list = faults.finish();
        assert_eq!((list[0].rule, list[0].count), ("torn", 9));
        assert_eq!(list[0].examples, ["t0", "t1"]);
        assert_eq!(list[1].rule, "odd");
    }

    #[test]
    fn warnings_are_faults_when_that_is_asked_for() {
        for (strict, verdict) in [(false, Verdict::Ok), (true, Verdict::Faulty)] {
            let mut findings = Findings::new("tar", 3);
            findings.faults.warning("odd", "it is odd");
            assert_eq!(findings.report(Path::new("a.tar"), strict, 0.0).verdict, verdict);
        }
    }
}
