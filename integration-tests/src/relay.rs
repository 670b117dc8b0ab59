use std::{
    io::{self, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Forwards TCP connections to another port of this machine, until it is cut: then nothing comes through in either
/// direction and nobody is told, as when a cable is pulled. What was under way comes through when it is healed.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    gate: Arc<Gate>,
}

impl Relay {
    /// Listens on a free port and forwards to `to`, on which somebody need not listen yet.
    pub fn to(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let gate = Arc::<Gate>::default();
        let of_thread = gate.clone();
        // Ends with the process: a relay is there for as long as its program.
        thread::spawn(move || {
            for accepted in listener.incoming().flatten() {
                let gate = of_thread.clone();
                thread::spawn(move || forward(accepted, to, &gate));
            }
        });
        Self { port, gate }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on nothing comes through.
    pub fn cut(&self) {
        self.gate.set(true);
    }

    /// Everything comes through again.
    pub fn heal(&self) {
        self.gate.set(false);
    }
}

#[derive(Debug, Default)]
struct Gate {
    is_cut: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, is_cut: bool) {
        *self.lock() = is_cut;
        self.changed.notify_all();
    }

    fn wait_until_whole(&self) {
        let whole = self.changed.wait_while(self.lock(), |is_cut| *is_cut);
        drop(whole.unwrap_or_else(PoisonError::into_inner));
    }
}

fn forward(from: TcpStream, to: u16, gate: &Gate) {
    gate.wait_until_whole();
    // Nobody there: the connection is dropped, which is what the other side would see.
    let Ok(to) = TcpStream::connect(("127.0.0.1", to)) else {
        return;
    };
    let halves = [(&from, &to), (&to, &from)];
    let set_up = halves.iter().try_for_each(|(one, _)| one.set_nodelay(true));
    if set_up.is_ok() {
        thread::scope(|scope| {
            for (from, to) in halves {
                scope.spawn(move || pass(from, to, gate));
            }
        });
    }
}

/// One direction of a connection, to its end.
fn pass(mut from: &TcpStream, to: &TcpStream, gate: &Gate) {
    let passed = io::copy(&mut from, &mut Gated { to, gate });
    gate.wait_until_whole();
    // A side that is gone takes the other with it; one that has only said all it has to say does not.
    let how = if passed.is_ok() {
        Shutdown::Write
    } else {
        Shutdown::Both
    };
    let _ = to.shutdown(how);
}

struct Gated<'a> {
    to: &'a TcpStream,
    gate: &'a Gate,
}

impl Write for Gated<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gate.wait_until_whole();
        self.to.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, time::Duration};

    use super::*;

    #[test]
    fn what_is_sent_while_it_is_cut_comes_when_it_is_healed() {
        let server = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
        let relay = Relay::to(server.local_addr().expect("it is bound").port());
        let mut client = TcpStream::connect(("127.0.0.1", relay.port())).expect("it listens");
        client.write_all(b"one").expect("it is open");
        let (mut served, _) = server.accept().expect("it is forwarded");
        let mut read = [0; 3];
        served.read_exact(&mut read).expect("it comes");
        assert_eq!(&read, b"one");

        relay.cut();
        client.write_all(b"two").expect("nobody is told");
        served
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("it is not zero");
        assert!(served.read_exact(&mut read).is_err(), "nothing comes through");
        relay.heal();
        served
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("it is not zero");
        served.read_exact(&mut read).expect("it comes");
        assert_eq!(&read, b"two");

        drop(client);
        assert_eq!(served.read_to_end(&mut Vec::new()).expect("an orderly end"), 0);
    }
}
