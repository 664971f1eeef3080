//! The protocol of scp before it spoke sftp, as someone needs it who stands between the two sides: lines that name files
//! and folders, the bytes of files, and an answer to each from the side that writes them. It has no specification;
//! OpenSSH's scp is what others follow.
//!
//! [`CommandLine`] is how it is started, [`Source`] what the side says that has the files, [`Replies`] what the other one
//! answers.

mod command_line;
mod fault;
mod record;
mod reply;
mod source;

pub use command_line::{CommandLine, Path, Role};
pub use fault::Fault;
pub use record::Record;
pub use reply::{Replies, Reply};
pub use source::{Piece, Source};

/// A line's bytes. OpenSSH cuts longer ones than 2,047, and takes the rest for another line.
const LONGEST_LINE: usize = 1024;
