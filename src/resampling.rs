//! The resampling methods and their names.

use std::str::FromStr;

/// How pixels of one grid are computed from those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resampling {
    /// The pixel whose area holds the point.
    Nearest,
    /// Triangle kernel, radius 1.
    Bilinear,
    /// Keys' cubic convolution with a = −0.5, radius 2.
    Cubic,
    /// Cubic B-spline, radius 2 (smooths).
    CubicSpline,
    /// Windowed sinc, radius 3.
    Lanczos,
    /// Mean of the covered pixels, weighted by coverage.
    Average,
    /// The value that occurs most often among the covered pixels; the first seen wins a tie.
    Mode,
    /// In each band the least value of the covered pixels.
    Min,
    /// In each band the greatest value of the covered pixels.
    Max,
    /// In each band the median of the covered pixels, the lower of two.
    Med,
    /// In each band the first quartile of the covered pixels.
    Q1,
    /// In each band the third quartile of the covered pixels.
    Q3,
    /// In each band the sum of the covered pixels, each by the part of it that counts.
    Sum,
    /// In each band the root mean square of the covered pixels.
    Rms,
}

impl Resampling {
    /// All methods, in the order they are listed to users.
    pub const ALL: [Self; 14] = [
        Self::Nearest,
        Self::Bilinear,
        Self::Cubic,
        Self::CubicSpline,
        Self::Lanczos,
        Self::Average,
        Self::Mode,
        Self::Min,
        Self::Max,
        Self::Med,
        Self::Q1,
        Self::Q3,
        Self::Sum,
        Self::Rms,
    ];

    /// Whether it is a statistic of the pixels under the footprint, other than their mean and mode.
    pub const fn is_statistic(self) -> bool {
        matches!(self, Self::Min | Self::Max | Self::Med | Self::Q1 | Self::Q3 | Self::Sum | Self::Rms)
    }

    /// GDAL's name of the method.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::Cubic => "cubic",
            Self::CubicSpline => "cubicspline",
            Self::Lanczos => "lanczos",
            Self::Average => "average",
            Self::Mode => "mode",
            Self::Min => "min",
            Self::Max => "max",
            Self::Med => "med",
            Self::Q1 => "q1",
            Self::Q3 => "q3",
            Self::Sum => "sum",
            Self::Rms => "rms",
        }
    }

    /// Radius of the kernel in source pixels when nothing shrinks.
    pub const fn radius(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Cubic | Self::CubicSpline => 2.0,
            Self::Lanczos => 3.0,
            _ => 0.5,
        }
    }
}

impl std::fmt::Display for Resampling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Resampling {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let lower = name.to_ascii_lowercase();
        let canonical = match lower.as_str() {
            "near" | "nearest-neighbour" | "nearest-neighbor" => "nearest",
            "median" => "med",
            "cubic_spline" | "cubic-spline" => "cubicspline",
            other => other,
        };
        Self::ALL.into_iter().find(|r| r.name() == canonical).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|r| r.name()).collect();
            format!("unknown resampling '{name}'; known are {}", names.join(", "))
        })
    }
}
