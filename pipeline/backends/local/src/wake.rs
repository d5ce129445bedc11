//! Waking who waits, in this process and in the others that use the folder.

use std::collections::HashMap;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pipeline::id::RunId;
use pipeline::item::QueueName;
use tokio::sync::Notify;

/// Below this many bytes a path fits into a socket's address on every system.
const MAX_ADDRESS_BYTES: usize = 100;

/// The largest datagram, in bytes; what does not fit goes into the next.
const MAX_DATAGRAM_BYTES: usize = 4096;

/// What one can wait for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Topic(String);

impl Topic {
    /// A message of that queue became visible, or will.
    pub(crate) fn queue(queue: &QueueName) -> Self {
        Self(format!("q/{queue}"))
    }

    /// The run ended.
    pub(crate) fn run(run: &RunId) -> Self {
        Self(format!("r/{run}"))
    }
}

/// Who waits for what in this process.
type Waiting = Arc<Mutex<HashMap<Topic, Arc<Notify>>>>;

/// The wake-ups of one handle on the folder. They are hints: who waits looks again now and then by itself.
pub(crate) struct Wake {
    sockets: Sockets,
    waiting: Waiting,
    listener: OnceLock<Option<Listener>>,
}

impl Wake {
    /// `folder` holds one socket for each process that waits.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            sockets: Sockets::new(folder),
            waiting: Waiting::default(),
            listener: OnceLock::new(),
        }
    }

    /// Who holds the subscription is told from now on.
    pub(crate) fn subscribe(&self, topic: Topic) -> Subscription {
        // Only who waits needs a socket; without one (say, on a file system that has none) it is woken by its own
        // process only, and otherwise finds out by looking.
        self.listener
            .get_or_init(|| Listener::start(&self.sockets, Arc::clone(&self.waiting)).ok());
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = Arc::clone(waiting.entry(topic.clone()).or_default());
        Subscription {
            topic,
            notify,
            waiting: Arc::clone(&self.waiting),
        }
    }

    /// Wakes who waits for any of `topics`, here and elsewhere. Never blocks; what gets lost elsewhere is found by
    /// looking.
    pub(crate) fn tell(&self, topics: &mut Vec<Topic>) {
        if topics.is_empty() {
            return;
        }
        topics.sort_unstable();
        topics.dedup();
        notify(&self.waiting, topics.iter());
        let own = self.listener.get().and_then(Option::as_ref);
        self.sockets.send(topics, own.map(|l| l.name.as_str()));
    }
}

fn notify<'a>(waiting: &Waiting, topics: impl Iterator<Item = &'a Topic>) {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    for notify in topics.filter_map(|topic| waiting.get(topic)) {
        notify.notify_waiters();
    }
}

/// The right to be told of one topic.
pub(crate) struct Subscription {
    topic: Topic,
    notify: Arc<Notify>,
    waiting: Waiting,
}

impl Subscription {
    /// Ends with the next wake-up after this call (not after its first poll: so call, look, then wait).
    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and our own: nobody else waits for it.
        if Arc::strong_count(&self.notify) == 2 {
            waiting.remove(&self.topic);
        }
    }
}

/// The folder of sockets.
struct Sockets {
    folder: PathBuf,
    /// The folder's path, or where it is too long for an address, a short one that leads there.
    base: PathBuf,
    /// Keeps `base` alive.
    _handle: Option<std::fs::File>,
    sender: Option<UnixDatagram>,
}

impl Sockets {
    fn new(folder: PathBuf) -> Self {
        let (base, handle) = short_path(&folder);
        let sender = UnixDatagram::unbound()
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
            .ok();
        Self {
            folder,
            base,
            _handle: handle,
            sender,
        }
    }

    fn send(&self, topics: &[Topic], own: Option<&str>) {
        let (Some(sender), Ok(entries)) = (&self.sender, std::fs::read_dir(&self.folder)) else {
            return;
        };
        let mut datagrams: Vec<String> = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if own.is_some_and(|own| name == *own) {
                continue;
            }
            if datagrams.is_empty() {
                datagrams = pack(topics);
            }
            let address = self.base.join(&name);
            for datagram in &datagrams {
                match sender.send_to(datagram.as_bytes(), &address) {
                    Ok(_) => {}
                    // Nobody listens there any more: its process died.
                    Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                        let _ = std::fs::remove_file(entry.path());
                        break;
                    }
                    // Its buffer is full, so it is being woken; or it left just now.
                    Err(_) => break,
                }
            }
        }
    }
}

/// The topics, one a line, in as few datagrams as they fit in.
fn pack(topics: &[Topic]) -> Vec<String> {
    let mut datagrams = vec![String::new()];
    for Topic(topic) in topics {
        let last = datagrams.last_mut().expect("there is one from the start");
        if last.len() + topic.len() + 1 > MAX_DATAGRAM_BYTES {
            datagrams.push(format!("{topic}\n"));
        } else {
            last.push_str(topic);
            last.push('\n');
        }
    }
    datagrams
}

fn short_path(folder: &Path) -> (PathBuf, Option<std::fs::File>) {
    // The longest name of a socket has 28 bytes.
    if folder.as_os_str().len() + 1 + 28 < MAX_ADDRESS_BYTES {
        return (folder.to_owned(), None);
    }
    // Linux leads from there to the open folder. Elsewhere binding and sending fail, and looking has to do.
    match std::fs::File::open(folder) {
        Ok(handle) => {
            use std::os::fd::AsRawFd;
            let base = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
            (base, Some(handle))
        }
        Err(_) => (folder.to_owned(), None),
    }
}

/// The socket at which this handle is told what other processes wrote, and the thread that reads it.
struct Listener {
    name: String,
    path: PathBuf,
    socket: UnixDatagram,
}

impl Listener {
    fn start(sockets: &Sockets, waiting: Waiting) -> std::io::Result<Self> {
        let process = std::process::id();
        // Several handles may live in one process, and a dead process of the same number may have left its socket.
        let (name, socket) = (0..1000)
            .map(|n| format!("{process}-{n}.sock"))
            .find_map(|name| match UnixDatagram::bind(sockets.base.join(&name)) {
                Ok(socket) => Some(Ok((name, socket))),
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => None,
                Err(e) => Some(Err(e)),
            })
            .unwrap_or_else(|| Err(std::io::ErrorKind::AddrInUse.into()))?;
        let reading = socket.try_clone()?;
        std::thread::Builder::new()
            .name("fleetline-wake".into())
            .spawn(move || {
                let mut buffer = [0; MAX_DATAGRAM_BYTES];
                // An empty datagram is the end: sockets that were shut down read as empty.
                while let Ok(n @ 1..) = reading.recv(&mut buffer) {
                    let topics: Vec<Topic> = String::from_utf8_lossy(&buffer[..n])
                        .lines()
                        .map(|line| Topic(line.to_owned()))
                        .collect();
                    notify(&waiting, topics.iter());
                }
            })?;
        Ok(Self {
            path: sockets.folder.join(&name),
            name,
            socket,
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}
