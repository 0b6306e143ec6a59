//! The server of `view`: whatever is asked, it answers or hangs up, and never with a byte from outside of the tile set.

#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tileloom::view::{Server, ViewOptions};

const SECRET: &[u8] = b"the secret beside the tile set";

/// The address of a server that runs as long as the process.
fn address() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        let dir = tempfile::tempdir_in("/dev/shm").expect("memory").keep();
        let set = dir.join("set");
        std::fs::create_dir_all(set.join("1/0")).expect("made");
        std::fs::write(set.join("1/0/0.png"), include_bytes!("../seeds/tile.png")).expect("written");
        for place in [dir.join("secret"), set.join("secret.png"), set.join("1/secret.png"), dir.join("1.png")] {
            std::fs::write(place, SECRET).expect("written");
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        // A server cannot leave the thread that opened its tile set.
        std::thread::spawn(move || {
            let server = Server::bind(&ViewOptions::new(set)).expect("listens");
            let address = server.address();
            sender.send(address.trim_start_matches("http://").trim_end_matches('/').to_owned()).expect("heard");
            server.run()
        });
        receiver.recv().expect("an address")
    })
}

fuzz_target!(|bytes: &[u8]| {
    let mut stream = TcpStream::connect(address()).expect("listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    // The server may have hung up already.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.windows(SECRET.len()).any(|part| part == SECRET));
});
