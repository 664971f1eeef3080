use std::time::{Duration, Instant};

use keyward_store::{CallRecord, Cookies, LogLine};
use serde_json::json;

use crate::{Fixture, call, otp};

#[tokio::test]
#[ignore = "a measurement, for a machine that does nothing else"]
async fn a_call_costs_the_ledger_less_than_a_millisecond() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    let line = LogLine { stream: "stdout".into(), line: "a line such as plugins print".into() };
    let record = CallRecord { outcome: "ok".into(), log: vec![line; 10], ..CallRecord::default() };
    let cookies = Cookies { cookie: json!({"a": 1}), session_cookie: json!({"b": 2}) };
    let mut pairs: Vec<Duration> = Vec::new();
    for _ in 0..2000 {
        let start = Instant::now();
        let id = fixture.store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
        assert!(fixture.store.finish_call(id, &record, Some(&cookies)).await.unwrap());
        pairs.push(start.elapsed());
    }
    pairs.sort();
    println!("begin_call + finish_call: p50 {:?}, p99 {:?}", pairs[1000], pairs[1980]);
    assert!(pairs[1000] < Duration::from_millis(1));
}
