//! Statements from text. One file per family: `define` for tables, `query` for rows.

use super::ast::{Alter, Name, Spec, Statement};
use super::cursor::Cursor;
use super::define::{column, columns, create, name_list, properties};
use super::error::SqlError;
use super::expr::constant;
use super::query::{delete, insert, select, update};
use crate::catalog::TableKind;

/// The settings and the one statement of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Of the `SET` lines.
    pub settings: Vec<(String, String)>,
    /// `None` if there were `SET` lines only.
    pub statement: Option<Statement>,
}

/// Reads what an instance is asked to do.
pub fn parse(text: &str) -> Result<Script, SqlError> {
    let (settings, rest) = take_settings(text);
    let mut cursor = Cursor::new(&rest)?;
    while cursor.accept_symbol(";") {}
    if cursor.is_at_end() {
        return Ok(Script { settings, statement: None });
    }
    let statement = statement(&mut cursor)?;
    if !cursor.is_at_end() && !cursor.is_symbol(";") {
        return cursor.unexpected("the end of the statement");
    }
    while cursor.accept_symbol(";") {}
    match cursor.is_at_end() {
        true => Ok(Script { settings, statement: Some(statement) }),
        false => cursor.unsupported("a second statement in one instance (only SET lines may come first)"),
    }
}

/// Cuts leading `SET key=value;` lines off. They are blanked, so that positions in the rest stay right.
pub fn take_settings(text: &str) -> (Vec<(String, String)>, String) {
    let mut settings = Vec::new();
    let mut rest = text;
    while let Some((key, value, behind)) = setting(rest) {
        settings.push((key.trim().to_string(), value.trim().to_string()));
        rest = behind;
    }
    let blanked = text.strip_suffix(rest).unwrap_or_default();
    let blanks: String = blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
    (settings, format!("{blanks}{rest}"))
}

/// Key and value of the `SET` line that `text` begins with, and what follows it.
fn setting(text: &str) -> Option<(&str, &str, &str)> {
    let line = text.trim_start();
    let (set, pair) = (line.get(..3)?, line.get(3..)?);
    if !set.eq_ignore_ascii_case("set") || !pair.starts_with(char::is_whitespace) {
        return None;
    }
    let (pair, behind) = pair.split_once(';').unwrap_or((pair, ""));
    let (key, value) = pair.split_once('=')?;
    Some((key, value, behind))
}

fn statement(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    if cursor.is_word("select") {
        return Ok(Statement::Select(Box::new(select(cursor)?)));
    }
    if cursor.accept(&["insert"]) {
        return Ok(Statement::Insert(Box::new(insert(cursor)?)));
    }
    if cursor.accept(&["update"]) {
        return Ok(Statement::Change(Box::new(update(cursor)?)));
    }
    if cursor.accept(&["delete"]) {
        return Ok(Statement::Change(Box::new(delete(cursor)?)));
    }
    if cursor.accept(&["create"]) {
        return create(cursor);
    }
    if cursor.accept(&["drop"]) {
        return drop(cursor);
    }
    if cursor.accept(&["alter"]) {
        return alter(cursor);
    }
    if cursor.accept(&["truncate"]) {
        cursor.expect(&["table"])?;
        let name = cursor.name()?;
        let mut partitions = Vec::new();
        while cursor.is_word("partition") {
            partitions.push(spec(cursor)?);
            cursor.accept_symbol(",");
        }
        return Ok(Statement::Truncate { name, partitions });
    }
    if cursor.accept(&["show"]) {
        return show(cursor);
    }
    if cursor.accept(&["desc"]) || cursor.accept(&["describe"]) {
        return describe(cursor);
    }
    for word in
        ["merge", "with", "from", "explain", "read", "clone", "msck", "analyze", "export", "unload", "load", "restore"]
    {
        if cursor.is_word(word) {
            return cursor.unsupported(&format!("a statement that begins with {}", word.to_uppercase()));
        }
    }
    cursor.unexpected("a statement")
}

