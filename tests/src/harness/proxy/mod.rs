//! A TCP proxy that makes trouble: it stands between processes under test and an AWS endpoint, knows which operation a
//! request is, and does to it what networks do.

mod message;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use self::message::{Connection, Message};

/// What can happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It arrives late.
    Latency(Duration),
    /// The connection is reset, and the request does not arrive.
    Reset,
    /// It does not arrive, and nobody says so: no byte of it is taken, and the connection stays open.
    BlackHole,
    /// The other side says that it will send nothing more, and the request does not arrive.
    HalfClose,
    /// It is carried out, and the connection is reset instead of an answer.
    DropAnswer,
    /// It is carried out, and half of the answer comes.
    CutAnswer,
    /// It is refused with this status and AWS's name of an error, and is not carried out.
    Refusal(u16, &'static str),
    /// It is carried out, and the answer says that it is that time.
    Date(&'static str),
}

/// Which requests have which trouble.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The operation, as AWS names it; every one if none is named.
    pub operation: Option<&'static str>,
    /// So many of its requests pass first.
    pub pass: usize,
    /// Of those that come then, every one or every second one and so on has the trouble.
    pub every: usize,
    /// So many have it in all.
    pub times: usize,
    /// What happens to them.
    pub trouble: Trouble,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<(Rule, BTreeMap<String, usize>)>,
    seen: BTreeMap<String, usize>,
    troubled: Vec<(String, Trouble)>,
}

/// A proxy on a port of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _ends_with_us: tokio::sync::oneshot::Sender<()>,
}

impl Proxy {
    /// A proxy before the endpoint `http://HOST:PORT`.
    pub fn before(endpoint: &str, rules: Vec<Rule>) -> Self {
        let upstream: SocketAddr = endpoint
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("{endpoint:?} is no http://HOST:PORT"));
        let state = Arc::new(Mutex::new(State::default()));
        lock(&state).follow(rules);
        let (tell, told) = std::sync::mpsc::channel();
        let (ends_with_us, mut end) = tokio::sync::oneshot::channel::<()>();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                tell.send(listener.local_addr().expect("it is bound"))
                    .expect("is waited for");
                loop {
                    let accepted = tokio::select! {
                        _ = &mut end => return,
                        accepted = listener.accept() => accepted,
                    };
                    if let Ok((client, _)) = accepted {
                        // Detached: what is under way ends with the runtime.
                        drop(tokio::spawn(serve(client, upstream, Arc::clone(&shared))));
                    }
                }
            });
        });
        Self {
            address: told.recv().expect("the thread says its port, or panics"),
            state,
            _ends_with_us: ends_with_us,
        }
    }

    /// Follows these rules from now on, and counts for them from now on.
    pub fn follow(&self, rules: Vec<Rule>) {
        lock(&self.state).follow(rules);
    }

    /// As AWS's tools take an endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests of each operation were seen, retries included.
    pub fn seen(&self) -> BTreeMap<String, usize> {
        lock(&self.state).seen.clone()
    }

    /// Which requests had which trouble, in their order.
    pub fn troubled(&self) -> Vec<(String, Trouble)> {
        lock(&self.state).troubled.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn follow(&mut self, rules: Vec<Rule>) {
        self.rules = rules.into_iter().map(|rule| (rule, BTreeMap::new())).collect();
    }

    /// What is to happen to this request.
    fn next(&mut self, operation: &str) -> Option<Trouble> {
        *self.seen.entry(operation.to_owned()).or_default() += 1;
        let trouble = self.rules.iter_mut().find_map(|(rule, counts)| {
            if rule.operation.is_some_and(|wanted| wanted != operation) {
                return None;
            }
            let count = counts.entry(operation.to_owned()).or_default();
            *count += 1;
            let nth = count.checked_sub(rule.pass + 1)?;
            let is_hit = nth.is_multiple_of(rule.every) && nth / rule.every < rule.times;
            is_hit.then_some(rule.trouble)
        })?;
        self.troubled.push((operation.to_owned(), trouble));
        Some(trouble)
    }
}

/// Serves one connection until either side has enough of it.
async fn serve(client: TcpStream, upstream: SocketAddr, state: Arc<Mutex<State>>) {
    let mut client = Connection::new(client);
    let mut server: Option<Connection> = None;
    while let Ok(Some(head)) = client.request().await {
        let trouble = lock(&state).next(&head.operation());
        match trouble {
            Some(Trouble::Latency(how_late)) => tokio::time::sleep(how_late).await,
            Some(Trouble::Reset) => return reset(client),
            Some(Trouble::BlackHole) => return std::future::pending().await,
            Some(Trouble::HalfClose) => {
                // It fails if the other side is gone: then there is nothing to be closed.
                let _ = client.stream.shutdown().await;
                return swallow(client).await;
            }
            Some(Trouble::DropAnswer | Trouble::CutAnswer | Trouble::Refusal(..) | Trouble::Date(_))
            | None => {}
        }
        let Ok(request) = client.rest().await else {
            return;
        };
        if let Some(Trouble::Refusal(status, code)) = trouble {
            match client.stream.write_all(&head.refusal(status, code)).await {
                Ok(()) => continue,
                Err(_) => return,
            }
        }
        let Ok(answer) = ask(&mut server, upstream, &request, head.is_head()).await else {
            return reset(client);
        };
        let bytes = match trouble {
            Some(Trouble::DropAnswer) => return reset(client),
            Some(Trouble::CutAnswer) => answer.bytes[..answer.bytes.len() / 2].to_vec(),
            Some(Trouble::Date(date)) => answer.dated(date),
            _ => answer.bytes,
        };
        if client.stream.write_all(&bytes).await.is_err() || trouble == Some(Trouble::CutAnswer) {
            return;
        }
    }
}

/// Sends the request on, by the connection that there is or a new one.
async fn ask(
    server: &mut Option<Connection>,
    upstream: SocketAddr,
    request: &Message,
    is_head: bool,
) -> std::io::Result<Message> {
    loop {
        let (mut connection, is_new) = match server.take() {
            Some(connection) => (connection, false),
            None => (Connection::new(TcpStream::connect(upstream).await?), true),
        };
        let answer = match connection.stream.write_all(&request.bytes).await {
            Ok(()) => connection.answer(is_head).await,
            Err(e) => Err(e),
        };
        match answer {
            Ok(answer) => {
                *server = Some(connection);
                return Ok(answer);
            }
            // It was closed while it was idle.
            Err(_) if !is_new => {}
            Err(e) => return Err(e),
        }
    }
}

/// Closes it so that the other side hears of a reset, not of an end.
fn reset(client: Connection) {
    // It fails if the other side is gone: then nobody is there to hear it.
    let _ = client.stream.set_zero_linger();
}

/// Reads until the other side closes.
async fn swallow(mut client: Connection) {
    let mut bytes = [0; 4096];
    while client.stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
}
