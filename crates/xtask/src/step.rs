use std::cell::Cell;
use std::time::Instant;

use anyhow::{Context, Result};

/// Says what is going on and how long each part took.
#[derive(Default)]
pub(crate) struct Steps {
    done: Cell<u32>,
}

impl Steps {
    pub(crate) fn step<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let value = self.last(name, work)?;
        println!("    {name}: {:.1} s", started.elapsed().as_secs_f64());
        Ok(value)
    }

    /// The step whose own last words are to be the last ones printed.
    pub(crate) fn last<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.done.set(self.done.get() + 1);
        println!("==> {}. {name}", self.done.get());
        work().with_context(|| format!("step {} ({name})", self.done.get()))
    }
}
