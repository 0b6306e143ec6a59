//! The plan of a split: everything that decides its result.

use std::collections::HashSet;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::inputs::{self, Layer, Looked};
use super::layout::{Axis, Layout};
use super::names::{Digits, Numbers, Template, digits, source_name};
use super::partition::{Partition, Subset};
use super::{Edges, Extent, SplitJob, budget};
use crate::error::{Error, Result};
use crate::job::calc::grid::Grid;
use crate::raster::footprints::{self, Footprints};
use crate::window::{Size, Window};

/// Width and height of chips in pixels, unless something else is said.
const SIDE: usize = 256;

/// The largest side of a chip, in pixels.
const MOST: f64 = 1e6;

/// Chips along a side of the squares that are dealt out to subsets, unless something else is said.
const CHIPS_OF_A_BLOCK: usize = 4;

/// How near to the edge of a pixel a footprint is on it, in pixels.
const NEXT: f64 = 0.05;

/// How far chips may lie beyond the edge, in pixels.
const FAR: i64 = 1 << 40;

/// How the memory of a run is shared out, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// The program itself and GDAL's cache.
    pub fixed: usize,
    /// Decoded source blocks shared by the readers.
    pub chunks: usize,
    /// Places in flight.
    pub in_flight: usize,
    /// Bytes in flight of a place.
    pub task: usize,
}

/// Where chips lie.
#[derive(Debug)]
enum Places {
    Grid(Layout),
    Windows(Vec<Window>),
}

/// Everything that decides the result.
#[derive(Debug)]
pub struct Plan {
    /// The grid of pixels that places are windows of.
    pub(super) grid: Grid,
    /// The inputs.
    pub layers: Vec<Layer>,
    places: Places,
    partition: Option<Partition>,
    /// The subsets, or none.
    pub subsets: Vec<Subset>,
    /// Places that lie in squares of several subsets, and are left out.
    pub astride: usize,
    kept: usize,
    names: (Template, String, Digits),
    /// What becomes of chips at the edge.
    pub(super) edges: Edges,
    /// Where memory goes.
    pub budget: Budget,
    /// What was decided in the user's place, each with the option that says so.
    pub guesses: Vec<String>,
    /// What the user should know of the inputs.
    pub notes: Vec<String>,
}

impl Plan {
    /// Looks at the inputs and plans the job.
    ///
    /// # Errors
    /// [`Error::Usage`] for what makes no sense, [`Error::Input`] for inputs that cannot be read or brought onto one grid,
    /// [`Error::Output`] when an input lies in the output, [`Error::Memory`] when the memory allowed is not enough.
    pub fn new(job: &SplitJob) -> Result<Self> {
        let Looked { grid, layers, guesses, notes } = inputs::look(job)?;
        let template = Template::new(&job.name, job.shards.is_some())
            .map_err(|e| Error::Usage(format!("--name '{}' {e}", job.name)))?;
        let source = source_name(&job.inputs[0].source.path);
        let mut plan = Self {
            places: Places::Windows(Vec::new()),
            partition: None,
            subsets: Vec::new(),
            astride: 0,
            kept: 0,
            names: (template, source, Digits { row: 1, column: 1, pixel: 1, index: 1 }),
            edges: job.edges,
            budget: Budget::default(),
            grid,
            layers,
            guesses,
            notes,
        };
        plan.places = plan.find_places(job)?;
        if plan.count() == 0 {
            let size = plan.grid.size;
            return Err(plan.grid.spec.error(format!(
                "holds no chip: it has {} × {} pixels, and --edges drop leaves out what is not whole",
                size.width, size.height
            )));
        }
        plan.names.2 = plan.digits();
        plan.deal(job);
        plan.check_names(job)?;
        plan.budget = budget::share_out(&plan, job)?;
        let sizes: HashSet<(usize, usize)> =
            [0, plan.count() - 1].map(|k| plan.window(k)).map(|w| (w.width, w.height)).into();
        for layer in &plan.layers {
            sizes.iter().try_for_each(|(w, h)| layer.encoder.try_out(Size::new(*w, *h)))?;
        }
        Ok(plan)
    }

