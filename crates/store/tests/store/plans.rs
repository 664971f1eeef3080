//! That questions are answered by indexes.

use crate::Fixture;

#[tokio::test]
async fn a_look_reads_no_more_than_it_needs() {
    let fixture = Fixture::new().await;
    for (statement, index) in [
        (
            "trail IS NOT NULL AND trail_deleted IS NULL AND node = 'local' AND connection = 'x' AND ended < 5 AND (ended, id) > (1, '') ORDER BY ended, id LIMIT 5",
            "sessions_kept_of",
        ),
        (
            "trail IS NOT NULL AND trail_deleted IS NULL AND node = 'local' AND ended IS NOT NULL AND (ended, id) > (1, '') ORDER BY ended, id LIMIT 5",
            "sessions_kept",
        ),
    ] {
        let plan = fixture.database.plan(&format!("SELECT * FROM sessions s WHERE {statement}")).await;
        assert!(plan.contains(&format!("USING INDEX {index} ")) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
