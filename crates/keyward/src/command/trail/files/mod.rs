//! `keyward trail export --as files`: the files that were moved by sftp and scp, out of what was recorded of them.

mod folder;
mod index;
mod output;
mod pieces;
mod scp;
mod sftp;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use keyward_trail::{ChannelId, Event, FileEvent, Reader};

use self::folder::Folder;
use self::index::Index;
use self::output::{About, Ended, Output};
use self::scp::Scp;
use self::sftp::Sftp;
use crate::command::shown;
use crate::progress::Progress;

/// INVARIANT: the most channels that are followed at one time, and the most files that wait for what the gateway recorded
/// of them.
const MOST_CHANNELS: usize = 256;
const MOST_ENDED: usize = 1024;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Exported {
    pub(super) whole: u64,
    pub(super) partial: u64,
    /// Files that are not what the gateway saw.
    pub(super) different: u64,
}

/// Where files go, and the moment of the recording.
struct Place {
    folder: Folder,
    index: Index,
    channel: u32,
    now: Duration,
    /// Files that are done, but for what the gateway recorded of them.
    ended: VecDeque<Ended>,
    failed: Option<anyhow::Error>,
}

enum Follower {
    Sftp(Box<Sftp>),
    Scp(Box<Scp>),
}

/// Writes each file of the recording, or of one channel of it, into a folder that is made or empty.
pub(super) fn export<R: Read>(
    reader: &mut Reader<R>,
    channel: Option<ChannelId>,
    folder: &Path,
) -> anyhow::Result<Exported> {
    let folder = Folder::make(folder)?;
    let index = Index::begin(folder.index()?)?;
    let (now, ended) = (Duration::ZERO, VecDeque::new());
    let mut place = Place { folder, index, channel: 0, now, ended, failed: None };
    let (mut followers, mut progress) = (BTreeMap::new(), Progress::begin());
    let read = follow(reader, channel, &mut followers, &mut place, &mut progress);
    progress.wipe();
    // What a damaged recording has up to there is in the folder all the same.
    for (id, mut follower) in followers {
        place.channel = id.0;
        follower.finish(&mut place)?;
    }
    while let Some(ended) = place.ended.pop_front() {
        place.index.add(&place.folder, ended, None)?;
    }
    let found = place.index.end()?;
    read.map(|()| found)
}

fn follow<R: Read>(
    reader: &mut Reader<R>,
    only: Option<ChannelId>,
    followers: &mut BTreeMap<ChannelId, Follower>,
    place: &mut Place,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    for item in reader {
        let (at, event) = item?;
        let id = event.channel();
        if only.is_some_and(|only| only != id) {
            continue;
        }
        (place.channel, place.now) = (id.0, at);
        progress.tell(format_args!("{} of the session, {} files", time(at), place.index.count()));
        match event {
            Event::Open { kind, command, .. } => {
                let follower = match &*kind {
                    "sftp" => Some(Follower::Sftp(Box::default())),
                    "scp" => command.and_then(|it| Scp::new(&it)).map(|scp| Follower::Scp(Box::new(scp))),
                    _ => None,
                };
                if let Some(follower) = follower {
                    if followers.len() >= MOST_CHANNELS {
                        anyhow::bail!("more than {MOST_CHANNELS} channels with files are open at one time");
                    }
                    followers.insert(id, follower);
                }
            }
            Event::Data { direction, stream: keyward_trail::Stream::Main, bytes, .. } => {
                let Some(follower) = followers.get_mut(&id) else { continue };
                if let Err(why) = follower.feed(direction, &bytes, place)? {
                    eprintln!(
                        "keyward: channel {id} cannot be followed from {} on: {}",
                        time(at),
                        shown(&why)
                    );
                    follower.finish(place)?;
                    followers.remove(&id);
                }
            }
            Event::File { file, .. } => place.recorded(&file, followers.get_mut(&id))?,
            Event::Close { .. } => {
                if let Some(mut follower) = followers.remove(&id) {
                    follower.finish(place)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn time(at: Duration) -> String {
    format!("{}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}

impl Follower {
    fn feed(
        &mut self,
        direction: keyward_trail::Direction,
        bytes: &[u8],
        place: &mut Place,
    ) -> anyhow::Result<Result<(), String>> {
        Ok(match self {
            Self::Sftp(sftp) => sftp.feed(direction, bytes, place)?.map_err(|why| why.to_string()),
            Self::Scp(scp) => scp.feed(direction, bytes, place)?.map_err(|why| why.to_string()),
        })
    }

    fn finish(&mut self, place: &mut Place) -> anyhow::Result<()> {
        match self {
            Self::Sftp(sftp) => sftp.finish(place),
            Self::Scp(scp) => scp.finish(place),
        }
    }
}

impl Place {
    fn about(&self, protocol: &'static str, operation: &'static str, path: Vec<u8>) -> About {
        self.about_at(self.now, protocol, operation, path)
    }

    fn about_at(
        &self,
        at: Duration,
        protocol: &'static str,
        operation: &'static str,
        path: Vec<u8>,
    ) -> About {
        About { channel: self.channel, at, protocol, operation, path }
    }

    fn ended(&mut self, output: Output) -> anyhow::Result<()> {
        self.ended.push_back(output.end_here(&mut self.folder)?);
        if self.ended.len() > MOST_ENDED
            && let Some(ended) = self.ended.pop_front()
        {
            self.index.add(&self.folder, ended, None)?;
        }
        Ok(())
    }

    /// What the gateway saw of a file, which comes after its bytes.
    fn recorded(&mut self, file: &FileEvent<'_>, follower: Option<&mut Follower>) -> anyhow::Result<()> {
        if file.size.is_none() {
            return Ok(());
        }
        if self.find(file).is_none()
            && file.outcome == keyward_trail::FileOutcome::Unfinished
            && let Some(follower) = follower
        {
            // The channel has ended: what is open of it is written of together.
            follower.finish(self)?;
        }
        match self.find(file).and_then(|at| self.ended.remove(at)) {
            Some(ended) => self.index.add(&self.folder, ended, Some(file)),
            None => Ok(()),
        }
    }

    /// The gateway may have put a start before the path, and of scp's own protocol it knows two names: the one in the
    /// command, and the one that the client sends.
    fn find(&self, file: &FileEvent<'_>) -> Option<usize> {
        let is_it = |about: &About| {
            let name = about.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            let is_other = file.other.as_ref().is_some_and(|other| **other == *name);
            let is_name = file.path.ends_with(name) || is_other;
            about.channel == self.channel && about.operation == file.operation && is_name
        };
        let exact = self.ended.iter().position(|it| is_it(&it.about) && it.about.path == *file.path);
        exact.or_else(|| self.ended.iter().position(|it| is_it(&it.about)))
    }

    /// Keeps an error that has no other way out.
    fn note<T>(&mut self, result: anyhow::Result<T>) -> Option<T> {
        result.map_err(|error| self.failed.get_or_insert(error)).ok()
    }

    fn settled(&mut self) -> anyhow::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}
