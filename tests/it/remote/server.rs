//! A small server of files on the loopback interface, which answers ranges and fails where it is told to.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the server does with a request for pixels, counted from 0; those for the head of a file are always answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The bytes.
    Whole,
    /// This status and no bytes.
    Status(u16),
    /// Half of the bytes that it promised, and the end of the connection.
    Short,
    /// The end of the connection, without a word.
    Dropped,
    /// Nothing, for longer than anybody waits.
    Silence,
}

/// A running server; it stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    listener: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the files of `folder`, answering as `answer` says.
    pub fn start(folder: PathBuf, answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stopping, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let shared = Arc::new(Shared { folder, answer, stopping: stopping.clone(), asked: asked.clone() });
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let shared = shared.clone();
                // A broken connection is the client's business.
                std::thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { address, stopping, asked, listener: Some(thread) }
    }

    /// The address of a file.
    pub fn address(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// How many requests for pixels came in.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener; if it is gone already, there is nothing to wake.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.listener.take() {
            thread.join().expect("the server does not panic");
        }
    }
}

struct Shared<A> {
    folder: PathBuf,
    answer: A,
    stopping: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

/// What is of interest in a request.
struct Request {
    head: bool,
    name: String,
    range: Option<(usize, usize)>,
}

impl<A: Fn(usize) -> Answer> Shared<A> {
    fn serve(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = request(&mut reader) {
            let Some(keep) = self.respond(&mut stream, &request) else { return };
            if !keep || self.stopping.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    /// Answers a request; whether the connection stays open, `None` when the client has closed it.
    fn respond(&self, stream: &mut impl Write, request: &Request) -> Option<bool> {
        let plain = !request.name.contains('/') && !request.name.contains("..");
        let Some(bytes) = plain.then(|| std::fs::read(self.folder.join(&request.name)).ok()).flatten() else {
            write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok()?;
            return Some(true);
        };
        let (status, from, to) = match request.range {
            Some((from, to)) if from < bytes.len() => {
                ("206 Partial Content", from, to.min(bytes.len() - 1) + 1)
            }
            _ => ("200 OK", 0, bytes.len()),
        };
        let pixels = !request.head && from > 0;
        let answer =
            if pixels { (self.answer)(self.asked.fetch_add(1, Ordering::SeqCst)) } else { Answer::Whole };
        match answer {
            Answer::Dropped => return None,
            Answer::Silence => {
                while !self.stopping.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                return None;
            }
            Answer::Status(status) => {
                write!(stream, "HTTP/1.1 {status} Failed\r\nContent-Length: 0\r\n\r\n").ok()?;
                return Some(true);
            }
            Answer::Whole | Answer::Short => {}
        }
        let mut head =
            format!("HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nContent-Length: {}\r\n", to - from);
        if status.starts_with("206") {
            let _ = write!(head, "Content-Range: bytes {from}-{}/{}\r\n", to - 1, bytes.len());
        }
        // Beside the file, if it has one.
        if let Ok(tag) = std::fs::read_to_string(self.folder.join(format!("{}.etag", request.name))) {
            let _ = write!(head, "ETag: {tag}\r\n");
        }
        write!(stream, "{head}\r\n").ok()?;
        if !request.head {
            let sent = if answer == Answer::Short { from + (to - from) / 2 } else { to };
            stream.write_all(&bytes[from..sent]).ok()?;
        }
        Some(answer == Answer::Whole)
    }
}

/// The next request of a connection.
fn request(reader: &mut impl BufRead) -> Option<Request> {
    let mut lines = reader.lines().map_while(Result::ok).take_while(|l| !l.is_empty());
    let first = lines.next()?;
    let mut words = first.split(' ');
    let head = words.next()? == "HEAD";
    let name = words.next()?.trim_start_matches('/').to_owned();
    let mut range = None;
    for line in lines {
        let Some((key, value)) = line.split_once(':') else { continue };
        if key.eq_ignore_ascii_case("range") {
            let (from, to) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
            range = Some((from.parse().ok()?, to.parse().unwrap_or(usize::MAX - 1)));
        }
    }
    Some(Request { head, name, range })
}
