//! Operations one after the other, in one pass over the raster.
//!
//! What looks at one pixel alone becomes part of a program; the program that makes the bands takes in those at the beginning. Between
//! programs stand the operations that need pixels around. Each of these makes the window that was asked for, widened by what all
//! after it need, and cut off at the raster's border: beyond it stands what the [`Edge`] of the next one says, so that every
//! operation sees the border as if it were alone.

mod border;
mod evaluate;
mod programs;

use std::sync::Arc;

use super::call::Call;
use super::facts::Facts;
use super::formulas::Formula;
use super::stack::{Real, Stack};
use super::table::Built;
use super::{Edge, Operation};
use crate::block::SampleType;
use crate::error::{Error, Result};
use crate::expr::{self, Kind, Program};
use crate::window::{Size, Window};
use border::bordered;
use evaluate::evaluate;
pub(crate) use evaluate::take;
use programs::{begin, facts_of, follow};

/// Most pixels that a chain may need on each side.
const WIDEST: usize = 1024;

/// The ground that pixels stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ground {
    /// Columns' and rows' distance in units of the CRS; that of rows is negative where north is up.
    pub pixel: [f64; 2],
    /// Units of height in a unit of the CRS, along rows and along columns.
    pub scale: [f64; 2],
}

impl Default for Ground {
    /// Pixels of one unit of height, the first row in the north.
    fn default() -> Self {
        Self { pixel: [1.0, -1.0], scale: [1.0, 1.0] }
    }
}

/// What a chain begins with.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The rasters.
    pub inputs: &'a [expr::Input],
    /// What makes the bands that enter; where there is none, those of the first raster do.
    pub expressions: &'a [String],
    /// The 0-based bands of the first raster that enter then.
    pub entering: Vec<usize>,
    /// The ground that pixels stand for.
    pub ground: Ground,
    /// What the pixels beyond the border are taken for, where the user says so.
    pub edge: Option<Edge>,
    /// Whether samples, or the output, need 64 bits.
    pub double: bool,
}

/// A part of a chain.
#[derive(Debug, Clone)]
enum Step {
    Program(Program),
    Operation { operation: Arc<dyn Operation>, edge: Edge, bands: usize, text: String },
}

impl Step {
    fn halo(&self) -> usize {
        match self {
            Self::Program(_) => 0,
            Self::Operation { operation, .. } => operation.halo(),
        }
    }
}

/// A program that makes bands, and what becomes of them.
#[derive(Debug, Clone)]
pub struct Chain {
    program: Program,
    steps: Vec<Step>,
    outputs: Vec<Facts>,
    double: bool,
}