    fn find_places(&mut self, job: &SplitJob) -> Result<Places> {
        let raster = self.grid.size;
        if let Some(spec) = &job.footprints {
            let size = match job.extent {
                Extent::Size { size: Some(size), ground, .. } => Some(self.pixels("--size", size, ground)?),
                _ => None,
            };
            return self.around_features(&spec.clone(), size);
        }
        Ok(Places::Grid(match job.extent {
            Extent::Grid { columns, rows } => Layout {
                columns: Axis::divided(raster.width, columns),
                rows: Axis::divided(raster.height, rows),
            },
            Extent::Size { size, overlap, stride, ground } => {
                let size = if let Some(size) = size {
                    self.pixels("--size", size, ground)?
                } else {
                    self.guesses.push(format!("--size {SIDE}"));
                    Size::new(SIDE, SIDE)
                };
                let stride = match (overlap, stride) {
                    (Some(overlap), _) if overlap != (0.0, 0.0) => {
                        let over = self.pixels("--overlap", overlap, ground)?;
                        let rest = |size: usize, over: usize| size.checked_sub(over).filter(|n| *n > 0);
                        match (rest(size.width, over.width), rest(size.height, over.height)) {
                            (Some(width), Some(height)) => Size::new(width, height),
                            _ => {
                                return Err(Error::Usage(
                                    "--overlap: give less than the size of a chip".to_owned(),
                                ));
                            }
                        }
                    }
                    (_, Some(stride)) => self.pixels("--stride", stride, ground)?,
                    _ => size,
                };
                Layout::new(raster, size, stride, job.edges)
            }
        }))
    }

    /// A length in pixels.
    fn pixels(&mut self, option: &str, (x, y): (f64, f64), ground: bool) -> Result<Size> {
        let usage = |text: String| Err(Error::Usage(format!("{option} {x} {y}: {text}")));
        let (mut columns, mut rows) = (x, y);
        if ground {
            let Some(g) = self.grid.geotransform() else {
                return usage("--units ground needs a raster with a geotransform".to_owned());
            };
            (columns, rows) = (x / g[1].hypot(g[4]), y / g[2].hypot(g[5]));
        }
        let whole = |v: f64| v.round().max(if option == "--overlap" { 0.0 } else { 1.0 });
        let (width, height) = (whole(columns), whole(rows));
        if !(width <= MOST && height <= MOST) {
            return usage(format!("that is {columns} × {rows} pixels, and {MOST} a side are the most"));
        }
        let odd = |v: f64, whole: f64| (v - whole).abs() > 1e-6 * v.max(1.0);
        if odd(columns, width) || odd(rows, height) {
            if !ground {
                return usage("give whole numbers of pixels, or --units ground".to_owned());
            }
            self.notes.push(format!(
                "{option} {x} {y} is not a whole number of pixels: {width} × {height} are taken"
            ));
        }
        Ok(Size::new(width as usize, height as usize))
    }

    /// A place for each feature: around it, or of a size with its middle there.
    fn around_features(
        &mut self,
        spec: &crate::raster::cutline::CutlineSpec,
        size: Option<Size>,
    ) -> Result<Places> {
        let Some(geotransform) = self.grid.geotransform() else {
            return Err(self
                .grid
                .spec
                .error("has no geotransform, so nobody knows where --footprints lie in it"));
        };
        let wkt = self.grid.georeferencing.wkt.clone();
        let Footprints { boxes, guess } = footprints::read(spec, &geotransform, wkt.as_deref())?;
        self.guesses.extend(guess);
        let raster = self.grid.size.window();
        let all = boxes.len();
        let mut windows = Vec::with_capacity(all);
        for [left, top, right, bottom] in boxes {
            let window = if let Some(Size { width, height }) = size {
                let start = |a: f64, b: f64, n: usize| (f64::midpoint(a, b) - n as f64 / 2.0).round() as i64;
                Window::new(start(left, right, width), start(top, bottom, height), width, height)
            } else {
                // What lies next to the edge of a pixel lies on it: outlines in another CRS are as exact as that.
                let (low, high) = (|v: f64| (v + NEXT).floor() as i64, |v: f64| (v - NEXT).ceil() as i64);
                let (x, y) = (low(left), low(top));
                Window::from_edges(x, y, high(right).max(x + 1), high(bottom).max(y + 1))
            };
            let near = window.x.abs() < FAR && window.y.abs() < FAR;
            let inside = window.intersection(&raster);
            if !near || inside.is_empty() {
                continue;
            }
            if window.width as f64 > MOST || window.height as f64 > MOST {
                return Err(Error::Usage(format!("--footprints: {window} would be too large a chip")));
            }
            windows.extend(match self.edges {
                Edges::Partial => Some(inside),
                Edges::Pad => Some(window),
                Edges::Drop => raster.contains(&window).then_some(window),
                Edges::Shift => Some(shifted(&window, self.grid.size)),
            });
        }
        if windows.len() < all {
            let what = if self.edges == Edges::Drop { "not wholly inside" } else { "outside" };
            self.notes
                .push(format!("{} of {all} footprints lie {what} and make no chip", all - windows.len()));
        }
        if windows.is_empty() {
            return Err(Error::input(&spec.path, "no footprint lies in the raster"));
        }
        Ok(Places::Windows(windows))
    }

