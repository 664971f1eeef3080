//! What plugins print (contract section 3, rules 6 and 7).

use std::time::Duration;

use keyward_plugin::{Hook, Stream};
use serde_json::json;

use super::fixture::{authorize, call};

#[tokio::test]
async fn prints_do_not_disturb_the_result() {
    let loaded = authorize("print('one')\nprint('two', end='')\nos.system('echo three; echo four >&2')\nsys.stderr.write('five')\nreturn {'x': 1}").load().await;
    let report = loaded.authorize(json!({})).await;
    assert_eq!(report.outcome.unwrap()["x"], 1);
    let of = |stream| {
        let lines = report.log.iter().filter(move |line| line.stream == stream);
        lines.map(|line| line.line.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(Stream::Stdout), ["one", "twothree"]);
    assert_eq!(of(Stream::Stderr), ["four", "five"]);
}

#[tokio::test]
async fn what_was_printed_before_a_kill_is_not_lost() {
    let loaded = authorize("print('begin', end='')\nwhile True: pass").load().await.ready().await;
    let mut long = call(Hook::Authorize, json!({}));
    // It is to have printed by then.
    long.time_limit = Duration::from_secs(4);
    assert_eq!(loaded.instance.call(long).await.log[0].line, "begin");
}

#[tokio::test]
async fn endless_output_is_bounded_and_counted() {
    let loaded = authorize("for n in range(100000): print('x' * 100)\nreturn {'x': 1}").load().await;
    let report = loaded.authorize(json!({})).await;
    assert!(report.outcome.is_ok());
    assert_eq!(report.log.len() as u64 + report.lines_left_out, 100_000);
    assert!(report.log.len() < 10_000);
}

#[tokio::test]
async fn a_line_is_cut_at_8_kib_and_bytes_are_escaped() {
    let loaded = authorize("os.write(1, b'x' * 9000 + b'\\n\\xff\\n')\nreturn {}").load().await;
    let report = loaded.authorize(json!({})).await;
    assert!(report.log[0].line.ends_with("[cut: 808 more bytes]"));
    assert_eq!(report.log[1].line, "\\xff");
}

#[tokio::test]
async fn atexit_handlers_run_and_may_print() {
    let loaded = authorize("import atexit\natexit.register(print, 'bye')\nreturn {}").load().await;
    assert_eq!(loaded.authorize(json!({})).await.log[0].line, "bye");
}
