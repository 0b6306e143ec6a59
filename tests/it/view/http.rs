//! Answers as the standards have them.

use std::fs;

use super::*;
use crate::common::{names_in, read_tiles, run};

#[test]
fn every_container_gives_the_tiles_that_are_in_it() {
    let dir = scratch();
    for (name, options) in [
        ("set", &[][..]),
        ("tms", &["--convention", "tms"]),
        ("set.mbtiles", &[]),
        ("set.pmtiles", &["-f", "webp"]),
        ("set.tar", &["-f", "jpg"]),
    ] {
        let path = tileset(dir.path(), name, options);
        let server = Server::start(&path, &[]);
        let tiles = read_tiles(&path);
        assert!(tiles.len() > 5);
        let json: serde_json::Value =
            serde_json::from_slice(&server.get("/tilejson.json").body).expect("JSON");
        assert_eq!(json["scheme"], "xyz", "{name}");
        let template = json["tiles"][0].as_str().expect("a template");
        let template = template.strip_prefix(&format!("http://{}", server.at)).expect("its own address");
        for (tile, bytes) in &tiles {
            // Folders are read with the rows that their files have.
            let y = if name == "tms" { tile.tms_y() } else { tile.y };
            let path = template.replace("{z}", &tile.z.to_string()).replace("{x}", &tile.x.to_string());
            let answer = server.get(&path.replace("{y}", &y.to_string()));
            assert_eq!((answer.status, &answer.body), (200, bytes), "{name} {tile}");
            let media =
                format!("image/{}", json["format"].as_str().expect("a format").replace("jpg", "jpeg"));
            assert_eq!(answer.header("content-type"), Some(&*media));
        }
        assert_eq!(
            server.said["container"],
            if name == "tms" { "folder" } else { name.rsplit('.').next().unwrap() }.replace("set", "folder")
        );
    }
}

