//! Statements. Their values and rows are the same whatever database runs them.

use std::borrow::Cow;
use std::marker::PhantomData;

use sqlx::postgres::{PgArguments, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Arguments, Database, Decode, Type};

use crate::database::{On, Row};

/// A statement with `$1`, `$2`, ... for its values.
pub(crate) fn query<'q>(text: &'static str) -> Query<'q> {
    Query { text, for_postgres: text, values: Vec::new() }
}

/// A statement whose rows have one column that counts.
pub(crate) fn scalar<'q, T: Field>(text: &'static str) -> Scalar<'q, T> {
    Scalar { query: query(text), column: PhantomData }
}

/// What a column can be read as.
pub(crate) trait Field: In<Sqlite> + In<Postgres> {}

impl<T: In<Sqlite> + In<Postgres>> Field for T {}

/// What a column of this database can be read as.
pub(crate) trait In<D: Database>: Type<D> + for<'r> Decode<'r, D> {}

impl<D: Database, T: Type<D> + for<'r> Decode<'r, D>> In<D> for T {}

#[must_use]
pub(crate) struct Query<'q> {
    text: &'static str,
    for_postgres: &'static str,
    values: Vec<Value<'q>>,
}

/// What was changed.
#[derive(Clone, Copy)]
pub(crate) struct Done(u64);

impl Done {
    pub(crate) fn rows_affected(self) -> u64 {
        self.0
    }
}

/// All that a statement has given. It is always read to the end: an error of an implicit commit comes after the rows.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    pub(crate) affected: u64,
}

/// Encodes the values for one of the databases.
macro_rules! arguments {
    ($values:expr, $arguments:ty) => {{
        let mut arguments = <$arguments>::default();
        for value in $values {
            let added = match value {
                Value::Text(Some(Cow::Borrowed(text))) => arguments.add(text),
                Value::Text(Some(Cow::Owned(text))) => arguments.add(text),
                Value::Text(None) => arguments.add(None::<&str>),
                Value::Integer(number) => arguments.add(number),
                Value::Flag(flag) => arguments.add(flag),
                Value::Bytes(Cow::Borrowed(bytes)) => arguments.add(bytes),
                Value::Bytes(Cow::Owned(bytes)) => arguments.add(bytes),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        arguments
    }};
}
impl<'q> Query<'q> {
    /// The text for PostgreSQL, where the two have no word in common for what is meant.
    pub(crate) fn for_postgres(self, text: &'static str) -> Self {
        Self { for_postgres: text, ..self }
    }

    pub(crate) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(crate) async fn execute<'c>(self, on: impl Into<On<'c>>) -> Result<Done, sqlx::Error> {
        Ok(Done(on.into().run(self).await?.affected))
    }

    pub(crate) async fn fetch_all<'c>(self, on: impl Into<On<'c>>) -> Result<Vec<Row>, sqlx::Error> {
        Ok(on.into().run(self).await?.rows)
    }

    /// The first row.
    pub(crate) async fn fetch_optional<'c>(self, on: impl Into<On<'c>>) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    pub(crate) fn on_sqlite(
        self,
    ) -> Result<sqlx::query::Query<'static, Sqlite, SqliteArguments>, sqlx::Error> {
        Ok(sqlx::query_with(self.text, arguments!(self.values, SqliteArguments)))
    }

    pub(crate) fn on_postgres(
        self,
    ) -> Result<sqlx::query::Query<'static, Postgres, PgArguments>, sqlx::Error> {
        Ok(sqlx::query_with(self.for_postgres, arguments!(self.values, PgArguments)))
    }
}

#[must_use]
pub(crate) struct Scalar<'q, T> {
    query: Query<'q>,
    column: PhantomData<fn() -> T>,
}

impl<'q, T: Field> Scalar<'q, T> {
    pub(crate) fn for_postgres(self, text: &'static str) -> Self {
        Self { query: self.query.for_postgres(text), ..self }
    }

    pub(crate) fn bind(self, value: impl Into<Value<'q>>) -> Self {
        Self { query: self.query.bind(value), ..self }
    }

    pub(crate) async fn fetch_all<'c>(self, on: impl Into<On<'c>>) -> Result<Vec<T>, sqlx::Error> {
        self.query.fetch_all(on).await?.iter().map(Row::first).collect()
    }

    pub(crate) async fn fetch_optional<'c>(self, on: impl Into<On<'c>>) -> Result<Option<T>, sqlx::Error> {
        self.query.fetch_optional(on).await?.as_ref().map(Row::first).transpose()
    }

    pub(crate) async fn fetch_one<'c>(self, on: impl Into<On<'c>>) -> Result<T, sqlx::Error> {
        self.fetch_optional(on).await?.ok_or(sqlx::Error::RowNotFound)
    }
}

/// A value of a statement.
pub(crate) enum Value<'q> {
    Text(Option<Cow<'q, str>>),
    Integer(Option<i64>),
    Flag(bool),
    Bytes(Cow<'q, [u8]>),
}

impl<'q> From<&'q str> for Value<'q> {
    fn from(text: &'q str) -> Self {
        Self::Text(Some(Cow::Borrowed(text)))
    }
}

impl<'q> From<&'q String> for Value<'q> {
    fn from(text: &'q String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(Cow::Owned(text)))
    }
}

impl<'q> From<Option<&'q str>> for Value<'q> {
    fn from(text: Option<&'q str>) -> Self {
        Self::Text(text.map(Cow::Borrowed))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(Cow::Owned))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(Some(i64::from(number)))
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<'q> From<&'q Vec<u8>> for Value<'q> {
    fn from(bytes: &'q Vec<u8>) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}
