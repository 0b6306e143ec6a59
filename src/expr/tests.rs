//! Expressions as users write them: what they give, and what is said when they are wrong.

use super::*;

fn band(name: Option<&str>, kind: Kind, high: f64) -> Band {
    let range = Range::new(0.0, high);
    Band { name: name.map(str::to_owned), kind, range, may_miss: true, scaling: None }
}

/// Two inputs: A of bytes with three bands, two of them named; dem of floats.
fn inputs() -> Vec<Input> {
    let byte = |name| Some(band(name, Kind::Integer, 255.0));
    vec![
        Input { name: "A".into(), bands: vec![byte(None), byte(Some("red")), byte(Some("NIR"))], first: 1 },
        Input {
            name: "dem".into(),
            bands: vec![Some(band(None, Kind::Number, f64::INFINITY)), None],
            first: 1,
        },
    ]
}

/// Band 1, 2 and 3 of A, and dem, of a few pixels.
const PIXELS: [[f64; 4]; 4] = [
    [0.0, 7.0, 200.0, f64::NAN],
    [1.0, 2.0, 100.0, 4.0],
    [3.0, 4.0, f64::NAN, 5.0],
    [0.0, 1500.5, -10.0, 1.0],
];

struct Pixels<'a>(&'a Program);

impl Feed for Pixels<'_> {
    fn feed(&mut self, wanted: Wanted, out: &mut [f64]) {
        match wanted {
            Wanted::Band(slot) => {
                let (input, number) = self.0.bands()[slot];
                out.copy_from_slice(&PIXELS[input * 3 + number]);
            }
            Wanted::Place(Coordinate::Column) => out.copy_from_slice(&[0.0, 1.0, 2.0, 3.0]),
            Wanted::Place(_) => out.fill(7.0),
        }
    }
}

fn values(text: &str) -> Vec<f64> {
    let program = Program::compile(&[text], &inputs()).unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut machine = Machine::new(&program);
    machine.run(4, &mut Pixels(&program));
    machine.output(0).to_vec()
}

fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}

const NAN: f64 = f64::NAN;