fn drop(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    if cursor.accept(&["schema"]) {
        let if_exists = cursor.accept(&["if", "exists"]);
        let name = cursor.name()?;
        let _ = cursor.accept(&["restrict"]);
        return Ok(Statement::DropSchema { name, if_exists });
    }
    let kind = if cursor.accept(&["table"]) || cursor.accept(&["external", "table"]) {
        TableKind::Managed
    } else if cursor.accept(&["view"]) {
        TableKind::VirtualView
    } else if cursor.accept(&["materialized", "view"]) {
        TableKind::MaterializedView
    } else {
        return cursor.unexpected("TABLE, VIEW, MATERIALIZED VIEW or SCHEMA");
    };
    let if_exists = cursor.accept(&["if", "exists"]);
    let name = cursor.name()?;
    let _ = cursor.accept(&["purge"]);
    Ok(Statement::Drop { name, kind, if_exists })
}

/// `PARTITION (k = v, k2)`.
pub fn spec(cursor: &mut Cursor<'_>) -> Result<Spec, SqlError> {
    cursor.expect(&["partition"])?;
    cursor.list(|cursor| {
        let name = cursor.identifier()?;
        let value = match cursor.accept_symbol("=") {
            true => Some(constant(cursor)?),
            false => None,
        };
        Ok((name, value))
    })
}

fn specs(cursor: &mut Cursor<'_>) -> Result<Vec<Spec>, SqlError> {
    let mut specs = vec![spec(cursor)?];
    while cursor.accept_symbol(",") || cursor.is_word("partition") {
        specs.push(spec(cursor)?);
    }
    Ok(specs)
}

fn alter(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    if !cursor.accept(&["table"]) && !cursor.accept(&["view"]) && !cursor.accept(&["materialized", "view"]) {
        return cursor.unexpected("TABLE, VIEW or MATERIALIZED VIEW");
    }
    let name = cursor.name()?;
    let action = action(cursor, &name)?;
    Ok(Statement::Alter { name, action })
}

fn action(cursor: &mut Cursor<'_>, name: &Name) -> Result<Alter, SqlError> {
    if cursor.accept(&["add", "columns"]) || cursor.accept(&["add", "column"]) {
        let if_not_exists = cursor.accept(&["if", "not", "exists"]);
        let columns = if cursor.is_symbol("(") { columns(cursor)?.0 } else { vec![column(cursor)?] };
        return Ok(Alter::AddColumns { columns, if_not_exists });
    }
    if cursor.accept(&["add"]) {
        let if_not_exists = cursor.accept(&["if", "not", "exists"]);
        return Ok(Alter::AddPartitions { specs: specs(cursor)?, if_not_exists });
    }
    if cursor.accept(&["drop", "columns"]) || cursor.accept(&["drop", "column"]) {
        let names = match cursor.is_symbol("(") {
            true => name_list(cursor)?,
            false => {
                let mut names = vec![cursor.identifier()?];
                while cursor.accept_symbol(",") {
                    names.push(cursor.identifier()?);
                }
                names
            }
        };
        return Ok(Alter::DropColumns { names });
    }
    if cursor.accept(&["drop"]) {
        let if_exists = cursor.accept(&["if", "exists"]);
        return Ok(Alter::DropPartitions { specs: specs(cursor)?, if_exists });
    }
    if cursor.is_word("partition") {
        let from = spec(cursor)?;
        return match cursor.accept(&["rename", "to"]) {
            true => Ok(Alter::RenamePartition { from, to: spec(cursor)? }),
            false => cursor.unsupported("this change of a partition"),
        };
    }
    if cursor.accept(&["rename", "to"]) {
        return Ok(Alter::Rename { to: cursor.name()? });
    }
    if cursor.accept(&["set", "lifecycle"]) {
        return Ok(Alter::Lifecycle(cursor.integer()?));
    }
    if cursor.accept(&["set", "comment"]) {
        return Ok(Alter::Comment(cursor.text()?));
    }
    if cursor.accept(&["set", "tblproperties"]) {
        return Ok(Alter::Properties(properties(cursor)?));
    }
    if cursor.accept(&["not", "clustered"]) {
        return Ok(Alter::Clustering(None));
    }
    if cursor.is_word("clustered") || cursor.is_word("range") {
        return Ok(Alter::Clustering(Some(super::define::clustering(cursor)?)));
    }
    if cursor.accept(&["change", "column"]) || cursor.accept(&["change"]) {
        return change_column(cursor);
    }
    if cursor.accept(&["touch"]) {
        if cursor.is_word("partition") {
            specs(cursor)?;
        }
        return Ok(Alter::Touch);
    }
    if cursor.accept(&["rebuild"]) {
        if cursor.is_word("partition") {
            specs(cursor)?;
        }
        return Ok(Alter::Rebuild);
    }
    cursor.unexpected(&format!("a change of {}", name.parts.join(".")))
}

