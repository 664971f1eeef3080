//! From columns to types. What does not parse is an error, never a guess.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use keyward_model::{ClientAddr, TargetAddr, UnixMillis};
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::database::Row;

pub(crate) fn text(row: &Row, column: &'static str) -> Result<String, StoreError> {
    Ok(row.try_get(column)?)
}

pub(crate) fn optional(row: &Row, column: &'static str) -> Result<Option<String>, StoreError> {
    Ok(row.try_get(column)?)
}

/// A count or a port: never negative.
pub(crate) fn number<T>(row: &Row, column: &'static str) -> Result<T, StoreError>
where
    T: TryFrom<i64, Error: Error + Send + Sync + 'static>,
{
    T::try_from(row.try_get::<i64>(column)?).map_err(unreadable(column))
}

pub(crate) fn flag(row: &Row, column: &'static str) -> Result<bool, StoreError> {
    Ok(row.try_get(column)?)
}

pub(crate) fn time(row: &Row, column: &'static str) -> Result<UnixMillis, StoreError> {
    Ok(UnixMillis(row.try_get(column)?))
}

pub(crate) fn optional_time(row: &Row, column: &'static str) -> Result<Option<UnixMillis>, StoreError> {
    Ok(row.try_get::<Option<i64>>(column)?.map(UnixMillis))
}

pub(crate) fn optional_micros(row: &Row, column: &'static str) -> Result<Option<Duration>, StoreError> {
    Ok(optional_number(row, column)?.map(Duration::from_micros))
}

pub(crate) fn optional_number(row: &Row, column: &'static str) -> Result<Option<u64>, StoreError> {
    row.try_get::<Option<i64>>(column)?.map(u64::try_from).transpose().map_err(unreadable(column))
}

/// An id or a name.
pub(crate) fn name<T>(row: &Row, column: &'static str) -> Result<T, StoreError>
where
    T: TryFrom<String, Error: Error + Send + Sync + 'static>,
{
    T::try_from(text(row, column)?).map_err(unreadable(column))
}

pub(crate) fn optional_name<T>(row: &Row, column: &'static str) -> Result<Option<T>, StoreError>
where
    T: TryFrom<String, Error: Error + Send + Sync + 'static>,
{
    optional(row, column)?.map(T::try_from).transpose().map_err(unreadable(column))
}

/// A word of an enum, or an address.
pub(crate) fn word<T>(row: &Row, column: &'static str) -> Result<T, StoreError>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    text(row, column)?.parse().map_err(unreadable(column))
}

pub(crate) fn optional_word<T>(row: &Row, column: &'static str) -> Result<Option<T>, StoreError>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    optional(row, column)?.map(|text| text.parse()).transpose().map_err(unreadable(column))
}

pub(crate) fn optional_json<T: DeserializeOwned>(
    row: &Row,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    optional(row, column)?.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable(column))
}

pub(crate) fn client(row: &Row) -> Result<ClientAddr, StoreError> {
    word(row, "client").map(ClientAddr)
}

pub(crate) fn target(row: &Row) -> Result<Option<TargetAddr>, StoreError> {
    let addr = optional_word(row, "target_address")?;
    let hostname = optional(row, "target_hostname")?;
    Ok(addr.map(|addr| TargetAddr { addr, hostname }))
}

fn unreadable<E: Error + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> StoreError {
    move |error| StoreError::Unreadable { what, source: Box::new(error) }
}
