//! Users of their own for plugin instances, and the directories that belong to them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyward_model::InstanceName;

use super::PluginError;

/// Which instance has which uid. An instance keeps its uid while the host lives, and from run to run as long as its
/// state directory tells it.
#[derive(Debug)]
pub(super) struct Users {
    base: Option<u32>,
    given: HashMap<InstanceName, Option<User>>,
}

/// The uid of an instance. An update shares it with the version that it replaces, while both live.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    sharers: Arc<()>,
}

/// How many uids the range has.
const RANGE: u32 = 10_000;

impl Users {
    pub(super) fn new(base: Option<u32>) -> Self {
        Self { base, given: HashMap::new() }
    }

    /// The user of `instance`, and whether this is its first load. `None`: instances have none of their own.
    ///
    /// # Errors
    /// When all users of the range are taken: an instance never runs as the gateway's user instead.
    pub(super) fn assign(
        &mut self,
        instance: &InstanceName,
        state_dir: &Path,
    ) -> Result<(Option<User>, bool), PluginError> {
        if let Some(user) = self.given.get(instance) {
            return Ok((user.clone(), false));
        }
        let user = match self.base {
            Some(base) => {
                let none = || PluginError::NoUser { instance: instance.clone(), base, count: RANGE };
                let uid = self.free_uid(base, state_dir).ok_or_else(none)?;
                Some(User { uid, sharers: Arc::new(()) })
            }
            None => None,
        };
        self.given.insert(instance.clone(), user.clone());
        Ok((user, true))
    }

    fn free_uid(&self, base: u32, state_dir: &Path) -> Option<u32> {
        let range = base..base.saturating_add(RANGE);
        let free =
            |uid: &u32| range.contains(uid) && !self.given.values().flatten().any(|user| user.uid == *uid);
        let owner = fs::symlink_metadata(state_dir).ok().map(|meta| meta.uid());
        owner.filter(&free).or_else(|| range.clone().find(&free))
    }
}

impl User {
    /// Whether no other version of the instance lives, so that every process of the user belongs to this one.
    pub(super) fn is_alone(&self) -> bool {
        // One is in `Users`.
        Arc::strong_count(&self.sharers) <= 2
    }
}

/// Makes a plugin's directory with mode 0750, emptied where asked, and everything in it its own.
///
/// # Errors
/// When it cannot be made, or is no directory.
pub(super) fn prepare(dir: &Path, user: Option<u32>, contents: Contents) -> Result<(), PluginError> {
    let failed = |what| move |source| PluginError::File { what, path: dir.to_owned(), source };
    if contents == Contents::Emptied {
        empty(dir).map_err(failed("cannot empty"))?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o750).create(dir).map_err(failed("cannot create"))?;
    let meta = fs::symlink_metadata(dir).map_err(failed("cannot read"))?;
    if !meta.is_dir() {
        return Err(failed("is no directory:")(io::ErrorKind::NotADirectory.into()));
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o750)).map_err(failed("cannot open"))?;
    match user {
        Some(user) if meta.uid() != user => hand_over(dir, user).map_err(failed("cannot hand over")),
        Some(_) | None => Ok(()),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Contents {
    Kept,
    Emptied,
}

fn empty(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Links are not followed, and a file with a second name elsewhere is not given away.
fn hand_over(dir: &Path, user: u32) -> io::Result<()> {
    let mut pending: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(path) = pending.pop() {
        let meta = fs::symlink_metadata(&path)?;
        if meta.is_dir() {
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        } else if meta.nlink() > 1 {
            continue;
        }
        lchown(&path, Some(user), Some(user))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> InstanceName {
        InstanceName::try_from(text).unwrap()
    }

    #[test]
    fn two_instances_never_share_a_user_and_one_keeps_its_own() {
        let mut users = Users::new(Some(70_000));
        let nowhere = Path::new("/nonexistent");
        let mut assign = |instance| {
            let (user, first) = users.assign(&name(instance), nowhere).unwrap();
            (user.map(|user| user.uid), first)
        };
        assert_eq!(assign("a"), (Some(70_000), true));
        assert_eq!(assign("b"), (Some(70_001), true));
        assert_eq!(assign("a"), (Some(70_000), false));
    }

    #[test]
    fn an_instance_that_no_user_is_left_for_is_refused() {
        let mut users = Users::new(Some(u32::MAX - 1));
        let nowhere = Path::new("/nonexistent");
        assert!(users.assign(&name("a"), nowhere).unwrap().0.is_some());
        let error = users.assign(&name("b"), nowhere).unwrap_err();
        assert!(matches!(error, PluginError::NoUser { .. }), "{error}");
        assert!(users.assign(&name("a"), nowhere).is_ok(), "the one that has a user keeps it");
    }

    #[test]
    fn an_emptied_directory_is_empty_and_a_kept_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        for (contents, left) in [(Contents::Kept, 1), (Contents::Emptied, 0)] {
            let state = dir.path().join("state");
            prepare(&state, None, Contents::Kept).unwrap();
            fs::write(state.join("file"), "x").unwrap();
            prepare(&state, None, contents).unwrap();
            assert_eq!(fs::read_dir(&state).unwrap().count(), left);
            assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o750);
        }
    }
}