fn change_column(cursor: &mut Cursor<'_>) -> Result<Alter, SqlError> {
    let name = cursor.identifier()?;
    if cursor.accept(&["rename", "to"]) {
        return Ok(Alter::RenameColumn { name, to: cursor.identifier()? });
    }
    if cursor.accept(&["comment"]) {
        return Ok(Alter::CommentColumn { name, comment: cursor.text()? });
    }
    if cursor.accept(&["null"]) {
        return Ok(Alter::AllowNull { name });
    }
    Ok(Alter::ChangeColumn { name, to: column(cursor)? })
}

fn show(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    if cursor.accept(&["tables"]) {
        let place = if cursor.accept(&["in"]) || cursor.accept(&["from"]) { Some(cursor.name()?) } else { None };
        let like = if cursor.accept(&["like"]) { Some(cursor.text()?) } else { None };
        return Ok(Statement::ShowTables { place, like });
    }
    if cursor.accept(&["schemas"]) {
        let place = if cursor.accept(&["in"]) || cursor.accept(&["from"]) { Some(cursor.name()?) } else { None };
        return Ok(Statement::ShowSchemas { place });
    }
    if cursor.accept(&["partitions"]) {
        let name = cursor.name()?;
        let spec = if cursor.is_word("partition") { spec(cursor)? } else { Vec::new() };
        return Ok(Statement::ShowPartitions { name, spec });
    }
    if cursor.accept(&["create", "table"]) {
        return Ok(Statement::ShowCreate { name: cursor.name()? });
    }
    cursor.unexpected("TABLES, PARTITIONS, SCHEMAS or CREATE TABLE")
}

fn describe(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    if cursor.accept(&["schema"]) {
        return Ok(Statement::DescribeSchema { name: cursor.name()? });
    }
    let extended = cursor.accept(&["extended"]);
    let _ = cursor.accept(&["table"]);
    let name = cursor.name()?;
    let spec = if cursor.is_word("partition") { spec(cursor)? } else { Vec::new() };
    Ok(Statement::Describe { name, spec, extended })
}

#[cfg(test)]
mod tests {
    use super::super::ast::{CreateTable, Insert, Item, Select, Source};
    use super::*;
    use crate::catalog::ClusteringKind;
    use crate::datum::Datum;

