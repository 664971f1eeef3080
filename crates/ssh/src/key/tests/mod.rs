//! Keys, signatures and certificates against those of OpenSSH and OpenSSL.

mod certificates;
mod forms;
mod hostile;
mod peer;
mod signatures;
