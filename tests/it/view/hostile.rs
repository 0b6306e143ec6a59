//! Requests that mean harm: whatever is asked, only the tile set is served, and the server goes on.

use std::fs;

use super::*;

/// What stands in a file that nobody may read.
const SECRET: &str = "the secret of the next folder";

/// A folder of tiles with secrets beside it and above it, and its server.
fn beset(options: &[&str]) -> (tempfile::TempDir, Server) {
    let dir = scratch();
    let set = tileset(dir.path(), "set", &[]);
    for place in [
        dir.path().join("secret.png"),
        dir.path().join("secret"),
        set.join("secret.png"),
        set.join("12/secret.png"),
    ] {
        fs::write(place, SECRET).expect("a secret");
    }
    std::os::unix::fs::symlink(dir.path().join("secret"), set.join("12/2219/7.png")).expect("a link");
    let server = Server::start(&set, options);
    (dir, server)
}

fn serves(server: &Server) -> bool {
    server.get("/12/2219/1409.png").status == 200
}

#[test]
fn paths_never_lead_out_of_the_tile_set() {
    let (dir, server) = beset(&[]);
    let absolute = dir.path().join("secret").display().to_string();
    let mut paths: Vec<String> = [
        "/../secret",
        "/..",
        "/.",
        "/./secret.png",
        "//secret.png",
        "///",
        "/secret.png",
        "/12/secret.png",
        "/12/..",
        "/12/../secret.png",
        "/12/../../secret",
        "/12/2219/../../../secret",
        "/12/2219/../../../secret.png",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/%252e%252e/secret",
        "/..%5csecret",
        "/..\\secret",
        "/12/2219/..%2f..%2f..%2fsecret.png",
        "/12/2219/%2e%2e/%2e%2e/%2e%2e/secret.png",
        "/12/2219/7%00.png",
        "/12/2219/1409.png%00.jpg",
        "/12/2219/%31409.png",
        "/12/2219/1409.png/",
        "/12/2219/1409.png/../7.png",
        "/12/2219/7.png/.",
        "/assets/../../secret",
        "/assets/%2e%2e/secret.png",
        "/assets//etc/passwd",
        "/etc/passwd",
        "/tilejson.json/../secret",
        "/12//2219/1409.png",
        "/12/2219//1409.png",
        "/ 12/2219/1409.png",
        "/12;/2219/1409.png",
        "/99/0/0.png",
        "/256/0/0.png",
        "/4294967308/2219/1409.png",
        "/12/4294969515/1409.png",
        "/12/2219/-1.png",
        "/12/2219/1e3.png",
        "/12/2219/0x581.png",
        "/12/2219/1409.0.png",
        "/12/2219/１.png",
        "/31/2147483648/0.png",
        "/12/4096/0.png",
        "/12/0/4096.png",
        "/-1/0/0.png",
        "/NaN/0/0.png",
        "/12/2219/.png",
        "/.png",
        "/12/2219/secret.png",
        "/18446744073709551628/2219/1409.png",
        "/{z}/{x}/{y}.png",
        "/~root/secret",
        "/C:/secret",
        "/file:///etc/passwd",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.push(absolute.clone());
    paths.push(format!("/{absolute}"));
    paths.push(format!("/12/2219/{}", "9".repeat(5000)));
    paths.push(format!("/{}", "../".repeat(2000)));
    for path in &paths {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.at);
        let answer = server.exchange(request.as_bytes());
        let text = String::from_utf8_lossy(&answer);
        let shown = &path[..path.len().min(80)];
        assert!(!text.contains(SECRET) && !text.contains("root:"), "{shown}: {text}");
        assert!(
            !text.contains(&*dir.path().to_string_lossy()) || path.contains(&absolute),
            "{shown}: {text}"
        );
        let status = text.split(' ').nth(1).unwrap_or("none");
        assert!(["400", "404", "414", "431"].contains(&status), "{shown}: {text}");
    }
    // The link in the folder is found, and refused for what it leads to.
    let link = server.get("/12/2219/7.png");
    assert_eq!(link.status, 500);
    assert_eq!(link.text(), "tile 12/2219/7 is of no known format; known are PNG, JPEG and WebP\n");
    assert!(serves(&server));
}

