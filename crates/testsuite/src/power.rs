use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Input, run};

/// Takes note of what a gateway has had the disk take (fdatasync(2)), which is what a power cut leaves.
#[derive(Debug)]
pub struct PowerCuts {
    folder: TempDir,
}

/// A file that grows, as a power cut leaves it from a moment on.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Since 1970.
    pub since: Duration,
    pub length: u64,
    pub path: PathBuf,
}

/// Stands in front of the C library's call. What was written before the call is on the disk after it.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    char link[64], path[4096], line[4200];
    struct stat before;
    struct timespec now;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (fstat(fd, &before) != 0 || real(fd) != 0)
        return -1;
    clock_gettime(CLOCK_REALTIME, &now);
    if (length > 0) {
        path[length] = 0;
        FILE *log = fopen(getenv("KEYWARD_TEST_TAKEN"), "a");
        int size = snprintf(line, sizeof line, "%lld.%09ld %lld %s\n", (long long)now.tv_sec, now.tv_nsec, (long long)before.st_size, path);
        fwrite(line, 1, size, log);
        fclose(log);
    }
    return 0;
}
"#;

impl PowerCuts {
    #[track_caller]
    pub fn prepare() -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-power-").tempdir().unwrap();
        let (source, library) = (folder.path().join("taken.c"), folder.path().join("taken.so"));
        fs::write(&source, LIBRARY).unwrap();
        let mut compile = Command::new("gcc");
        compile.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source);
        run(compile.arg("-ldl"), Input::Nothing).must_succeed();
        Self { folder }
    }

    /// Variables of the gateway's environment.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.folder.path().join("taken.so")), ("KEYWARD_TEST_TAKEN", self.log())]
    }

    /// What the disk has taken of the files below a folder so far, in order.
    pub fn taken(&self, below: &Path) -> Vec<Taken> {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let all = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(parse);
        all.filter(|taken| taken.path.starts_with(below)).collect()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("taken")
    }
}

fn parse(line: &str) -> Taken {
    let [since, length, path] = line.trim_end().splitn(3, ' ').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    let since = Duration::from_secs_f64(since.parse().unwrap());
    Taken { since, length: length.parse().unwrap(), path: path.into() }
}