#[test]
fn holes_are_no_content_and_everything_else_is_not_found() {
    let dir = scratch();
    let server = Server::start(&tileset(dir.path(), "set.pmtiles", &[]), &[]);
    let hole = server.get("/13/0/0.png");
    assert_eq!((hole.status, hole.body.len()), (204, 0));
    for path in ["/9/0/0.png", "/14/0/0.png", "/13/0/0.jpg", "/13/0/0", "/robots.txt", "/assets/none.js"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn the_page_comes_with_a_policy_and_all_its_parts() {
    let dir = scratch();
    let server = Server::start(&tileset(dir.path(), "set.mbtiles", &["--name", "</script>hills"]), &[]);
    let page = server.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let text = page.text();
    let parts: Vec<_> = text.split(['"', '\'']).filter(|part| part.starts_with("assets/")).collect();
    assert!(parts.len() >= 3, "{parts:?}");
    assert_eq!(parts.contains(&"assets/ol.js"), tileloom::view::is_built_in());
    for part in parts {
        let answer = server.get(&format!("/{part}"));
        let media = if part.contains(".js") { "text/javascript" } else { "text/css" };
        assert_eq!(answer.status, 200, "{part}");
        assert!(answer.header("content-type").is_some_and(|m| m.starts_with(media)), "{part}");
    }
    assert!(!text.contains("</script>hills"));
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let dir = scratch();
    let server = Server::start(&tileset(dir.path(), "set", &[]), &[]);
    for path in ["/", "/tilejson.json", "/12/2219/1409.png", "/assets/page.js"] {
        let first = server.get(path);
        assert_eq!((first.status, first.header("cache-control")), (200, Some("no-cache")), "{path}");
        let tag = first.header("etag").expect("a tag").to_owned();
        for tags in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let again = server.ask("GET", path, &[("If-None-Match", &tags)]);
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {tags}");
            assert_eq!(again.header("etag"), Some(&*tag));
        }
        let other = server.ask("GET", path, &[("If-None-Match", "\"other\"")]);
        assert_eq!((other.status, other.body), (200, first.body));
    }
}

#[test]
fn parts_are_sent_where_parts_are_asked_for() {
    let dir = scratch();
    let server = Server::start(&tileset(dir.path(), "set.pmtiles", &[]), &[]);
    let path = "/12/2219/1409.png";
    let whole = server.get(path);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let (len, tag) = (whole.body.len(), whole.header("etag").expect("a tag").to_owned());
    let ask = |range: &str| server.ask("GET", path, &[("Range", range)]);
    for (range, first, last) in [
        ("bytes=0-7", 0, 7),
        ("bytes=8-", 8, len - 1),
        ("bytes=-5", len - 5, len - 1),
        ("bytes=0-999999999", 0, len - 1),
    ] {
        let part = ask(range);
        assert_eq!((part.status, &part.body[..]), (206, &whole.body[first..=last]), "{range}");
        assert_eq!(part.header("content-range"), Some(&*format!("bytes {first}-{last}/{len}")));
    }
    let beyond = ask(&format!("bytes={len}-"));
    assert_eq!((beyond.status, beyond.body.len()), (416, 0));
    assert_eq!(beyond.header("content-range"), Some(&*format!("bytes */{len}")));
    for range in ["bytes=0-1,4-5", "bytes=9-3", "lines=0-1", "bytes=zero-"] {
        assert_eq!(ask(range).status, 200, "{range}");
    }
    let stale = server.ask("GET", path, &[("Range", "bytes=0-7"), ("If-Range", "\"other\"")]);
    assert_eq!((stale.status, stale.body.len()), (200, len));
    let fresh = server.ask("GET", path, &[("Range", "bytes=0-7"), ("If-Range", &tag)]);
    assert_eq!((fresh.status, fresh.body.len()), (206, 8));
}

#[test]
fn heads_are_told_without_bodies_and_other_methods_refused() {
    let dir = scratch();
    let server = Server::start(&tileset(dir.path(), "set.tar", &[]), &[]);
    for path in ["/", "/12/2219/1409.png", "/12/0/0.png", "/nothing"] {
        let (get, head) = (server.get(path), server.ask("HEAD", path, &[]));
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        let told = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.retain(|(name, _)| name != "date");
            headers.sort();
            headers
        };
        assert_eq!(told(&head), told(&get), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        let answer = server.ask(method, "/12/2219/1409.png", &[]);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
    }
    assert_eq!(server.ask("OPTIONS", "/", &[]).status, 204);
}

#[test]
fn pages_on_this_machine_may_read_tiles_and_others_only_if_asked_for() {
    let dir = scratch();
    let set = tileset(dir.path(), "set.pmtiles", &[]);
    let allowed = |server: &Server, origin: &str| {
        let answer = server.ask("GET", "/tilejson.json", &[("Origin", origin)]);
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    let server = Server::start(&set, &[]);
    for origin in ["http://localhost:3000", "http://127.0.0.1:5173", "https://localhost"] {
        assert_eq!(allowed(&server, origin).as_deref(), Some(origin));
    }
    for origin in ["https://example.org", "http://localhost.example.org", "null", "http://10.0.0.1"] {
        assert_eq!(allowed(&server, origin), None, "{origin}");
    }
    let preflight = server.ask("OPTIONS", "/12/0/0.png", &[("Origin", "http://localhost:3000")]);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
    assert!(preflight.header("access-control-allow-headers").is_some_and(|h| h.contains("If-None-Match")));
    let open = Server::start(&set, &["--cors", "*"]);
    assert_eq!(allowed(&open, "https://example.org").as_deref(), Some("*"));
    let one = Server::start(&set, &["--cors", "https://maps.example.org"]);
    assert_eq!(allowed(&one, "https://maps.example.org").as_deref(), Some("https://maps.example.org"));
    assert_eq!(allowed(&one, "https://example.org"), None);
}

#[test]
fn a_signal_ends_it_without_complaint_and_lets_the_port_go() {
    let dir = scratch();
    let set = tileset(dir.path(), "set.mbtiles", &[]);
    for signal in ["TERM", "INT"] {
        let server = Server::start(&set, &[]);
        let at = server.at;
        // A client that keeps its connection does not keep the server.
        let mut idle = TcpStream::connect(at).expect("connected");
        idle.write_all(format!("GET / HTTP/1.1\r\nHost: {at}\r\n\r\n").as_bytes()).expect("sent");
        let mut begun = [0; 64];
        idle.read_exact(&mut begun).expect("an answer");
        assert_eq!(server.end(signal).code(), Some(0), "{signal}");
        let port = at.port().to_string();
        let again =
            program().args(["view", "--json", "--port", &port]).arg(&set).stdout(Stdio::piped()).spawn();
        let mut again = again.expect("the program starts");
        let mut line = String::new();
        BufReader::new(again.stdout.take().expect("output")).read_line(&mut line).expect("a line");
        again.kill().expect("killed");
        again.wait().expect("ended");
        assert_eq!(line.trim(), "{", "the port is taken");
    }
    assert_eq!(names_in(dir.path()), ["set.mbtiles"]);
}

#[test]
fn only_the_usual_port_may_be_another_when_it_is_taken() {
    let dir = scratch();
    let set = tileset(dir.path(), "set.mbtiles", &[]);
    let first = Server::start(&set, &[]);
    let port = first.at.port().to_string();
    let taken = run(["view", "--port", &port, &set.to_string_lossy()]);
    assert!(taken.failure(4).contains(&format!("127.0.0.1:{port}: cannot be listened on")), "{taken:?}");
    for (args, word) in [
        (&["--port", "65536"][..], "65536"),
        (&["--host", "no.such.host.invalid"], "no address of this machine"),
        (&["--cors", "example.org"], "give an origin"),
    ] {
        let bad = run([&["view"][..], args, &[&*set.to_string_lossy()]].concat());
        assert_eq!(bad.code, Some(2), "{bad:?}");
        assert!(bad.err.contains(word), "{bad:?}");
    }
    let none = run(["view", &*dir.path().join("none.pmtiles").to_string_lossy()]);
    assert!(none.failure(3).contains("none.pmtiles"));
    let raster = run(["view", &*testdata("rgb.tif").to_string_lossy()]);
    assert!(raster.failure(3).contains("tileloom tile"), "{raster:?}");
}

#[test]
fn a_set_that_has_no_place_on_the_earth_says_how_far_it_reaches() {
    let dir = scratch();
    let set = dir.path().join("scan");
    tile(&[&testdata("unreferenced.tif")], &set, &["--tiling-scheme", "raster"]);
    let server = Server::start(&set, &[]);
    let page = server.get("/").text();
    let highest = names_in(&set).iter().filter_map(|n| n.parse::<u8>().ok()).max().expect("levels");
    let columns = names_in(&set.join(highest.to_string()));
    let last = columns.iter().filter_map(|n| n.parse::<u32>().ok()).max().expect("columns");
    assert!(page.contains(&format!(r#""limits":[0,0,{last},"#)), "{page}");
    let json: serde_json::Value = serde_json::from_slice(&server.get("/tilejson.json").body).expect("JSON");
    assert!(json.get("bounds").is_none());
    assert!(fs::metadata(set.join("0/0/0.png")).is_ok() == (server.get("/0/0/0.png").status == 200));
}

#[test]
fn the_browser_is_opened_with_the_address() {
    use std::os::unix::fs::PermissionsExt;

    let dir = scratch();
    let set = tileset(dir.path(), "set.pmtiles", &[]);
    let (bin, told) = (dir.path().join("bin"), dir.path().join("told"));
    fs::create_dir(&bin).expect("a folder");
    let script = bin.join(if cfg!(target_os = "macos") { "open" } else { "xdg-open" });
    fs::write(&script, format!("#!/bin/sh\necho \"$@\" >{}\n", told.display())).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("executable");
    let mut child = program()
        .args(["view", "--quiet", "--open", "--port", "0"])
        .arg(&set)
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let begun = Instant::now();
    let address = loop {
        match fs::read_to_string(&told) {
            Ok(text) if text.ends_with('\n') => break text,
            _ => assert!(begun.elapsed() < Duration::from_secs(20), "no browser is opened"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    child.kill().expect("killed");
    let ended = child.wait_with_output().expect("ended");
    assert!(address.starts_with("http://127.0.0.1:") && address.ends_with("/\n"), "{address}");
    assert!(ended.stdout.is_empty() && ended.stderr.is_empty(), "--quiet: {ended:?}");
}
