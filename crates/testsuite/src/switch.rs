use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// An address behind which another server can be put.
#[derive(Debug)]
pub struct Switch {
    addr: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
}

impl Switch {
    /// Its threads end with the test's process.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let to = Arc::new(Mutex::new(server));
        let goes_to = Arc::clone(&to);
        thread::spawn(move || {
            for near in listener.incoming() {
                let far = TcpStream::connect(*goes_to.lock().unwrap()).unwrap();
                join(near.unwrap(), far);
            }
        });
        Self { addr, to }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// New connections go there.
    pub fn turn_to(&self, server: SocketAddr) {
        *self.to.lock().unwrap() = server;
    }
}

fn join(near: TcpStream, far: TcpStream) {
    for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
        thread::spawn(move || {
            // However it ends, the other side learns of it.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}
