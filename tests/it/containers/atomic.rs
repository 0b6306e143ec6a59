//! A run that fails leaves what was there before, and nothing else.

use std::path::Path;

use tileloom::Error;
use tileloom::grid::TileCoord;
use tileloom::sink::{EncodedTile, OutputKind, Target, TileSink, create};

use crate::small_disk::SmallDisk;

use super::{KINDS, Tiles, info, many, names_in, read_folder, shuffled, write};

fn begin(kind: OutputKind, target: &Target) -> Box<dyn TileSink> {
    create(kind, target, info(&many(0..=2, 0))).expect("created")
}

/// The message of the [`Error::Output`] that keeps a run from starting.
fn refusal(kind: OutputKind, target: &Target) -> String {
    let begun = create(kind, target, info(&many(0..=2, 0)));
    let checked = target.check(kind);
    match (begun.err(), checked) {
        (Some(error @ Error::Output { .. }), Err(check)) => {
            assert_eq!(error.to_string(), check.to_string(), "the check says the same");
            error.to_string()
        }
        (error, check) => panic!("not refused as an output: {error:?}, {check:?}"),
    }
}

fn some_tiles(sink: &mut dyn TileSink, tiles: &Tiles) {
    for tile in shuffled(tiles, 3) {
        sink.write(tile).expect("written");
    }
}

#[test]
fn a_sink_dropped_unfinished_leaves_nothing() {
    for (kind, name) in KINDS {
        for in_tmp in [false, true] {
            let (dir, tmp) = (tempfile::tempdir().expect("tempdir"), tempfile::tempdir().expect("tempdir"));
            let path = dir.path().join(name);
            let tmp_dir = in_tmp.then(|| tmp.path().to_owned());
            let target = Target { tmp_dir, ..Target::new(&path) };
            let mut sink = begin(kind, &target);
            some_tiles(sink.as_mut(), &many(0..=4, 10));
            assert!(!path.exists(), "{name} stands before it is finished");
            assert_eq!(names_in(tmp.path()).is_empty(), !in_tmp || kind == OutputKind::Folder);
            drop(sink);
            assert!(names_in(dir.path()).is_empty() && names_in(tmp.path()).is_empty(), "{name}");
        }
    }
}

#[test]
fn a_set_without_tiles_is_an_error_and_leaves_nothing() {
    for (kind, name) in KINDS {
        let dir = tempfile::tempdir().expect("tempdir");
        let sink = begin(kind, &Target::new(dir.path().join(name)));
        assert!(matches!(sink.finish(), Err(Error::Output { .. })), "{name}");
        assert!(names_in(dir.path()).is_empty(), "{name}");
    }
}

#[test]
fn what_exists_is_not_replaced_without_overwrite() {
    for (kind, name) in KINDS {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = Target::new(dir.path().join(name));
        write(&target, &many(0..=1, 0), info(&many(0..=1, 0)), 1);
        assert!(refusal(kind, &target).contains("--overwrite"));
        assert_eq!(names_in(dir.path()), [name]);
    }
}