    /// Deals the places out to the subsets.
    fn deal(&mut self, job: &SplitJob) {
        self.kept = self.count();
        let Some(dealing) = &job.dealing else { return };
        let side = dealing.block.unwrap_or_else(|| {
            let longest = match &self.places {
                Places::Grid(layout) => {
                    [layout.columns, layout.rows].map(|a| a.size().max(a.stride())).into_iter().max()
                }
                Places::Windows(all) => all.iter().map(|w| w.width.max(w.height)).max(),
            };
            let side = CHIPS_OF_A_BLOCK * longest.unwrap_or(SIDE);
            self.guesses.push(format!("--subset-block {side}"));
            side
        });
        let windows = (0..self.count()).map(|k| self.window(k));
        let partition = Partition::new(self.grid.size, side, dealing.seed, &dealing.subsets, windows);
        self.subsets.clone_from(&dealing.subsets);
        self.partition = Some(partition);
        self.kept = (0..self.count()).filter(|k| self.subset(*k).is_some()).count();
        self.astride = self.count() - self.kept;
        if self.astride > 0 {
            self.notes.push(format!(
                "{} of {} chips lie in squares of several subsets and are left out; fewer do with a larger --subset-block",
                self.astride,
                self.count()
            ));
        }
    }

    fn digits(&self) -> Digits {
        let (columns, rows) = match &self.places {
            Places::Grid(layout) => (layout.columns.count(), layout.rows.count()),
            Places::Windows(all) => (all.len(), 1),
        };
        let size = self.grid.size;
        Digits {
            row: digits(rows - 1),
            column: digits(columns - 1),
            pixel: digits(size.width.max(size.height)),
            index: digits(self.count() - 1),
        }
    }

    fn check_names(&self, job: &SplitJob) -> Result<()> {
        let usage = |text: String| Error::Usage(format!("--name '{}' {text}", job.name));
        let last = self.numbers(self.count() - 1);
        let (template, source, digits) = &self.names;
        template.name(source, &last, digits).map_err(usage)?;
        if template.is_unique() {
            return Ok(());
        }
        let mut seen = HashSet::with_capacity(self.count());
        for number in self.tasks() {
            let name = self.name(number);
            if !seen.insert(xxh3_128(name.as_bytes())) {
                return Err(usage(format!(
                    "gives several chips the name '{name}': put {{index}}, {{row}} and {{column}}, or {{x}} and {{y}} in it"
                )));
            }
        }
        Ok(())
    }

    /// How many places there are, with those that are left out.
    pub fn count(&self) -> usize {
        match &self.places {
            Places::Grid(layout) => layout.count(),
            Places::Windows(all) => all.len(),
        }
    }