#[test]
fn expressions_give_what_they_say() {
    for (text, expected) in [
        ("A", [0.0, 7.0, 200.0, NAN]),
        ("A[2] + A.NIR", [4.0, 6.0, NAN, 9.0]),
        ("A.nir", [3.0, 4.0, NAN, 5.0]),
        ("A / A[2]", [0.0, 3.5, 2.0, NAN]),
        ("A[2] / A", [NAN, 2.0 / 7.0, 0.5, NAN]),
        ("(A['red'] - A[3]) / (A['red'] + A[3])", [-0.5, -2.0 / 6.0, NAN, -1.0 / 9.0]),
        ("A > 5", [0.0, 1.0, 1.0, NAN]),
        ("A * (A > 5)", [0.0, 7.0, 200.0, NAN]),
        ("A > 5 and A[2] < 50", [0.0, 1.0, 0.0, NAN]),
        ("(A > 5) & (A[2] < 50)", [0.0, 1.0, 0.0, NAN]),
        ("(A > 5) | (A[2] == 1)", [1.0, 1.0, 1.0, NAN]),
        ("not A > 5", [1.0, 0.0, 0.0, NAN]),
        ("~(A > 5)", [1.0, 0.0, 0.0, NAN]),
        ("!A", [1.0, 0.0, 0.0, NAN]),
        ("logical_and(A > 1, A < 100)", [0.0, 1.0, 0.0, NAN]),
        ("xor(A > 5, A[2] > 1)", [0.0, 0.0, 0.0, NAN]),
        ("where(A > 5, A[2], -1)", [-1.0, 2.0, 100.0, NAN]),
        ("A > 5 ? A[2] : -1", [-1.0, 2.0, 100.0, NAN]),
        ("where(isnodata(A), A[2], A)", [0.0, 7.0, 200.0, 4.0]),
        ("coalesce(A, A[2])", [0.0, 7.0, 200.0, 4.0]),
        ("isnodata(A)", [0.0, 0.0, 0.0, 1.0]),
        ("where(A == 0, nodata, A)", [NAN, 7.0, 200.0, NAN]),
        ("where(A == 0, 0, 100 / A)", [0.0, 100.0 / 7.0, 0.5, NAN]),
        ("bit(A, 3)", [0.0, 0.0, 1.0, NAN]),
        ("bits(A, 3, 2)", [0.0, 0.0, 1.0, NAN]),
        ("(A >> 3) & 3", [0.0, 0.0, 1.0, NAN]),
        ("A & 0b110", [0.0, 6.0, 0.0, NAN]),
        ("A & 4 == 4", [0.0, 1.0, 0.0, NAN]),
        ("A << 2", [0.0, 28.0, 800.0, NAN]),
        ("min(A, A[2], 50)", [0.0, 2.0, 50.0, NAN]),
        ("maximum(A, A[2])", [1.0, 7.0, 200.0, NAN]),
        ("sum(A, A[2], 1)", [2.0, 10.0, 301.0, NAN]),
        ("mean(A, A[2])", [0.5, 4.5, 150.0, NAN]),
        ("clamp(A, 1, 100)", [1.0, 7.0, 100.0, NAN]),
        ("-A ** 2", [0.0, -49.0, -40_000.0, NAN]),
        ("dem ** 0.5", [0.0, 1500.5f64.sqrt(), NAN, 1.0]),
        ("np.power(dem, 3)", [0.0, 1500.5f64 * 1500.5 * 1500.5, -1000.0, 1.0]),
        ("round(dem)", [0.0, 1501.0, -10.0, 1.0]),
        ("round(dem, -1)", [0.0, 1500.0, -10.0, 0.0]),
        ("round(dem / 7, 2)", [0.0, 214.36, -1.43, 0.14]),
        ("dem // 4", [0.0, 375.0, -3.0, 0.0]),
        ("dem % 4", [0.0, 0.5, 2.0, 1.0]),
        ("log(exp(dem * 0))", [0.0; 4]),
        ("log10(A)", [NAN, libm::log10(7.0), libm::log10(200.0), NAN]),
        ("sin(pi / 2) * dem", [0.0, 1500.5, -10.0, 1.0]),
        ("degrees(radians(dem)) - dem < 1e-9", [1.0; 4]),
        ("col * 10 + y", [7.0, 17.0, 27.0, 37.0]),
        ("true ? 5 : A", [5.0; 4]),
        ("2 ** 10", [1024.0; 4]),
        ("0x10 + 1", [17.0; 4]),
    ] {
        assert!(same(&values(text), &expected), "{text}: {:?}", values(text));
    }
}

#[test]
fn later_expressions_use_the_names_of_earlier_ones() {
    let texts = ["twice = A * 2", "big=twice>10", "A*2"];
    let program = Program::compile(&texts, &inputs()).expect("compiles");
    let names: Vec<_> = program.outputs().iter().map(|o| o.name.as_deref()).collect();
    assert_eq!(names, [Some("twice"), Some("big"), None]);
    let mut machine = Machine::new(&program);
    machine.run(4, &mut Pixels(&program));
    assert!(same(machine.output(1), &[0.0, 1.0, 1.0, NAN]));
    assert!(same(machine.output(0), machine.output(2)));
    // Loaded once, doubled once, compared once.
    assert_eq!((program.instructions(), program.bands()), (3, &[(0, 0)][..]));
    assert_eq!(program.outputs()[1].slots, [0]);
}

#[test]
fn what_is_missing_on_purpose_is_told_apart() {
    let texts = ["where(A > 5, nodata, 1 / A)", "A + 1"];
    let program = Program::compile(&texts, &inputs()).expect("compiles");
    let mut machine = Machine::new(&program);
    machine.run(4, &mut Pixels(&program));
    assert!(same(machine.output(0), &[NAN, NAN, NAN, NAN]));
    assert!(same(machine.deliberate(0).expect("says so"), &[0.0, 1.0, 1.0, NAN]));
    assert_eq!((machine.deliberate(1), program.outputs().len()), (None, 2));
}