impl Chain {
    /// Puts expressions and operations together.
    ///
    /// # Errors
    /// [`Error::Expression`] for what makes no sense, [`Error::Usage`] for operations that cannot work on what comes before them,
    /// [`Error::Input`] for files that cannot be read.
    pub fn plan(calls: &[Call], scene: &Scene<'_>) -> Result<Self> {
        let mut groups: Vec<Group<'_>> = vec![Group { formulas: Vec::new(), operation: None }];
        let mut sample_type = None;
        for (number, call) in calls.iter().enumerate() {
            match call.entry.build(&call.arguments, &scene.ground)? {
                Built::Operation(operation) => {
                    groups.push(Group { formulas: Vec::new(), operation: Some((operation, call)) });
                }
                // What stands at the end is said of the output, which counts what does not fit.
                Built::Formula(formula) if number + 1 == calls.len() && formula.sample_type.is_some() => {
                    sample_type = formula.sample_type;
                }
                Built::Formula(formula) => {
                    if let Some(group) = groups.last_mut() {
                        group.formulas.push(formula);
                    }
                }
            }
        }
        let mut groups = groups.into_iter();
        let first = groups.next().map(|g| g.formulas).unwrap_or_default();
        let alone = calls.first().is_some_and(|c| c.entry.takes_one_band());
        let (program, origins) = begin(scene, &first, alone)?;
        let places = program.outputs().iter().any(|o| !o.places.is_empty());
        let mut facts = facts_of(&program, &origins, &first);
        let mut steps = Vec::new();
        for Group { formulas, operation } in groups {
            if let Some((operation, call)) = operation {
                let edge = operation.edge(scene.edge);
                if edge == Edge::Extrapolate && operation.halo() > 1 {
                    let reason = "only 3 × 3 pixels can be extrapolated: give nodata, nearest or reflect";
                    return Err(call.arguments.error("edge", reason).into());
                }
                let bordered = edge == Edge::Nodata && operation.halo() > 0;
                facts = operation
                    .facts(&facts, bordered)
                    .map_err(|e| Error::Usage(format!("{}: {e}", call.text())))?;
                let (bands, text) = (facts.len(), call.text().to_owned());
                steps.push(Step::Operation { operation, edge, bands, text });
            }
            if !formulas.is_empty() {
                let program = follow(&facts, &formulas)?;
                let origins: Vec<_> = facts.iter().map(|f| f.origin).collect();
                facts = facts_of(&program, &origins, &formulas);
                steps.push(Step::Program(program));
            }
        }
        for facts in &mut facts {
            facts.sample_type = sample_type;
        }
        let long = |o: &expr::Output| {
            let most = o.range.low.abs().max(o.range.high.abs());
            o.kind < Kind::Number && most.is_finite() && most > 2f64.powi(24)
        };
        let double =
            scene.double || places || needs_double(sample_type) || program.outputs().iter().any(long);
        let chain = Self { program, steps, outputs: facts, double };
        if chain.halo() > WIDEST {
            return Err(Error::Usage(format!(
                "the operations need {} pixels around each, and {WIDEST} is the most",
                chain.halo()
            )));
        }
        Ok(chain)
    }

    /// The same with planes of 64 bits.
    #[must_use]
    pub fn in_double(self) -> Self {
        Self { double: true, ..self }
    }

    /// What makes the bands that enter.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// What comes out.
    pub fn outputs(&self) -> &[Facts] {
        &self.outputs
    }

