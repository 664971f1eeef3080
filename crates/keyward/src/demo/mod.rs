//! `keyward demo`: the main job on one machine, with real plugins, a real recording and a target of its own.

mod check;
mod setup;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use setup::Demo;

/// Runs until Ctrl-C, or with `check` until the demo has logged in by itself. Leaves nothing behind.
pub(crate) async fn run(check: bool, python: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let demo = Demo::start(python).await?;
    let status =
        if check { check::check(&demo).await } else { wait(&demo).await.map(|()| ExitCode::SUCCESS) };
    demo.stop().await;
    status
}

async fn wait(demo: &Demo) -> anyhow::Result<()> {
    println!();
    println!("The gateway is running. In another terminal:");
    println!();
    println!("    {}", demo.ssh_command());
    println!();
    println!("    the code it asks for:  {}", setup::CODE);
    println!("    what to try:           help, whoami, secret, exit");
    println!();
    println!(
        "You are alice; the plugin hands the gateway the password of user {}, which you never see.",
        setup::USER
    );
    println!("Recordings go to {}", demo.trails().display());
    println!("Ctrl-C ends the demo and removes all of it.");
    let mut seen = 0;
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                println!();
                return interrupted.context("Ctrl-C cannot be waited for");
            }
            () = tokio::time::sleep(std::time::Duration::from_millis(300)) => seen = tell(demo, seen).await?,
        }
    }
}

/// Says how each session ended and how to watch it, once.
async fn tell(demo: &Demo, seen: usize) -> anyhow::Result<usize> {
    let mut ended: Vec<_> =
        demo.sessions().await?.into_iter().filter(|s| s.summary.ended.is_some()).collect();
    ended.reverse();
    for session in ended.iter().skip(seen) {
        let verdict = session.summary.verdict.map_or("open", |verdict| verdict.as_str());
        println!();
        println!("Session {} ended: {verdict}.", session.summary.id);
        if let Some(trail) = &session.trail {
            println!("Watch it:  {} trail play {}", program(), demo.trails().join(trail).display());
        }
    }
    Ok(ended.len())
}

fn program() -> String {
    std::env::current_exe().map_or_else(|_| "keyward".to_owned(), |path| path.display().to_string())
}
