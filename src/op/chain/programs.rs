//! The programs between the operations of a chain.

use super::Scene;
use crate::error::{Error, Result};
use crate::expr::{self, Builder, Operand, Program, Value};
use crate::op::facts::{Facts, Origin};
use crate::op::formulas::{Formula, Operands};

/// What is known of a program's outputs, which formulas made of bands of known origins.
pub(super) fn facts_of(program: &Program, origins: &[Option<Origin>], formulas: &[Formula]) -> Vec<Facts> {
    let (keeps, exact) = (formulas.iter().all(|f| f.keeps), formulas.is_empty());
    let origin = |band: usize| {
        let own = origins.get(band).copied().flatten().filter(|_| keeps);
        own.map(|o| Origin { exact: o.exact && exact, ..o })
    };
    let one = |(band, o): (usize, &expr::Output)| Facts {
        name: o.name.clone(),
        kind: o.kind,
        range: o.range,
        may_miss: o.may_miss,
        sample_type: None,
        origin: origin(band),
    };
    program.outputs().iter().enumerate().map(one).collect()
}

/// The bands of the first raster that enter where no expression says so; `alone` for an operation that looks at one.
fn entering(scene: &Scene<'_>, alone: bool) -> Vec<usize> {
    let first = scene.inputs.first().map_or(0, |i| i.first - 1);
    if alone { vec![first] } else { scene.entering.clone() }
}

/// The program over the inputs, and the bands that enter its formulas, as far as these are bands of the inputs.
pub(super) fn begin(
    scene: &Scene<'_>,
    formulas: &[Formula],
    alone: bool,
) -> Result<(Program, Vec<Option<Origin>>)> {
    let mut builder = Builder::new(scene.inputs);
    let mut values =
        scene.expressions.iter().map(|e| builder.expression(e)).collect::<Result<Vec<_>, _>>()?;
    let mut origins = Vec::new();
    for value in &mut values {
        let shown = builder.shows(value);
        origins.push(shown.map(|(input, band)| Origin { input, band, exact: true }));
        let own = || scene.inputs[shown?.0].bands[shown?.1].as_ref()?.name.clone();
        value.name = value.name.take().or_else(own);
    }
    if scene.expressions.is_empty() {
        let bands = entering(scene, alone).into_iter();
        origins.extend(bands.map(|band| Some(Origin { input: 0, band, exact: true })));
    }
    if values.is_empty() && !matches!(formulas.first(), Some(Formula { operands: Operands::Named(_), .. })) {
        for band in entering(scene, alone) {
            let mut value = builder.band(0, band).map_err(Error::Usage)?;
            value.name = scene.inputs[0].bands[band].as_ref().and_then(|b| b.name.clone());
            values.push(value);
        }
    }
    let mut of_inputs = scene.expressions.is_empty();
    for formula in formulas {
        values = apply(&mut builder, formula, &values, of_inputs.then_some(scene.inputs))?;
        of_inputs = false;
    }
    Ok((builder.finish(&values), origins))
}

/// A program over the bands of an operation.
pub(super) fn follow(facts: &[Facts], formulas: &[Formula]) -> Result<Program> {
    let band = |f: &Facts| {
        let (name, kind, range, may_miss) = (f.name.clone(), f.kind, f.range, f.may_miss);
        Some(expr::Band { name, kind, range, may_miss, scaling: None })
    };
    let inputs = [expr::Input { name: "band".to_owned(), bands: facts.iter().map(band).collect(), first: 1 }];
    let mut builder = Builder::new(&inputs);
    let mut values = Vec::new();
    for (k, facts) in facts.iter().enumerate() {
        let value = builder.band(0, k).map_err(Error::Internal)?;
        values.push(value.named(facts.name.clone()));
    }
    for formula in formulas {
        values = apply(&mut builder, formula, &values, None)?;
    }
    Ok(builder.finish(&values))
}

/// Adds a formula over some values. With `inputs` the bands that it names are theirs.
fn apply(
    builder: &mut Builder<'_>,
    formula: &Formula,
    values: &[Value],
    inputs: Option<&[expr::Input]>,
) -> Result<Vec<Value>> {
    let defect = |e: expr::ExprError| Error::Internal(format!("{}: {e}", formula.arguments.text()));
    let mut made = Vec::new();
    match &formula.operands {
        Operands::Each(variable) => {
            for value in values {
                let (kind, range, may_miss) = builder.facts(value);
                let facts = Facts { kind, range, ..Facts::numbers(range.low, range.high, may_miss) };
                let limit = Formula::limit(&facts);
                let numbers = formula.numbers.iter().map(|(n, v)| (*n, if v.is_nan() { limit } else { *v }));
                let names: Vec<(&str, Operand<'_>)> = numbers
                    .map(|(n, v)| (n, Operand::Number(v)))
                    .chain([(*variable, Operand::Value(value))])
                    .collect();
                let result = builder.formula(&formula.text, &names).map_err(defect)?;
                made.push(result.named(value.name.clone()));
            }
        }
        Operands::Named(bands) => {
            let mut operands = Vec::new();
            for band in bands {
                let found = match inputs {
                    Some(inputs) => of_inputs(builder, inputs, &band.text),
                    None => of_values(values, &band.text),
                };
                let value = found
                    .map_err(|reason| formula.error(band.variable, format!("{}: {reason}", band.variable)))?;
                operands.push((band.variable, value));
            }
            let numbers = formula.numbers.iter().map(|(n, v)| (*n, Operand::Number(*v)));
            let names: Vec<(&str, Operand<'_>)> =
                operands.iter().map(|(n, v)| (*n, Operand::Value(v))).chain(numbers).collect();
            let result = builder.formula(&formula.text, &names).map_err(defect)?;
            made.push(result.named(formula.name.map(str::to_owned)));
        }
    }
    Ok(made)
}

/// A band of the inputs: a number or a name means one of the first, everything else is an expression.
fn of_inputs(builder: &mut Builder<'_>, inputs: &[expr::Input], text: &str) -> Result<Value, String> {
    let Some(first) = inputs.first() else { return Err("there is no input".to_owned()) };
    let count = first.bands.len();
    if let Ok(number) = text.parse::<usize>() {
        if !(1..=count).contains(&number) {
            return Err(format!("there is no band {number}: {} has {count}", first.name));
        }
        return builder.band(0, number - 1);
    }
    let is_own = |b: &Option<expr::Band>| {
        b.as_ref().and_then(|b| b.name.as_deref()).is_some_and(|n| n.eq_ignore_ascii_case(text))
    };
    let mut own = (0..count).filter(|k| is_own(&first.bands[*k]));
    match (own.next(), own.next()) {
        (Some(band), None) if inputs.iter().all(|i| i.name != text) => builder.band(0, band),
        _ => builder.expression(text).map(|v| v.named(None)).map_err(|e| e.reason),
    }
}

/// One of the bands before, by its number or name.
fn of_values(values: &[Value], text: &str) -> Result<Value, String> {
    let by_name = || values.iter().find(|v| v.name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(text)));
    let found = match text.parse::<usize>() {
        Ok(number) => number.checked_sub(1).and_then(|k| values.get(k)),
        Err(_) => by_name(),
    };
    found.cloned().ok_or_else(|| match values.len() {
        1 => format!("there is no band '{text}': there is one before it, number 1"),
        n => format!("there is no band '{text}': there are {n} before it, numbered from 1"),
    })
}
