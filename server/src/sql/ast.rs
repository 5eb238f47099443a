//! Statements as written, before names are looked up.

use super::error::Position;
use crate::catalog::{Clustering, Column, TableKind};
use crate::datum::Datum;
use crate::types::Type;

/// A name of one to three parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    pub parts: Vec<String>,
    pub at: Position,
}

/// Partition columns with a value, or without one where rows bring theirs.
pub type Spec = Vec<(String, Option<Datum>)>;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    CreateTable(Box<CreateTable>),
    CreateSchema { name: Name, if_not_exists: bool },
    DropSchema { name: Name, if_exists: bool },
    Drop { name: Name, kind: TableKind, if_exists: bool },
    Truncate { name: Name, partitions: Vec<Spec> },
    Alter { name: Name, action: Alter },
    Insert(Box<Insert>),
    Change(Box<Change>),
    Select(Box<Select>),
    ShowTables { place: Option<Name>, like: Option<String> },
    ShowSchemas { place: Option<Name> },
    ShowPartitions { name: Name, spec: Spec },
    ShowCreate { name: Name },
    Describe { name: Name, spec: Spec, extended: bool },
    DescribeSchema { name: Name },
}

/// `CREATE TABLE` and the other kinds.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    pub name: Name,
    pub kind: TableKind,
    pub if_not_exists: bool,
    /// `OR REPLACE`, for views.
    pub or_replace: bool,
    pub columns: Vec<Column>,
    /// Of a view: names and comments of the columns of its query.
    pub renamed: Vec<(String, String)>,
    pub partition_keys: Vec<Column>,
    /// `PARTITIONED ON`: partition columns of a materialized view, by name.
    pub partitioned_on: Vec<String>,
    pub comment: String,
    pub lifecycle: Option<i64>,
    pub clustering: Option<Clustering>,
    pub primary_key: Vec<String>,
    pub properties: Vec<(String, String)>,
    /// `LIKE`.
    pub like: Option<Name>,
    /// `AS SELECT`.
    pub query: Option<Query>,
    /// Materialized view: `BUILD DEFERRED`.
    pub deferred: bool,
}

/// A query and its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub text: String,
    /// `None` where the query is kept as text only, as that of a view.
    pub select: Option<Select>,
}

/// What `ALTER` does.
#[derive(Clone, Debug, PartialEq)]
pub enum Alter {
    AddPartitions {
        specs: Vec<Spec>,
        if_not_exists: bool,
    },
    DropPartitions {
        specs: Vec<Spec>,
        if_exists: bool,
    },
    RenamePartition {
        from: Spec,
        to: Spec,
    },
    AddColumns {
        columns: Vec<Column>,
        if_not_exists: bool,
    },
    DropColumns {
        names: Vec<String>,
    },
    ChangeColumn {
        name: String,
        to: Column,
    },
    RenameColumn {
        name: String,
        to: String,
    },
    CommentColumn {
        name: String,
        comment: String,
    },
    AllowNull {
        name: String,
    },
    Rename {
        to: Name,
    },
    Comment(String),
    Lifecycle(i64),
    Properties(Vec<(String, String)>),
    /// `CLUSTERED BY ..` or `NOT CLUSTERED`.
    Clustering(Option<Clustering>),
    Touch,
    /// Of a materialized view; the partitions are not told apart.
    Rebuild,
}

/// `INSERT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    pub name: Name,
    pub overwrite: bool,
    pub spec: Spec,
    /// Named target columns; empty for all.
    pub columns: Vec<String>,
    pub source: Source,
}

/// `UPDATE` and `DELETE` of a primary-key table.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub name: Name,
    /// New values of columns; `None` deletes.
    pub set: Option<Vec<(String, Expr)>>,
    pub filter: Option<(String, Position)>,
}

/// Where inserted rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Values(Vec<Vec<Datum>>),
    Select(Select),
}

/// A `SELECT` over at most one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub items: Vec<Item>,
    pub from: Option<Name>,
    /// `VERSION AS OF` or `TIMESTAMP AS OF`, and where it stands.
    pub as_of: Option<(AsOf, Position)>,
    /// The text of the condition, and where it starts.
    pub filter: Option<(String, Position)>,
    pub order: Vec<Order>,
    pub offset: u64,
    pub limit: Option<u64>,
    pub at: Position,
}

/// An earlier state of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    Version(i64),
    /// Milliseconds since the epoch.
    Time(i64),
}

/// One entry of the list behind `SELECT`.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Star,
    Expr { expr: Expr, alias: Option<String> },
}

/// An expression and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub at: Position,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    Column(String),
    Literal(Datum),
    Cast(Box<Expr>, Type),
    /// `+ - * / %`.
    Arithmetic(char, Box<Expr>, Box<Expr>),
    CountStar,
}

/// One entry behind `ORDER BY`.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub by: OrderBy,
    pub ascending: bool,
    pub nulls_first: bool,
    pub at: Position,
}

/// A column of the result.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderBy {
    Name(String),
    /// From 1.
    Number(usize),
}