    /// How many places are read.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// The places that are read, by their numbers.
    pub(super) fn tasks(&self) -> impl Iterator<Item = usize> + Send + '_ {
        (0..self.count()).filter(|k| self.partition.is_none() || self.subset(*k).is_some())
    }

    /// The pixels of a place.
    pub fn window(&self, number: usize) -> Window {
        match &self.places {
            Places::Grid(layout) => layout.window(number),
            Places::Windows(all) => all[number],
        }
    }

    /// What the name of a place is made of.
    pub(super) fn numbers(&self, number: usize) -> Numbers {
        let (column, row) = match &self.places {
            Places::Grid(layout) => layout.place(number),
            Places::Windows(_) => (number, 0),
        };
        let window = self.window(number);
        Numbers { row, column, x: window.x, y: window.y, index: number }
    }

    /// The name of a place's chips.
    pub fn name(&self, number: usize) -> String {
        let (template, source, digits) = &self.names;
        // Names of the last place, which are the longest, have been made before.
        template.name(source, &self.numbers(number), digits).unwrap_or_else(|_| format!("chip_{number}"))
    }

    /// The subset of a place; `None` where there are none, and for places left out.
    pub(super) fn subset(&self, number: usize) -> Option<usize> {
        self.partition.as_ref().and_then(|p| p.subset(&self.window(number)))
    }

    /// The name of the subset of a place.
    pub(super) fn subset_name(&self, number: usize) -> Option<&str> {
        self.subset(number).and_then(|k| self.subsets.get(k)).map(|s| s.name.as_str())
    }

    /// The name of a file of a place: in the folder of its subset and its input, or in a shard.
    pub(super) fn file_name(
        &self,
        job: &SplitJob,
        number: usize,
        name: &str,
        layer: &Layer,
        extension: &str,
    ) -> String {
        let single = self.layers.len() == 1;
        if job.shards.is_some() {
            return if single {
                format!("{name}{extension}")
            } else {
                format!("{name}.{}{extension}", layer.name)
            };
        }
        let mut path = String::new();
        if let Some(subset) = self.subset_name(number) {
            path.extend([subset, "/"]);
        }
        if !single {
            path.extend([layer.name.as_str(), "/"]);
        }
        path.extend([name, extension]);
        path
    }

    /// The largest chip.
    pub fn largest(&self) -> Size {
        match &self.places {
            Places::Grid(layout) => Size::new(layout.columns.size(), layout.rows.size()),
            Places::Windows(all) => {
                let side = |of: fn(&Window) -> usize| all.iter().map(of).max().unwrap_or(0);
                Size::new(side(|w| w.width), side(|w| w.height))
            }
        }
    }

    /// Whether chips may share pixels.
    pub(super) fn overlaps(&self) -> bool {
        match &self.places {
            Places::Grid(layout) => {
                let over = |a: &Axis| a.stride() < a.size();
                over(&layout.columns) || over(&layout.rows) || self.edges == Edges::Shift
            }
            Places::Windows(_) => true,
        }
    }

    /// Columns and rows of chips, where they lie in such.
    pub fn columns_and_rows(&self) -> Option<(usize, usize)> {
        match &self.places {
            Places::Grid(layout) => Some((layout.columns.count(), layout.rows.count())),
            Places::Windows(_) => None,
        }
    }

    /// Columns and rows of the grid of pixels.
    pub fn raster(&self) -> Size {
        self.grid.size
    }

    /// Bytes of the samples of all chips, before they are packed.
    pub fn bytes(&self) -> u64 {
        let pixel: usize = self.layers.iter().map(|l| l.bands() * l.sample_type().bytes()).sum();
        self.tasks().map(|k| self.window(k).area() as u64).sum::<u64>() * pixel as u64
    }

    /// The geotransform of a place, as its chips tell it.
    pub(super) fn geotransform(&self, window: &Window) -> Option<[f64; 6]> {
        let mut g = self.grid.geotransform()?;
        let (x, y) = (window.x as f64, window.y as f64);
        g[0] += x * g[1] + y * g[2];
        g[3] += x * g[4] + y * g[5];
        Some(g)
    }
}

/// A window moved until it lies inside, and cut off where it is larger than the raster.
fn shifted(window: &Window, raster: Size) -> Window {
    let (width, height) = (window.width.min(raster.width), window.height.min(raster.height));
    let at = |v: i64, most: usize| v.clamp(0, most as i64);
    Window::new(at(window.x, raster.width - width), at(window.y, raster.height - height), width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_beyond_the_edge_are_moved_inside() {
        let raster = Size::new(100, 50);
        assert_eq!(shifted(&Window::new(90, -7, 20, 20), raster), Window::new(80, 0, 20, 20));
        assert_eq!(shifted(&Window::new(-10, 20, 200, 20), raster), Window::new(0, 20, 100, 20));
    }
}
