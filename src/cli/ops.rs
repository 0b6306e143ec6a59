//! `tileloom ops`.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;
use tileloom::op::{Entry, Parameter, Table};
use tileloom::{Error, Result};

use super::{json, print};

/// Options of `ops`, as they are written.
#[derive(Debug, Args)]
pub struct OpsArgs {
    /// The operation to say everything of [default: a line for each].
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print the result as JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `tileloom ops`.
pub fn run(args: &OpsArgs) -> Result<()> {
    let table = Table::standard();
    let Some(name) = &args.name else {
        let all: Vec<Description<'_>> = table.entries().iter().map(Description::new).collect();
        return print(&if args.json { json(&all)? } else { list(table.entries()) });
    };
    let entry = table.find(name).ok_or_else(|| Error::Usage(table.unknown(name)))?;
    let description = Description::new(entry);
    print(&if args.json { json(&description)? } else { description.text() })
}

/// All that is known of an operation.
#[derive(Debug, Serialize)]
struct Description<'a> {
    name: &'a str,
    what: &'a str,
    parameters: Vec<Described<'a>>,
    halo: &'a str,
    formula: &'a str,
    source: &'a str,
    example: &'a str,
}

#[derive(Debug, Serialize)]
struct Described<'a> {
    name: &'a str,
    accepts: String,
    default: Option<&'a str>,
    what: &'a str,
}

impl<'a> Description<'a> {
    fn new(entry: &'a Entry) -> Self {
        let one = |p: &Parameter| Described {
            name: p.name,
            accepts: p.accepts.text(),
            default: p.default,
            what: p.what,
        };
        Self {
            name: entry.name,
            what: entry.what,
            parameters: entry.parameters.iter().map(one).collect(),
            halo: entry.halo,
            formula: entry.formula,
            source: entry.source,
            example: entry.example,
        }
    }

    fn text(&self) -> String {
        let mut t = String::new();
        let _ = writeln!(t, "{}: {}", self.name, self.what);
        let _ = writeln!(t, "formula  {}", self.formula);
        let _ = writeln!(t, "source   {}", self.source);
        let _ = writeln!(t, "halo     {} (pixels on each side)", self.halo);
        for p in &self.parameters {
            let default = p.default.map_or_else(String::new, |d| format!(" [default: {d}]"));
            let _ = writeln!(t, "  {:<14} {}: {}{default}", p.name, p.accepts, p.what);
        }
        let _ = writeln!(t, "example  --op '{}'", self.example);
        t
    }
}

/// A line for each.
fn list(entries: &[Entry]) -> String {
    let mut t = String::new();
    for entry in entries {
        let _ = writeln!(t, "{:<22} {}, as in {}", entry.name, entry.what, entry.example);
    }
    t
}