#[test]
fn bytes_that_are_no_requests_end_the_connection_and_nothing_else() {
    let (_dir, server) = beset(&[]);
    let long = "a".repeat(100_000);
    let many = "x: y\r\n".repeat(5000);
    for request in [
        &b""[..],
        b"\0\0\0\0",
        b"\r\n\r\n\r\n",
        b"GET",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /12/2219/1409\0.png HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes(),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nx: {long}\r\n\r\n").as_bytes(),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes(),
        format!("{long}{long}").as_bytes(),
    ] {
        let answer = server.exchange(request);
        let text = String::from_utf8_lossy(&answer);
        let shown = String::from_utf8_lossy(&request[..request.len().min(60)]);
        assert!(text.is_empty() || !text.starts_with("HTTP/1.1 2"), "{shown}: {text}");
        assert!(serves(&server), "{shown}");
    }
}

#[test]
fn other_names_for_this_machine_are_refused() {
    let (_dir, server) = beset(&[]);
    let status = |head: &str| {
        let answer = server.exchange(format!("{head}Connection: close\r\n\r\n").as_bytes());
        String::from_utf8_lossy(&answer).split(' ').nth(1).map(str::to_owned).unwrap_or_default()
    };
    let port = server.at.port();
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "[::1]", "tiles.localhost"] {
        assert_eq!(
            status(&format!("GET /tilejson.json HTTP/1.1\r\nHost: {host}:{port}\r\n")),
            "200",
            "{host}"
        );
    }
    for host in ["evil.example.org", "localhost.evil.example.org", "127.0.0.1.nip.io", "192.168.0.1"] {
        assert_eq!(
            status(&format!("GET /tilejson.json HTTP/1.1\r\nHost: {host}:{port}\r\n")),
            "403",
            "{host}"
        );
        let line = format!("GET http://{host}/tilejson.json HTTP/1.1\r\nHost: localhost\r\n");
        assert_eq!(status(&line), "403", "{host}");
    }
    for head in [
        "",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: a b\r\n",
        "Host: user@localhost\r\n",
        "Host: \r\n",
    ] {
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{head}")), "400", "{head}");
    }
    assert_eq!(status("GET /tilejson.json HTTP/1.0\r\n"), "200");
}

#[test]
fn everybody_is_answered_where_everybody_is_let_in() {
    let (_dir, server) = beset(&["--host", "0.0.0.0"]);
    let answer = server
        .exchange(b"GET /tilejson.json HTTP/1.1\r\nHost: maps.example.org\r\nConnection: close\r\n\r\n");
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("http://maps.example.org/{z}/{x}/{y}.png"),
        "{text}"
    );
}

#[test]
fn silent_and_slow_clients_keep_nobody_waiting() {
    let (_dir, server) = beset(&[]);
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut client = TcpStream::connect(server.at).expect("connected");
        client.write_all(b"GET / HTTP/1.1\r\nHost: loc").expect("sent");
        silent.push(client);
    }
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(serves(&server));
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(server.end("TERM").code(), Some(0));
}

#[test]
fn damaged_tiles_are_named_and_the_others_served() {
    let dir = scratch();
    let set = tileset(dir.path(), "set", &[]);
    let path = set.join("12/2219/1409.png");
    let mut bytes = fs::read(&path).expect("a tile");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&path, bytes).expect("damaged");
    let server = Server::start(&set, &[]);
    let answer = server.get("/12/2219/1409.png");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("tile 12/2219/1409 is a damaged PNG"), "{}", answer.text());
    assert_eq!(server.get("/11/1109/704.png").status, 200);
}
