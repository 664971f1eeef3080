//! What the gateway makes of its plugin instances, for whoever asks beside it.

use keyward_model::{InstanceName, PluginName};
use serde::Serialize;

use crate::bounds::{PAGE, clip_some};
use crate::database::Row;
use crate::{Store, StoreError, row, sql};

/// A plugin instance, as the gateway has it now, or had it last.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PluginStatus {
    pub instance: InstanceName,
    pub bundle: PluginName,
    /// The bundle that serves the sessions to come, by its checksum; `None`: they are refused.
    pub checksum: Option<String>,
    pub refused: Option<RefusedBundle>,
}

/// A bundle that is current in the store, and that the gateway could not take.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RefusedBundle {
    pub checksum: String,
    /// For the administrator.
    pub reason: String,
}

impl Store {
    /// Replaces what was known of all instances.
    pub async fn put_plugin_status(&self, all: &[PluginStatus]) -> Result<(), StoreError> {
        let mut change = self.write().await?;
        sql::query("DELETE FROM plugin_status").execute(&mut change).await?;
        for status in all {
            let refused = status.refused.as_ref();
            sql::query(
                "INSERT INTO plugin_status (instance, bundle, checksum, refused, reason) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(status.instance.as_str())
            .bind(status.bundle.as_str())
            .bind(status.checksum.as_deref())
            .bind(refused.map(|refused| refused.checksum.as_str()))
            .bind(clip_some(refused.map(|refused| refused.reason.as_str()), PAGE))
            .execute(&mut change)
            .await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// The instances, by name. They are those of the last run where no gateway runs: [`Store::is_served`].
    pub async fn plugin_status(&self) -> Result<Vec<PluginStatus>, StoreError> {
        let rows =
            sql::query("SELECT * FROM plugin_status ORDER BY instance").fetch_all(self.readers()).await?;
        rows.iter().map(status).collect()
    }
}

fn status(found: &Row) -> Result<PluginStatus, StoreError> {
    let refused = (row::optional(found, "refused")?, row::optional(found, "reason")?);
    Ok(PluginStatus {
        instance: row::name(found, "instance")?,
        bundle: row::name(found, "bundle")?,
        checksum: row::optional(found, "checksum")?,
        refused: match refused {
            (Some(checksum), Some(reason)) => Some(RefusedBundle { checksum, reason }),
            _ => None,
        },
    })
}
