//! The tables.

use crate::Result;
use crate::jobs::Job;
use crate::measure::{Usage, median};
use crate::programs::{self, Form, Task};
use crate::rasters;
use crate::rounds::{Entered, Rounds};
use crate::seen::Seen;
use crate::tiles::{Container, Set};

/// Measures the jobs that suit a raster and prints each; what comes back are the lines of the summary.
pub fn print(task: &Task, seen: &Seen, only: &[Job], rounds: &mut Rounds<'_>) -> Result<Vec<String>> {
    println!("\n{}, levels {} to {}\n", seen.title, task.levels.0, task.levels.1);
    println!("| job | program | CPU s | × | wall s | × | memory MB | tiles | MB | × | pixels |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|");
    let (mut skipped, mut lines) = (Vec::new(), Vec::new());
    let mut reference = None;
    for job in only.iter().filter(|job| job.suits(seen)) {
        let mut field = job.field();
        skipped.append(&mut field.skipped);
        if field.contestants.len() < 2 {
            continue;
        }
        let mut task = task.clone();
        if field.pieces {
            task.rasters = rasters::pieces(&task.rasters[0], seen.size, rounds.scratch())?;
        }
        let lossy = matches!(field.contestants[0].form, Form::Jpeg | Form::Webp);
        if lossy && reference.is_none() {
            let png = programs::tileloom(Form::Png, Container::Folder);
            reference = Some(rounds.once(&png, &task)?.1);
        }
        let reference: Option<&Set> = reference.as_ref().filter(|_| lossy);
        let (mut entered, failed) = rounds.enter(field.contestants, &task, reference)?;
        skipped.extend(failed);
        for _ in 0..rounds.count {
            for one in &mut entered {
                one.usage.push(rounds.measured(&one.contestant, &task)?.0);
            }
        }
        rows(field.name, &entered);
        lines.extend(summary_lines(&seen.title, field.name, &entered));
    }
    if !skipped.is_empty() {
        println!("\nSkipped:\n");
        for why in &skipped {
            println!("- {why}");
        }
    }
    Ok(lines)
}

/// The median over the rounds of a figure divided by that of the first in the field.
fn ratio(one: &Entered, base: &Entered, figure: fn(&Usage) -> f64) -> f64 {
    median(one.usage.iter().zip(&base.usage).map(|(a, b)| figure(a) / figure(b)))
}

/// How far the pixels are from those they are compared with, in the measure of the form.
fn pixels(one: &Entered) -> String {
    let Some(difference) = one.difference else { return String::new() };
    match one.contestant.form {
        Form::Jpeg | Form::Webp => format!("{:.2} dB", difference.psnr),
        Form::Terrain => format!("off by {:.3} m", difference.metres),
        _ => format!("off by {:.3}", difference.mean),
    }
}

/// Prints the rows of a job: tileloom first, the others with their ratios to it.
fn rows(job: &str, entered: &[Entered]) {
    let Some(base) = entered.first() else { return };
    for (index, one) in entered.iter().enumerate() {
        let of = |figure: fn(&Usage) -> f64| median(one.usage.iter().map(figure));
        let beside = |n: f64, digits: usize| match index {
            0 => String::new(),
            _ => format!("{n:.digits$}"),
        };
        println!(
            "| {} | {} | {:.2} | {} | {:.2} | {} | {:.0} | {} | {:.1} | {} | {} |",
            if index == 0 { job } else { "" },
            one.contestant.name,
            of(|u| u.cpu),
            beside(ratio(one, base, |u| u.cpu), 2),
            of(|u| u.wall),
            beside(ratio(one, base, |u| u.wall), 2),
            of(|u| u.memory as f64) / 1e6,
            one.extent.tiles,
            one.extent.bytes as f64 / 1e6,
            beside(one.extent.bytes as f64 / base.extent.bytes as f64, 3),
            pixels(one),
        );
    }
}

fn summary_lines(title: &str, job: &str, entered: &[Entered]) -> Vec<String> {
    let Some((base, others)) = entered.split_first() else { return Vec::new() };
    let of = |figure: fn(&Usage) -> f64| median(base.usage.iter().map(figure));
    let line = |other: &Entered| {
        let quality = match (pixels(base), pixels(other)) {
            (ours, theirs) if ours.is_empty() => theirs,
            (ours, theirs) => format!("{ours} (peer {theirs})"),
        };
        format!(
            "| {job} | {title} | {} | {:.2} s, {:.2} s | {:.1} × | {:.1} × | {:.2} × | {quality} |",
            other.contestant.name,
            of(|u| u.cpu),
            of(|u| u.wall),
            ratio(other, base, |u| u.cpu),
            ratio(other, base, |u| u.wall),
            base.extent.bytes as f64 / other.extent.bytes as f64,
        )
    };
    others.iter().map(line).collect()
}

/// Prints one line per peer: how many times faster tileloom is, and what share of the peer's bytes it writes.
pub fn summary(lines: &[String]) {
    println!("\n| job | raster | peer | tileloom: CPU, wall | CPU | wall | bytes | pixels |");
    println!("|---|---|---|---|--:|--:|--:|---|");
    for line in lines {
        println!("{line}");
    }
}