#[test]
fn an_equality_is_no_name() {
    assert_eq!(Program::compile(&["A==5"], &inputs()).expect("compiles").outputs()[0].name, None);
    assert_eq!(Program::compile(&["A>=5"], &inputs()).expect("compiles").outputs()[0].name, None);
}

#[test]
fn kinds_and_limits_of_results_are_known_beforehand() {
    for (text, kind, low, high) in [
        ("A > 5", Kind::Truth, 0.0, 1.0),
        ("A - A[2]", Kind::Integer, -255.0, 255.0),
        ("where(A > 5, nodata, A)", Kind::Integer, 0.0, 255.0),
        ("A / 2", Kind::Number, 0.0, 127.5),
        ("A // 2", Kind::Integer, 0.0, 127.0),
        ("round(A / 2)", Kind::Integer, 0.0, 128.0),
        ("bits(A, 4, 2)", Kind::Integer, 0.0, 3.0),
        ("float(A)", Kind::Number, 0.0, 255.0),
        ("A ** 2", Kind::Integer, 0.0, 65_025.0),
    ] {
        let program = Program::compile(&[text], &inputs()).expect(text);
        let output = &program.outputs()[0];
        assert_eq!((output.kind, output.range), (kind, Range::new(low, high)), "{text}");
    }
}

#[test]
fn scaled_bands_are_the_values_they_stand_for() {
    let mut inputs = inputs();
    if let Some(band) = &mut inputs[0].bands[1] {
        band.scaling = Some((0.5, -1.0));
    }
    let program = Program::compile(&["A[2]"], &inputs).expect("compiles");
    let mut machine = Machine::new(&program);
    machine.run(4, &mut Pixels(&program));
    assert!(same(machine.output(0), &[-0.5, 0.0, 49.0, 1.0]));
    assert_eq!(program.outputs()[0].kind, Kind::Number);
}

#[test]
fn mistakes_are_pointed_at() {
    for (text, column, word) in [
        ("A + B", 5, "unknown name 'B'"),
        ("dm * 2", 1, "did you mean 'dem'"),
        ("sqr(A)", 1, "did you mean 'sqrt'"),
        ("A[4]", 3, "has 3 bands"),
        ("A[0]", 3, "counted from 1"),
        ("A.ni", 3, "did you mean 'NIR'"),
        ("B.nir", 1, "unknown name 'B'"),
        ("dem.red", 5, "have no names: write dem[1]"),
        ("dem[2]", 1, "complex"),
        ("sqrt + 1", 1, "write sqrt(…)"),
        ("where(A)", 1, "where(c, a, b) was given 1"),
        ("min()", 1, "given none"),
        ("dem & 1", 1, "round()"),
        ("A & 0.5", 5, "round()"),
        ("~A", 1, "xor"),
        ("bit(A, A)", 8, "the same for all pixels"),
        ("bit(A, 60)", 8, "0 to 50"),
        ("clamp(A, 5, 1)", 10, "above the upper one"),
        ("ndvi = A +", 11, "missing at the end"),
        ("A = 5", 1, "=="),
    ] {
        let error = Program::compile(&[text], &inputs()).expect_err(text);
        let found = error.to_string();
        assert!(error.span.start + 1 == column && found.contains(word), "{text}: {found}");
        assert!(error.pointer().contains('^'));
    }
    let error = Program::compile(&["a1=A", "a1=A"], &inputs()).expect_err("twice");
    assert!(error.to_string().contains("another expression"));
}

#[test]
fn names_that_mean_something_else_are_refused() {
    for (name, word) in [
        ("min", "a function"),
        ("ln", "a function"),
        ("pi", "a constant"),
        ("x", "a coordinate"),
        ("and", "an operator"),
        ("2a", "no name"),
        ("a-b", "no name"),
        ("", "no name"),
    ] {
        assert!(check_name(name).is_err_and(|e| e.contains(word)), "{name}");
    }
    assert!(check_name("A").is_ok() && check_name("_red2").is_ok() && check_name("größe").is_ok());
}