#[test]
fn with_overwrite_the_old_set_stands_until_the_new_one_is_complete() {
    for (kind, name) in KINDS {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join(name);
        let (old, new) = (many(0..=1, 0), many(2..=3, 0));
        write(&Target::new(&path), &old, info(&old), 1);
        let snapshot = |path: &Path| match kind {
            OutputKind::Folder => format!("{:?}", read_folder(path)),
            _ => format!("{:?}", std::fs::read(path).expect("file")),
        };
        let before = snapshot(&path);
        let target = Target { overwrite: true, ..Target::new(&path) };
        let mut sink = begin(kind, &target);
        some_tiles(sink.as_mut(), &new);
        assert_eq!(snapshot(&path), before);
        drop(sink);
        assert!(begin(kind, &target).finish().is_err());
        assert_eq!(snapshot(&path), before, "a failed run changed {name}");
        assert_eq!(names_in(dir.path()), [name]);

        write(&target, &new, info(&new), 1);
        assert_eq!(names_in(dir.path()), [name], "the old set is still about");
        assert_ne!(snapshot(&path), before);
        if kind == OutputKind::Folder {
            assert!(read_folder(&path) == new, "tiles of the old set are left");
        }
    }
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_done() {
    for (kind, name) in KINDS {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = Target { overwrite: true, ..Target::new(dir.path().join(name)) };
        let mut first = begin(kind, &target);
        assert!(refusal(kind, &target).contains("another tileloom"));
        some_tiles(first.as_mut(), &many(0..=2, 0));
        first.finish().expect("the refused run has not harmed the first");
        target.check(kind).expect("free again");
        assert_eq!(names_in(dir.path()), [name]);
    }
}

#[test]
fn what_a_crashed_run_left_does_not_stop_the_next() {
    let tiles = many(0..=2, 0);
    for (kind, name) in KINDS {
        let dir = tempfile::tempdir().expect("tempdir");
        let beside = |suffix: &str| dir.path().join(format!("{name}{suffix}"));
        std::fs::write(beside(".partial-lock"), "").expect("lock");
        std::fs::write(beside(".partial-spool"), "torn").expect("spool");
        if kind == OutputKind::Folder {
            std::fs::create_dir_all(beside(".partial").join("9/9")).expect("partial");
        } else {
            std::fs::write(beside(".partial"), "torn").expect("partial");
        }
        let target = Target::new(dir.path().join(name));
        target.check(kind).expect("nobody holds the lock");
        write(&target, &tiles, info(&tiles), 1);
        assert_eq!(names_in(dir.path()), [name]);
        assert!(!target.path.join("9").exists());
    }
}

#[test]
fn a_folder_that_is_no_tile_set_is_never_replaced() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("set");
    let target = Target { overwrite: true, ..Target::new(&path) };
    std::fs::create_dir(&path).expect("folder");
    target.check(OutputKind::Folder).expect("an empty folder is as good as none");

    std::fs::create_dir_all(path.join("3/1")).expect("folder");
    assert!(refusal(OutputKind::Folder, &target).contains("tilejson.json"));
    std::fs::write(path.join("metadata.json"), "{}").expect("file");
    target.check(OutputKind::Folder).expect("a tile set may be replaced");
    for foreign in ["thesis.docx", "src", "1999"] {
        let foreign = path.join(foreign);
        if foreign.extension().is_some() {
            std::fs::write(&foreign, "years of work").expect("file");
        } else {
            std::fs::create_dir(&foreign).expect("folder");
        }
        let message = refusal(OutputKind::Folder, &target);
        assert!(message.contains(foreign.file_name().expect("name").to_str().expect("UTF-8")), "{message}");
        assert!(foreign.exists());
        if foreign.is_dir() {
            std::fs::remove_dir(foreign).expect("removed");
        } else {
            std::fs::remove_file(foreign).expect("removed");
        }
    }
    let file = dir.path().join("plain");
    std::fs::write(&file, "text").expect("file");
    refusal(OutputKind::Folder, &Target { overwrite: true, ..Target::new(&file) });
    refusal(OutputKind::Mbtiles, &Target { overwrite: true, ..Target::new(&path) });
}

#[test]
fn an_empty_folder_is_filled_without_overwrite() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("set");
    std::fs::create_dir(&path).expect("folder");
    let tiles = many(0..=2, 0);
    write(&Target::new(&path), &tiles, info(&tiles), 1);
    assert!(read_folder(&path) == tiles);
}

#[test]
fn missing_folders_are_named_before_any_work() {
    let dir = tempfile::tempdir().expect("tempdir");
    for (kind, name) in KINDS {
        let target = Target::new(dir.path().join("nowhere").join(name));
        assert!(refusal(kind, &target).contains("nowhere"));
        let tmp_dir = Some(dir.path().join("no-tmp"));
        let target = Target { tmp_dir, ..Target::new(dir.path().join(name)) };
        assert!(refusal(kind, &target).contains("no-tmp"));
    }
    assert!(names_in(dir.path()).is_empty());
}

#[test]
fn a_tile_written_twice_never_becomes_a_set() {
    for (kind, name) in KINDS {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut sink = begin(kind, &Target::new(dir.path().join(name)));
        let tile = |text: &[u8]| EncodedTile::new(TileCoord::new(2, 1, 1), text.to_vec());
        sink.write(tile(b"one")).expect("written");
        let second = sink.write(tile(b"two")).and_then(|()| sink.finish().map(|_| ()));
        assert!(matches!(&second, Err(Error::Internal(m)) if m.contains("2/1/1")), "{second:?}");
        assert!(names_in(dir.path()).is_empty(), "{name}");
    }
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let tiles = many(0..=6, 0);
    let tiles: Tiles = tiles.into_iter().map(|(c, b)| (c, b.repeat(20))).collect();
    let spool = tempfile::tempdir().expect("tempdir");
    for (kind, name) in KINDS {
        // With the spool on the small disk it is the spool that does not fit; with the spool elsewhere, the archive.
        for elsewhere in [false, true] {
            let Some(disk) = SmallDisk::mount(2048) else {
                eprintln!("skipped: this user may not mount a file system");
                return;
            };
            let tmp_dir = elsewhere.then(|| spool.path().to_owned());
            let target = Target { tmp_dir, ..Target::new(disk.path().join(name)) };
            let mut sink = begin(kind, &target);
            let mut result = Ok(());
            for tile in shuffled(&tiles, 3) {
                result = sink.write(tile);
                if result.is_err() {
                    break;
                }
            }
            let result = match result {
                Ok(()) => sink.finish().map(|_| ()),
                Err(error) => {
                    drop(sink);
                    Err(error)
                }
            };
            match &result {
                Err(error @ Error::Output { .. }) => {
                    let text = error.to_string();
                    assert!(text.contains("No space left") || text.contains("full"), "{text}");
                }
                other => panic!("{name}: a full disk gave {other:?}"),
            }
            assert!(names_in(disk.path()).is_empty(), "{name}: {:?}", names_in(disk.path()));
            assert!(names_in(spool.path()).is_empty());
        }
    }
}
