//! The server: it listens, hands requests to the [`Site`], and stops when it is told to.
//!
//! All is done on one thread, the one that calls [`Server::run`]: a tile store belongs to one thread, and reading a tile takes
//! less than sending it. Clients that are slow or silent cost a place, not time, and the places are numbered.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use super::answer::{Access, answer};
use super::site::Site;
use crate::error::{Error, Result};
use crate::store::{self, About};
use crate::tileset::Scheme;

/// The port that is tried first.
const PORT: u16 = 8080;

/// How many ports are tried from there.
const PORTS: u16 = 100;

/// Clients that are served at once; more wait.
const PLACES: u32 = 128;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a client may stay. It may come back at once.
const STAY: Duration = Duration::from_secs(300);

/// How long answers that are under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// Most bytes of the head of a request.
const HEAD: usize = 16 << 10;

/// What is shown, and to whom. [`ViewOptions::new`] holds every default.
#[derive(Debug, Clone)]
pub struct ViewOptions {
    /// The tile set: anything that [`store::open`] opens.
    pub tileset: PathBuf,
    /// Numbering of the rows of a folder or tar archive; default as it tells, else XYZ.
    pub scheme: Option<Scheme>,
    /// The address to listen on; default 127.0.0.1, which only this machine reaches.
    pub host: IpAddr,
    /// The port to listen on, 0 for any that is free; default 8080, or the next one that is free.
    pub port: Option<u16>,
    /// Origin of web pages that may read the tiles, `*` for all; default pages on this machine.
    pub origin: Option<String>,
}

impl ViewOptions {
    /// A tile set shown to this machine only.
    pub fn new(tileset: impl Into<PathBuf>) -> Self {
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { tileset: tileset.into(), scheme: None, host, port: None, origin: None }
    }
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    local: SocketAddr,
    site: Site,
    about: About,
    origin: Option<String>,
    stop: Arc<watch::Sender<bool>>,
}

impl Server {
    /// Opens the tile set and begins to listen.
    ///
    /// # Errors
    /// [`Error::Input`] when the set cannot be opened, [`Error::Output`] when the address is taken or not this machine's.
    pub fn bind(options: &ViewOptions) -> Result<Self> {
        let store = store::open(&options.tileset, options.scheme)?;
        let about = store.about().clone();
        let site = Site::new(store)?;
        let (listener, local) = listen(options.host, options.port)?;
        let origin = options.origin.clone();
        Ok(Self { listener, local, site, about, origin, stop: Arc::new(watch::Sender::new(false)) })
    }

    /// What is known of the tile set.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Where the page is, for a browser on this machine.
    pub fn address(&self) -> String {
        let ip = match self.local.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}/", SocketAddr::new(ip, self.local.port()))
    }

    /// Whether only this machine can reach the server.
    pub fn is_local(&self) -> bool {
        self.local.ip().is_loopback()
    }

    /// The way to stop the server, from any thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Answers until it is stopped, then finishes what is under way.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system grants no event queue.
    pub fn run(self) -> Result<()> {
        let refused = |e: std::io::Error| Error::Internal(format!("the server cannot run: {e}"));
        let access = Access {
            is_local: self.is_local(),
            origin: self.origin.clone(),
            address: self.address().trim_end_matches('/').to_owned(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(refused)?;
        let stopped = self.stop.subscribe();
        let work = async move {
            self.listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(self.listener)?;
            serve(listener, Rc::new((self.site, access)), stopped).await;
            Ok::<(), std::io::Error>(())
        };
        LocalSet::new().block_on(&runtime, work).map_err(refused)
    }
}

/// Stops a [`Server`].
#[derive(Debug, Clone)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    /// Stops the server; again does nothing more.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Listens on a port, or the first that is free from [`PORT`] on.
fn listen(host: IpAddr, port: Option<u16>) -> Result<(TcpListener, SocketAddr)> {
    let mut address = SocketAddr::new(host, port.unwrap_or(PORT));
    loop {
        match TcpListener::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((local, listener)) => return Ok((listener, local)),
            Err(e)
                if e.kind() == std::io::ErrorKind::AddrInUse
                    && port.is_none()
                    && address.port() < PORT + PORTS =>
            {
                address.set_port(address.port() + 1);
            }
            Err(e) => {
                let reason = format!("cannot be listened on: {e}; choose another with --port or --host");
                return Err(Error::output(address.to_string(), reason));
            }
        }
    }
}

/// Takes clients in until the server is stopped, and waits for those that are being answered.
async fn serve(
    listener: tokio::net::TcpListener,
    site: Rc<(Site, Access)>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(PLACES as usize));
    let end = stopped.clone();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            if let Ok((stream, _)) = listener.accept().await {
                return Some((stream, place));
            }
            // Too many open files, or a client that was gone before it was taken in.
            sleep(Duration::from_millis(50)).await;
            None
        };
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            client = next => {
                if let Some((stream, place)) = client {
                    let (site, end) = (Rc::clone(&site), end.clone());
                    tokio::task::spawn_local(async move {
                        attend(stream, &site, end).await;
                        drop(place);
                    });
                }
            }
        }
    }
    drop(listener);
    // When all places are free nobody is being answered.
    let _ = timeout(GRACE, places.acquire_many(PLACES)).await;
}

/// Answers what one client asks, until it goes, stays too long, or the server is stopped.
async fn attend(stream: TcpStream, site: &(Site, Access), mut stopped: watch::Receiver<bool>) {
    let service = service_fn(|request| {
        let response = answer(&site.0, &site.1, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // A client that breaks off is no failure of the server.
        _ = connection.as_mut() => return,
        () = sleep(STAY) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}