    /// Whether the program is all there is.
    pub fn is_program(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether planes are of 64 bits.
    pub fn is_double(&self) -> bool {
        self.double
    }

    /// Pixels on each side that all operations need together.
    pub fn halo(&self) -> usize {
        self.steps.iter().map(Step::halo).sum()
    }

    /// What has to be read for a window of a raster.
    pub fn wide(&self, window: Window, raster: Size) -> Window {
        window.expanded(self.halo()).intersection(&raster.window())
    }

    /// Bytes for each pixel of the widest window, at most.
    pub fn pixel_bytes(&self) -> usize {
        if self.is_program() {
            return 0;
        }
        let size = if self.double { 8 } else { 4 };
        let mut before = self.program.outputs().len();
        let mut most = before * size;
        for step in &self.steps {
            if let Step::Operation { operation, bands, .. } = step {
                most = most.max((2 * before + bands) * size + operation.scratch());
                before = *bands;
            }
        }
        most
    }

    /// Runs what comes after the program: from the bands of a window widened by [`Chain::wide`] to those of the window. Adds to
    /// `undefined`, band by band, how many of its pixels have no result of a formula though all that it takes is there.
    ///
    /// # Errors
    /// [`Error::Usage`] naming an operation that failed.
    pub fn run<T: Real>(
        &self,
        mut stack: Stack<T>,
        window: Window,
        raster: Size,
        undefined: &mut [u64],
    ) -> Result<Stack<T>> {
        let mut halo = self.halo();
        for step in &self.steps {
            match step {
                Step::Program(program) => {
                    let made = evaluate(program, &stack, window, undefined);
                    std::mem::replace(&mut stack, made).keep();
                }
                Step::Operation { operation, edge, bands, text } => {
                    halo -= operation.halo();
                    let place = window.expanded(halo).intersection(&raster.window());
                    let wanted = place.expanded(operation.halo());
                    if stack.window != wanted {
                        stack = bordered(&stack, wanted, raster, *edge);
                    }
                    let mut output = Stack::new(place, *bands);
                    let failed = |e: String| Error::Usage(format!("{text}: {e}"));
                    T::operate(operation.as_ref(), &stack, &mut output).map_err(failed)?;
                    std::mem::replace(&mut stack, output).keep();
                }
            }
        }
        Ok(stack)
    }
}

/// Formulas that follow an operation.
struct Group<'a> {
    formulas: Vec<Formula>,
    operation: Option<(Arc<dyn Operation>, &'a Call)>,
}
/// The types whose samples 32-bit floats would round.
pub(crate) fn needs_double(sample_type: Option<SampleType>) -> bool {
    matches!(sample_type, Some(SampleType::F64 | SampleType::I32 | SampleType::U32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Band, Input, Range};
    use crate::op::{Custom, Table};

    fn input(bands: usize) -> [Input; 1] {
        let band = Band {
            name: None,
            kind: Kind::Integer,
            range: Range::new(0.0, 255.0),
            may_miss: false,
            scaling: None,
        };
        [Input { name: "A".to_owned(), bands: vec![Some(band); bands], first: 1 }]
    }

    fn plan(texts: &[&str], expressions: &[&str], bands: usize) -> Result<Chain> {
        let inputs = input(bands);
        let expressions: Vec<String> = expressions.iter().map(ToString::to_string).collect();
        let scene = Scene {
            inputs: &inputs,
            expressions: &expressions,
            entering: (0..bands).collect(),
            ground: Ground::default(),
            edge: None,
            double: false,
        };
        let calls: Result<Vec<_>, _> = texts.iter().map(|t| Call::parse(t, &Table::standard())).collect();
        Chain::plan(&calls?, &scene)
    }

    #[test]
    fn what_looks_at_one_pixel_becomes_part_of_the_program() {
        let chain = plan(&["ndvi(nir=4, red=1)", "rescale(-1, 1, 0, 255)"], &[], 4).expect("a chain");
        assert!(chain.is_program() && chain.halo() == 0);
        assert_eq!(chain.program().bands(), [(0, 3), (0, 0)]);
        assert_eq!(chain.outputs()[0].name.as_deref(), Some("ndvi"));
        let chain = plan(&["ndvi(4, 1)", "focal(median, 5)", "rescale(-1, 1)", "hillshade"], &[], 4)
            .expect("a chain");
        assert_eq!((chain.halo(), chain.steps.len()), (3, 3));
        let chain = plan(&["focal(mean, 3)"], &[], 3).expect("a chain");
        assert_eq!(chain.outputs().len(), 3);
        let chain = plan(&["hillshade"], &[], 3).expect("a chain");
        assert_eq!(chain.outputs().len(), 1);
        let chain = plan(&["normalized_difference(p, 2)"], &["p=A*2", "A[2]"], 3).expect("a chain");
        assert_eq!(
            chain.program().instructions(),
            plan(&[], &["(A*2-A[2])/(A*2+A[2])"], 3).expect("the same").program().instructions()
        );
    }

    #[test]
    fn a_band_that_is_passed_on_is_still_that_band() {
        let origins = |texts: &[&str], expressions: &[&str]| {
            let chain = plan(texts, expressions, 3).expect("a chain");
            chain.outputs().iter().map(|f| f.origin.map(|o| (o.band, o.exact))).collect::<Vec<_>>()
        };
        assert_eq!(
            origins(&[], &["A[2]", "A * 2", "where(A[2] > 9, A, nodata)"]),
            [Some((1, true)), None, Some((0, true))]
        );
        assert_eq!(origins(&[], &["A > 3 ? A[3] : A[3]", "A > 3 ? A[3] : A[2]"]), [Some((2, true)), None]);
        assert_eq!(origins(&["focal(mean)"], &["A[3]", "A + 1"]), [Some((2, false)), None]);
        assert_eq!(origins(&["focal(max)"], &[]), [Some((0, true)), Some((1, true)), Some((2, true))]);
    }

    #[test]
    fn a_cast_at_the_end_is_said_of_the_output() {
        let chain = plan(&["focal(mean)", "cast(Int16)"], &[], 1).expect("a chain");
        assert_eq!((chain.outputs()[0].sample_type, chain.steps.len()), (Some(SampleType::I16), 1));
        let chain = plan(&["cast(Int16)", "focal(mean)"], &[], 1).expect("a chain");
        assert_eq!(chain.outputs()[0].sample_type, None);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (texts, word) in [
            (
                &["color_relief(viridis, min=0, max=1)", "hillshade", "color_relief(viridis, min=0, max=1)"]
                    [..],
                "gets 3",
            ),
            (&["ndvi(9, 1)"], "no band 9"),
            (&["ndvi(nri, 1)"], "unknown name"),
            (&["focal(mean)", "ndvi(1, 7)"], "no band '7'"),
            (&["color_relief(viridis)"], "shares of a range"),
            (&["rescale(1, 1)"], "the same"),
            (&["clamp(5, 1)"], "below low"),
            (&["gaussian(50, truncate=9)"], "250"),
            (&["focal(mean, 99)"; 22], "1078 pixels"),
        ] {
            let error = plan(texts, &[], 4).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    /// A raster of numbers that tell their place.
    fn raster(size: Size) -> Stack<f64> {
        let values = (0..size.area()).map(|k| (k / size.width * 100 + k % size.width) as f64).collect();
        Stack { window: size.window(), planes: vec![values] }
    }

    #[test]
    fn every_operation_sees_the_border_as_if_it_were_alone() {
        // Sums of 3 × 1 neighbours, twice, with and without windows.
        let inputs = input(1);
        let mut table = Table::standard();
        let sum = |a: ndarray::ArrayView3<'_, f64>| {
            let (_, h, w) = a.dim();
            let part = |k: usize| a.slice(ndarray::s![.., 2..h - 2, k..w - 4 + k]).to_owned();
            part(0) + part(2) + part(4)
        };
        table.add("sum", Custom::new(2, sum).edge(Edge::Reflect)).expect("added");
        let calls: Vec<Call> =
            ["sum", "sum", "sum"].iter().map(|t| Call::parse(t, &table).expect("a call")).collect();
        let scene = Scene {
            inputs: &inputs,
            expressions: &[],
            entering: vec![0],
            ground: Ground::default(),
            edge: None,
            double: true,
        };
        let chain = Chain::plan(&calls, &scene).expect("a chain");
        let size = Size::new(9, 7);
        let whole = raster(size);
        let all = chain.run(whole.clone(), size.window(), size, &mut [0]).expect("all");
        for window in [Window::new(0, 0, 4, 7), Window::new(4, 0, 5, 3), Window::new(8, 6, 1, 1)] {
            let wide = chain.wide(window, size);
            let part = bordered(&whole, wide, size, Edge::Nodata);
            let got = chain.run(part, window, size, &mut [0]).expect("a part");
            for y in 0..window.height {
                let row = all.row(0, window.y as usize + y);
                assert_eq!(got.row(0, y), &row[window.x as usize..][..window.width], "{window}");
            }
        }
    }

    #[test]
    fn divisions_by_zero_are_counted_once_and_only_inside() {
        let chain = plan(&["focal(min)", "normalized_difference(1, 1)"], &[], 1).expect("a chain");
        let size = Size::new(6, 6);
        let zeros = Stack { window: size.window(), planes: vec![vec![0.0f32; 36]] };
        let mut undefined = [0];
        let window = Window::new(0, 0, 3, 6);
        let wide = bordered(&zeros, chain.wide(window, size), size, Edge::Nodata);
        let got = chain.run(wide, window, size, &mut undefined).expect("a result");
        assert!(got.planes[0].iter().all(|v| v.is_nan()));
        assert_eq!(undefined, [18]);
    }
}
