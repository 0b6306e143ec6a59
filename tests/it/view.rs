//! `tileloom view`, spoken to over plain sockets, and pages beside folders of tiles.

mod hostile;
mod http;
mod pages;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::common::{program, testdata, tile};

/// A server, ended when it is dropped.
pub struct Server {
    child: Child,
    /// What it said on standard output.
    pub said: serde_json::Value,
    /// Where it listens.
    pub at: SocketAddr,
}

impl Server {
    /// Starts one on a port of its own and waits until it listens.
    pub fn start(tileset: &Path, options: &[&str]) -> Self {
        let mut child = program()
            .args(["view", "--json", "--port", "0"])
            .args(options)
            .arg(tileset)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut text = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("standard output"));
        while !text.ends_with("}\n") {
            assert!(out.read_line(&mut text).expect("a line") > 0, "it ended early: {text}");
        }
        let said: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let address = said["address"].as_str().expect("an address");
        let at = address.trim_start_matches("http://").trim_end_matches('/').parse().expect("a socket");
        Self { child, said, at }
    }

    /// Sends some bytes and reads what comes until the server has no more to say.
    pub fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.at).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
        // A server that has heard enough may close while more is sent, and answer or not.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// Asks for something in the usual way, with further headers.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let further: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let host = self.at;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{}\r\n",
            further.concat()
        );
        Answer::read(&self.exchange(request.as_bytes()))
    }

    /// Asks for something with GET.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// Sends a signal and waits for the end.
    pub fn end(mut self, signal: &str) -> ExitStatus {
        let kill = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill").success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..end]).expect("text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let header = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() }
    }

    /// A header's value; nothing where there is none.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A tile set made of `testdata/rgb.tif`, levels 10 to 13.
pub fn tileset(dir: &Path, name: &str, options: &[&str]) -> PathBuf {
    let path = dir.join(name);
    tile(&[&testdata("rgb.tif")], &path, &[&["-z", "10-13"], options].concat());
    path
}

pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}
