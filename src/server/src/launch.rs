//! Port, browser and shutdown.
//!
//! The port is taken first: a second start then says who has it, before anything is loaded. A model
//! that cannot be loaded never stops the start; the page says why and offers to try again.

use std::{
    future::IntoFuture,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    panic::catch_unwind,
    time::Duration,
};

use acestep_domain::UserError;
use acestep_studio::{Studio, StudioOptions};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use crate::{
    auth::{Access, Credentials},
    cli::output::{Failure, say, tell, without_threads},
    router::router,
    site,
    state::{AppState, GenerationTimeout, Language},
};

/// How long open answers may take to end once the program is asked to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long whoever has the port may take to say who it is.
const ANSWER: Duration = Duration::from_secs(2);

/// How a studio is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Address to serve on.
    pub server_name: String,
    /// Port; 0 = any free one.
    pub port: u16,
    /// Open the browser once the page is there.
    pub open_browser: bool,
    /// Load the model before the page opens.
    pub init_service: bool,
    /// Language of the page until its visitor chooses.
    pub language: Option<Language>,
    /// How long an answer of the chat waits for its song.
    pub generation_timeout: GenerationTimeout,
    /// Who may ask.
    pub credentials: Credentials,
    /// More host names this studio answers to.
    pub allowed_hosts: Vec<String>,
    /// The studio.
    pub studio: StudioOptions,
}

/// Serves until the user stops it.
pub(crate) fn serve(launch: Launch) -> Result<(), Failure> {
    let addresses = addresses(&launch.server_name, launch.port)?;
    let access = Access::new(
        &launch.credentials,
        &launch.server_name,
        &addresses,
        &launch.allowed_hosts,
    )?;
    let listener = bind(&addresses, &launch)?;
    let studio = Studio::open(launch.studio.clone())
        .map_err(|error| Failure::run(UserError::from(error)))?;
    // A thread that cannot be had is a panic there.
    let runtime = catch_unwind(|| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
    });
    let runtime = runtime
        .map_err(|_panic| without_threads(&ErrorKind::WouldBlock.into()))?
        .map_err(|error| start_failed(&error))?;
    runtime.block_on(run(launch, access, listener, studio))
}

async fn run(
    launch: Launch,
    access: Access,
    listener: TcpListener,
    studio: Studio,
) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(|error| start_failed(&error))?;
    if launch.init_service {
        tokio::select! {
            () = load(&studio) => {}
            () = signals.next() => {
                tell("Stopping…");
                return stop(studio, signals).await;
            }
        }
    }
    listener
        .set_nonblocking(true)
        .map_err(|error| start_failed(&error))?;
    let listener =
        tokio::net::TcpListener::from_std(listener).map_err(|error| start_failed(&error))?;
    let at = listener
        .local_addr()
        .map_err(|error| start_failed(&error))?;

    let (close, closing) = watch::channel(false);
    let state = AppState {
        language: launch.language,
        generation_timeout: launch.generation_timeout,
        ..AppState::new(studio.clone(), access, closing.clone())
    };
    let mut closing = closing;
    let server = axum::serve(listener, router(state)).with_graceful_shutdown(async move {
        // A dropped sender means the same.
        closing.wait_for(|closing| *closing).await.ok();
    });
    let server = tokio::spawn(server.into_future());

    let url = url(&launch.server_name, at);
    if !site::is_built() {
        tell(&format!("note: {}", site::HOW_TO_BUILD));
    }
    say(&format!("ACE-Step studio: {url}"));
    if launch.open_browser
        && let Err(error) = open::that_detached(&url)
    {
        tell(&format!(
            "note: the browser could not be opened ({error}); open {url} yourself."
        ));
    }

    signals.next().await;
    tell("Stopping…");
    close.send_replace(true);
    // Whoever still reads gets a moment, then is cut off.
    if tokio::time::timeout(PATIENCE, server).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut off");
    }
    stop(studio, signals).await
}

/// Ends the studio; a second signal ends the program at once.
async fn stop(studio: Studio, mut signals: Signals) -> Result<(), Failure> {
    let stopped = tokio::task::spawn_blocking(move || studio.shutdown());
    tokio::select! {
        // A panic in there was told by the panic hook.
        ended = stopped => drop(ended),
        () = signals.next() => at_once(),
    }
    Ok(())
}

#[expect(
    clippy::exit,
    reason = "the second signal: joining the engine's thread is what takes long"
)]
fn at_once() {
    std::process::exit(130);
}

/// Loads what was asked at start, with a bar; a failure is told here and shown by the page.
async fn load(studio: &Studio) {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("Loading the model {bar:30} {pos}/{len}") {
        bar.set_style(style);
    }
    let requested = studio.status().requested;
    let loading = studio.initialize_and_wait(requested);
    tokio::pin!(loading);
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let outcome = loop {
        tokio::select! {
            outcome = &mut loading => break outcome,
            _ = tick.tick() => {
                if let Some(progress) = studio.status().progress {
                    bar.set_length(progress.total as u64);
                    bar.set_position(progress.done as u64);
                }
            }
        }
    };
    bar.finish_and_clear();
    match outcome {
        Ok(status) => {
            let name = status.model.map_or_else(String::new, |model| model.name);
            tracing::info!(model.name = %name, "model {name} is loaded");
            for note in &status.notes {
                tracing::info!("note: {}", note.message);
            }
        }
        Err(error) => {
            let error = UserError::from(error);
            tell(&format!("error: the model was not loaded. {error}"));
            tell("The studio starts without it; its page says what can be done.");
        }
    }
}