    fn one(text: &str) -> Statement {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).statement.unwrap()
    }

    fn table(text: &str) -> CreateTable {
        match one(text) {
            Statement::CreateTable(table) => *table,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tables_as_clients_define_them() {
        // The text of PyODPS 0.13.2.
        let found = table(
            "CREATE TABLE IF NOT EXISTS demo.s1.`tt` (\n  `a b` bigint NOT NULL COMMENT 'x\\'y',\n  `m` map<string,array<decimal(10,2)>>,\n  \
             PRIMARY KEY (`a b`)\n)\nCOMMENT 'c'\nPARTITIONED BY (\n  `ds` string\n)\nTBLPROPERTIES (\n  'transactional' = 'true'\n)\nLIFECYCLE 7\n;",
        );
        assert_eq!(found.name.parts, ["demo", "s1", "tt"]);
        assert!(found.if_not_exists && !found.columns[0].nullable);
        assert_eq!(found.columns[0].comment, "x'y");
        assert_eq!(found.columns[1].ty.to_string(), "map<string,array<decimal(10,2)>>");
        assert_eq!((found.primary_key, found.lifecycle), (vec!["a b".to_string()], Some(7)));
        assert_eq!(found.partition_keys[0].name, "ds");
        let clustered = table("create table t (k bigint) range clustered by (k) sorted by (k desc) into 4 buckets");
        let clustering = clustered.clustering.unwrap();
        assert_eq!(
            (clustering.kind, clustering.buckets, clustering.sort[0].ascending),
            (ClusteringKind::Range, 4, false)
        );
        let view = table("create or replace view v (a comment 'x') as select f(a), 1 from t join u on (t.a = u.a);");
        assert_eq!(view.query.unwrap().text, "select f(a), 1 from t join u on (t.a = u.a)");
        let external = table(
            "create external table e (a int) stored by 'h' with serdeproperties ('d'='|') location 'oss://x' using 'r.jar'",
        );
        assert_eq!((external.kind, external.properties.len()), (TableKind::External, 4));
        assert_eq!(
            table("create table t lifecycle 3 as select * from u limit 5").query.unwrap().text,
            "select * from u limit 5"
        );
    }

    #[test]
    fn rows_in_every_spelling() {
        let Statement::Insert(insert) =
            one("insert overwrite table t partition (ds='1', hh) (a, hh) values (-7, 1), (cast('2' as bigint), 2L);")
        else {
            panic!("no insert")
        };
        let Insert { overwrite, spec, columns, source, .. } = *insert;
        assert_eq!((overwrite, spec.len(), columns), (true, 2, vec!["a".to_string(), "hh".into()]));
        let Source::Values(rows) = source else { panic!("no values") };
        assert_eq!(rows, [[Datum::int(-7), Datum::int(1)], [Datum::int(2), Datum::int(2)]]);
        let Statement::Select(select) = one(
            "select t.*, a + 1 as b from p.t t where a in (1, (2)) and b = 'order by' order by b desc, 1 nulls last limit 5, 10",
        ) else {
            panic!("no select")
        };
        let Select { items, filter, order, offset, limit, .. } = *select;
        assert_eq!((items.len(), &items[0]), (2, &Item::Star));
        assert_eq!(filter.unwrap().0, "a in (1, (2)) and b = 'order by'");
        assert_eq!(
            (order.len(), order[0].ascending, order[1].nulls_first, offset, limit),
            (2, false, false, 5, Some(10))
        );
    }

    #[test]
    fn settings_come_first_and_keep_positions() {
        let script = parse("set a.b = c;\nSET x=y;\n\nselect 1").unwrap();
        assert_eq!(script.settings, [("a.b".to_string(), "c".to_string()), ("x".into(), "y".into())]);
        assert!(script.statement.is_some());
        let error = parse("set a=b;\nselekt 1").unwrap_err().to_string();
        assert!(error.starts_with("ODPS-0130161:[2,1]"), "{error}");
        assert_eq!(parse("set a=b;").unwrap().statement, None);
        let (_, rest) = take_settings("set ä=b;\n select 1");
        assert_eq!(rest, "        \n select 1");
    }

    #[test]
    fn many_settings_are_read_in_one_walk() {
        // Copying the text for each of them would take minutes.
        let (settings, rest) = take_settings(&format!("{}select 1", "set a=b;".repeat(100_000)));
        assert_eq!((settings.len(), rest.trim_start()), (100_000, "select 1"));
    }

    #[test]
    fn operators_are_counted_across_brackets() {
        let nested =
            |n: usize| format!("select {}1{}", "(".repeat(50), format!("{})", " + 1 * 2".repeat(n)).repeat(50));
        assert!(parse(&nested(5)).is_ok());
        let error = parse(&nested(200)).unwrap_err().to_string();
        assert!(error.starts_with("ODPS-0130161:[1,") && error.contains("operators"), "{error}");
    }

    #[test]
    fn deep_or_broken_text_is_refused() {
        let deep = format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        let long = format!("select 1{}", " + 1".repeat(100_000));
        for text in [
            deep.as_str(),
            long.as_str(),
            "select",
            "select 1 from",
            "insert into t",
            "create table t (a",
            "alter table t",
            "select 1 where",
            "drop",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("ODPS-0130161:["), "{error}");
        }
    }
}
