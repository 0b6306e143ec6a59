//! Functions of a user of the library, as they are.

use std::fmt;
use std::sync::Arc;

use ndarray::{Array3, ArrayView3, Axis, s};

use super::facts::Facts;
use super::{Edge, Operation, Real, Stack};

type Run<T> = Arc<dyn Fn(ArrayView3<'_, T>) -> Array3<T> + Send + Sync>;

/// A function from a window of pixels to another, run like every operation: window by window, on all threads, with as many pixels
/// around as it needs.
///
/// The function gets axes (band, row, column) of the window and `halo` pixels on each side of it, not-a-number where there is no
/// data, and gives either the window alone or as many rows and columns as it got, of which the halo is cut off. What it gives for a
/// pixel must depend on the pixels around it alone, and on how many bands there are.
///
/// ```
/// use ndarray::{Array3, ArrayView3};
/// use tileloom::op::{Custom, Table};
///
/// /// Knows nothing of windows, threads or files.
/// fn doubled(pixels: ArrayView3<'_, f64>) -> Array3<f64> {
///     pixels.mapv(|v| v * 2.0)
/// }
///
/// let mut table = Table::standard();
/// table.add("doubled", Custom::new(0, doubled))?;
/// # Ok::<(), tileloom::Error>(())
/// ```
#[derive(Clone)]
pub struct Custom {
    halo: usize,
    edge: Edge,
    bands: Option<usize>,
    run: Run<f64>,
}

impl Custom {
    /// A function that needs so many pixels on each side, and gives as many bands as it gets.
    pub fn new(
        halo: usize,
        run: impl Fn(ArrayView3<'_, f64>) -> Array3<f64> + Send + Sync + 'static,
    ) -> Self {
        Self { halo, edge: Edge::Nearest, bands: None, run: Arc::new(run) }
    }

    /// Gives so many bands, however many it gets.
    #[must_use]
    pub fn bands(self, bands: usize) -> Self {
        Self { bands: Some(bands), ..self }
    }

    /// Takes the pixels beyond the raster's border so, unless `--edge` says otherwise; default [`Edge::Nearest`].
    #[must_use]
    pub fn edge(self, edge: Edge) -> Self {
        Self { edge, ..self }
    }

    fn apply<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) -> Result<(), String> {
        let window = input.window;
        let values: Vec<f64> = input.planes.iter().flatten().map(|v| v.wide()).collect();
        let shape = (input.planes.len(), window.height, window.width);
        let given = Array3::from_shape_vec(shape, values).map_err(|e| e.to_string())?;
        let made = (self.run)(given.view());
        let (bands, halo, inner) = (output.planes.len(), self.halo, output.window);
        let own = match made.dim() {
            (b, h, w) if (b, h, w) == (bands, inner.height, inner.width) => made.view(),
            (b, h, w) if (b, h, w) == (bands, window.height, window.width) => {
                made.slice(s![.., halo..halo + inner.height, halo..halo + inner.width])
            }
            other => {
                let (h, w) = (inner.height, inner.width);
                return Err(format!("gave {other:?} bands, rows and columns instead of ({bands}, {h}, {w})"));
            }
        };
        for (band, plane) in output.planes.iter_mut().enumerate() {
            let values = own.index_axis(Axis(0), band);
            plane.iter_mut().zip(values.iter()).for_each(|(p, v)| *p = T::of(*v));
        }
        Ok(())
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("halo", &self.halo).field("bands", &self.bands).finish_non_exhaustive()
    }
}

impl Operation for Custom {
    fn halo(&self) -> usize {
        self.halo
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        wanted.unwrap_or(self.edge)
    }

    fn facts(&self, bands: &[Facts], _: bool) -> Result<Vec<Facts>, String> {
        let any = Facts::numbers(f64::NEG_INFINITY, f64::INFINITY, true);
        Ok(vec![any; self.bands.unwrap_or(bands.len())])
    }

    fn scratch(&self) -> usize {
        24
    }

    fn single(&self, input: &Stack<f32>, output: &mut Stack<f32>) -> Result<(), String> {
        self.apply(input, output)
    }

    fn double(&self, input: &Stack<f64>, output: &mut Stack<f64>) -> Result<(), String> {
        self.apply(input, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    #[test]
    fn functions_give_the_window_or_what_they_got() {
        let input =
            Stack { window: Window::new(-1, -1, 4, 3), planes: vec![(0..12).map(f64::from).collect()] };
        let inner = Window::new(0, 0, 2, 1);
        let result = |custom: &Custom, bands: usize| {
            let mut output = Stack::<f64>::new(inner, bands);
            custom.double(&input, &mut output).map(|()| output.planes)
        };
        let same = Custom::new(1, |a| a.to_owned());
        assert_eq!(result(&same, 1), Ok(vec![vec![5.0, 6.0]]));
        let cut = Custom::new(1, |a| a.slice(s![.., 1..2, 1..3]).mapv(|v| -v));
        assert_eq!(result(&cut, 1), Ok(vec![vec![-5.0, -6.0]]));
        let two = Custom::new(1, |a| ndarray::concatenate![Axis(0), a, a]).bands(2);
        assert_eq!(result(&two, 2), Ok(vec![vec![5.0, 6.0]; 2]));
        let wrong = Custom::new(1, |_| Array3::zeros((1, 7, 7)));
        assert!(result(&wrong, 1).is_err_and(|e| e.contains("instead of (1, 1, 2)")));
    }
}