fn start_failed(error: &std::io::Error) -> Failure {
    Failure::run(UserError::new(
        "internal",
        format!("The studio could not start: {error}."),
        "Try again; if it happens again, please report it.",
    ))
}

fn addresses(server_name: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let name = server_name.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = (name, port)
        .to_socket_addrs()
        .map(Iterator::collect)
        .unwrap_or_default();
    if found.is_empty() {
        return Err(Failure::input(UserError::invalid(
            "server-name",
            format!("--server-name {server_name} is no address of this machine."),
            "Give 127.0.0.1, 0.0.0.0 or a name this machine has.",
        )));
    }
    Ok(found)
}

fn bind(addresses: &[SocketAddr], launch: &Launch) -> Result<TcpListener, Failure> {
    TcpListener::bind(addresses).map_err(|error| {
        let (name, port) = (&launch.server_name, launch.port);
        Failure::input(match error.kind() {
            ErrorKind::AddrInUse => port_taken(addresses, port),
            ErrorKind::PermissionDenied => UserError::invalid(
                "port",
                format!("Port {port} may not be used by this user."),
                "Choose a port from 1024 up, for example --port 7860.",
            ),
            ErrorKind::AddrNotAvailable => UserError::invalid(
                "server-name",
                format!("--server-name {name} is no address of this machine."),
                "Give 127.0.0.1, 0.0.0.0 or an address this machine has.",
            ),
            _ => UserError::invalid(
                "port",
                format!("Port {port} of {name} cannot be used: {error}."),
                "Choose another one, for example --port 0 for any free port.",
            ),
        })
    })
}

fn port_taken(addresses: &[SocketAddr], port: u16) -> UserError {
    let other = port.checked_add(1).unwrap_or(7860);
    let elsewhere = format!("start this one with --port {other} (or --port 0 for any free port)");
    match addresses.iter().find_map(|at| who_is_at(*at)) {
        Some(Occupant::Studio(version)) => UserError::invalid(
            "port",
            format!("Port {port} is taken: another acestep ({version}) is running there."),
            format!("Use it at http://127.0.0.1:{port}, stop it, or {elsewhere}."),
        ),
        Some(Occupant::Silent) => UserError::invalid(
            "port",
            format!(
                "Port {port} is taken by a program that does not answer; it may be another acestep that is still loading its model."
            ),
            format!("Wait for it, stop it, or {elsewhere}."),
        ),
        Some(Occupant::Other) | None => UserError::invalid(
            "port",
            format!("Port {port} is taken by another program."),
            format!("Stop that program, or {elsewhere}."),
        ),
    }
}

/// Who has a port.
#[derive(Debug, PartialEq, Eq)]
enum Occupant {
    /// A studio of that version.
    Studio(String),
    /// It takes connections and says nothing.
    Silent,
    /// Something else.
    Other,
}

/// Asks whoever listens at `at` for a status; our answers carry our name.
fn who_is_at(at: SocketAddr) -> Option<Occupant> {
    let at = if at.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], at.port()))
    } else {
        at
    };
    let mut stream = TcpStream::connect_timeout(&at, ANSWER).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream
        .write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut answer = [0; 4096];
    let mut read = 0;
    while read < answer.len() {
        match stream.read(&mut answer[read..]) {
            Ok(0) => break,
            Ok(more) => {
                read += more;
                if answer[..read].windows(4).any(|end| end == b"\r\n\r\n") {
                    break;
                }
            }
            Err(_) if read == 0 => return Some(Occupant::Silent),
            Err(_) => break,
        }
    }
    let head = String::from_utf8_lossy(&answer[..read]);
    let version = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("server")
            .then(|| value.trim().strip_prefix("acestep/"))?
            .map(str::to_owned)
    });
    Some(version.map_or(Occupant::Other, Occupant::Studio))
}

/// The address a browser of this machine opens.
fn url(server_name: &str, at: SocketAddr) -> String {
    let port = at.port();
    if at.ip().is_unspecified() || server_name == "127.0.0.1" {
        format!("http://127.0.0.1:{port}")
    } else if server_name.contains(':') && !server_name.starts_with('[') {
        format!("http://[{server_name}]:{port}")
    } else {
        format!("http://{server_name}:{port}")
    }
}

/// Ctrl-C, and on Unix the signal that service managers send.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        // Without a handler Ctrl-C ends the program by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occupant_that_answers(answer: &'static str) -> Option<Occupant> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /api/v1/status"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let found = who_is_at(at);
        server.join().unwrap();
        found
    }

    #[test]
    fn another_studio_is_known_by_its_name_whatever_it_answers() {
        assert_eq!(
            occupant_that_answers("HTTP/1.1 401 Unauthorized\r\nServer: acestep/9.9.9\r\n\r\n{}"),
            Some(Occupant::Studio("9.9.9".into()))
        );
        assert_eq!(
            occupant_that_answers("HTTP/1.1 404 Not Found\r\nserver: nginx\r\n\r\n"),
            Some(Occupant::Other)
        );
        assert_eq!(occupant_that_answers("SSH-2.0\r\n"), Some(Occupant::Other));
    }

    #[test]
    fn an_address_to_open_for_every_address_served() {
        let at = |text: &str| text.parse().unwrap();
        assert_eq!(url("0.0.0.0", at("0.0.0.0:1")), "http://127.0.0.1:1");
        assert_eq!(url("localhost", at("127.0.0.1:2")), "http://localhost:2");
        assert_eq!(url("::1", at("[::1]:3")), "http://[::1]:3");
    }
}
