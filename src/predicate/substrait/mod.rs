//! Predicates out of Substrait: an `ExtendedExpression` message with one condition on the columns of a named schema, as Arrow,
//! Acero, DataFusion and others write it.
//!
//! The field numbers are those of `extended_expression.proto`, `algebra.proto`, `type.proto` and `extensions.proto` of Substrait, of
//! today and of the versions that producers still write. What is not known is an error, never skipped: it would change the meaning.

mod literal;
mod schema;
mod wire;

use self::schema::{Functions, Schema};
use self::wire::{Message, malformed};
use super::tree::MAX_DEPTH;
use super::{Column, Literal, Op, Predicate};
use crate::error::{Error, Kind, Result};

/// Largest message. What is read of it takes at most some eight times its size, for lists of small literals.
const MAX_BYTES: usize = 16 << 20;
/// Deepest nesting of conditions, casts and types. Terms that AND or OR joins one by one count as one level.
const MAX_LEVELS: usize = MAX_DEPTH;
/// The extensions of Substrait that have the functions of conditions.
const BOOLEAN: &str = "functions_boolean";
const COMPARISON: &str = "functions_comparison";

impl Predicate {
    /// Reads a Substrait `ExtendedExpression` that has one expression, which is a condition. What is none is `MS_INVALID_ARGUMENT`, what a
    /// predicate has no place for (a function, a cast of a column, ..) `MS_UNSUPPORTED` by its name.
    pub fn from_substrait(message: &[u8]) -> Result<Self> {
        if message.len() > MAX_BYTES {
            let message = format!("the Substrait message has {} bytes; {MAX_BYTES} are the most", message.len());
            return Err(Error::new(Kind::InvalidArgument, message));
        }
        let message = Message::read(message)?;
        if message.message(5)?.is_some_and(|extension| extension.numbers().any(|number| number == 2)) {
            return Err(unsupported("an enhancement of a Substrait extension"));
        }
        let schema = message.message(4)?.ok_or_else(|| malformed("no base schema"))?;
        let reader = Reader { schema: Schema::read(&schema)?, functions: Functions::read(&message)? };
        let mut expressions = message.messages(3);
        let only = match (expressions.next(), expressions.next()) {
            (Some(only), None) => only?,
            (None, _) => return Err(malformed("no expression")),
            _ => return Err(unsupported("more than one expression")),
        };
        match only.message(1)? {
            Some(expression) => reader.condition(&expression, 0),
            None if only.message(2)?.is_some() => Err(unsupported("an aggregate function")),
            None => Err(malformed("an expression without content")),
        }
    }
}

/// What a side of a comparison is.
enum Operand {
    Column(Column),
    Literal(Literal),
}

struct Reader<'a> {
    schema: Schema<'a>,
    functions: Functions<'a>,
}

/// A call of AND, OR or NOT, or of a test.
struct Call<'a> {
    function: schema::Function<'a>,
    arguments: Vec<Message<'a>>,
}

impl<'a> Reader<'a> {
    fn condition(&self, expression: &Message<'a>, level: usize) -> Result<Predicate> {
        if level > MAX_LEVELS {
            return Err(too_deep());
        }
        match kind(expression)? {
            // A BOOLEAN that stands alone.
            2 => Ok(Predicate::compare(self.column(expression)?, Op::Equal, Literal::Bool(true))),
            3 => self.call(self.called(expression)?, level),
            8 => self.or_list(expression),
            1 => Err(unsupported("a literal as a condition")),
            11 => Err(unsupported("a cast as a condition")),
            other => Err(unsupported(kind_of_expression(other))),
        }
    }

    fn called(&self, expression: &Message<'a>) -> Result<Call<'a>> {
        let call = expression.message(3)?.unwrap_or_else(Message::empty);
        let function = self.functions.of(&call)?;
        if let Some(option) = call.messages(5).next() {
            let message = format!("the option `{}` of {}", option?.text(1)?, described(function));
            return Err(unsupported(&message));
        }
        let argument = |argument: Result<Message<'a>>| {
            argument?
                .message(3)?
                .ok_or_else(|| unsupported(&format!("an argument of `{}` that is no value", function.name)))
        };
        Ok(Call { function, arguments: call.messages(4).map(argument).collect::<Result<_>>()? })
    }

    fn call(&self, Call { function, arguments }: Call<'a>, level: usize) -> Result<Predicate> {
        let name = function.name;
        let home = if matches!(name, "and" | "or" | "not") { BOOLEAN } else { COMPARISON };
        let unknown = |count| unsupported(&format!("{} with {count} arguments", described(function)));
        if !function.is_standard(home) {
            return Err(unknown(arguments.len()));
        }
        match (name, arguments.as_slice()) {
            ("and", [_, ..]) => Predicate::and(self.joined(name, arguments, level)?),
            ("or", [_, ..]) => Predicate::or(self.joined(name, arguments, level)?),
            ("not", [of]) => self.condition(of, level + 1)?.negated(),
            ("is_null", [of]) => Ok(Predicate::is_null(self.only_column(of, name)?, false)),
            ("is_not_null", [of]) => Ok(Predicate::is_null(self.only_column(of, name)?, true)),
            ("between", [of, low, high]) => {
                let column = self.only_column(of, name)?;
                let (low, high) = (self.only_literal(low, name)?, self.only_literal(high, name)?);
                let low = Predicate::compare(column.clone(), Op::GreaterOrEqual, low);
                Predicate::and(vec![low, Predicate::compare(column, Op::LessOrEqual, high)])
            }
            (_, [left, right]) => {
                let op = comparison(name).ok_or_else(|| unknown(2))?;
                match (self.operand(left, name)?, self.operand(right, name)?) {
                    (Operand::Column(column), Operand::Literal(value)) => Ok(Predicate::compare(column, op, value)),
                    (Operand::Literal(value), Operand::Column(column)) => {
                        Ok(Predicate::compare(column, op.flipped(), value))
                    }
                    (Operand::Column(_), Operand::Column(_)) => Err(unsupported("a comparison of two columns")),
                    (Operand::Literal(_), Operand::Literal(_)) => Err(unsupported("a comparison of two literals")),
                }
            }
            (_, arguments) => Err(unknown(arguments.len())),
        }
    }

    /// The parts of AND or OR. Engines join many terms one by one, so calls of the same function are taken apart without descending.
    fn joined(&self, name: &str, arguments: Vec<Message<'a>>, level: usize) -> Result<Vec<Predicate>> {
        let mut parts = Vec::new();
        let mut pending: Vec<Message<'a>> = arguments.into_iter().rev().collect();
        while let Some(expression) = pending.pop() {
            if kind(&expression)? != 3 {
                parts.push(self.condition(&expression, level + 1)?);
                continue;
            }
            let call = self.called(&expression)?;
            let is_same = call.function.name == name && call.function.is_standard(BOOLEAN);
            if is_same && !call.arguments.is_empty() {
                pending.extend(call.arguments.into_iter().rev());
            } else if level + 1 > MAX_LEVELS {
                return Err(too_deep());
            } else {
                parts.push(self.call(call, level + 1)?);
            }
        }
        Ok(parts)
    }

    /// Whether a column is one of some literals.
    fn or_list(&self, expression: &Message<'a>) -> Result<Predicate> {
        let list = expression.message(8)?.unwrap_or_else(Message::empty);
        let of = list.message(1)?.ok_or_else(|| malformed("a list without a value to find in it"))?;
        let column = self.only_column(&of, "IN")?;
        let literals = list.messages(2).map(|option| self.only_literal(&option?, "IN")).collect::<Result<_>>()?;
        Ok(Predicate::in_set(column, false, literals))
    }

    fn only_column(&self, expression: &Message<'a>, of: &str) -> Result<Column> {
        match self.operand(expression, of)? {
            Operand::Column(column) => Ok(column),
            Operand::Literal(_) => Err(unsupported(&format!("`{of}` of a literal"))),
        }
    }

    fn only_literal(&self, expression: &Message<'a>, of: &str) -> Result<Literal> {
        match self.operand(expression, of)? {
            Operand::Literal(value) => Ok(value),
            Operand::Column(_) => Err(unsupported(&format!("`{of}` with a column where a literal belongs"))),
        }
    }

    fn operand(&self, expression: &Message<'a>, of: &str) -> Result<Operand> {
        Ok(match kind(expression)? {
            1 | 11 => Operand::Literal(literal::cast(expression, 0)?),
            2 => Operand::Column(self.column(expression)?),
            3 => {
                let call = expression.message(3)?.unwrap_or_else(Message::empty);
                let inner = self.functions.of(&call)?;
                return Err(unsupported(&format!("{} inside of `{of}`", described(inner))));
            }
            8 => return Err(unsupported(&format!("IN inside of `{of}`"))),
            other => return Err(unsupported(kind_of_expression(other))),
        })
    }

    fn column(&self, expression: &Message<'a>) -> Result<Column> {
        self.schema.column(&expression.message(2)?.unwrap_or_else(Message::empty))
    }
}

fn comparison(name: &str) -> Option<Op> {
    Some(match name {
        "equal" => Op::Equal,
        "not_equal" => Op::NotEqual,
        "lt" => Op::Less,
        "lte" => Op::LessOrEqual,
        "gt" => Op::Greater,
        "gte" => Op::GreaterOrEqual,
        _ => return None,
    })
}

/// The number of the field that says what an expression is.
fn kind(expression: &Message) -> Result<u32> {
    literal::single(expression.numbers())?.ok_or_else(|| malformed("an expression without content"))
}

fn kind_of_expression(number: u32) -> &'static str {
    match number {
        5 => "a window function",
        6 => "IF",
        7 => "SWITCH",
        9 => "IN of several values at once",
        12 => "a subquery",
        13 => "a struct, list or map that is made of expressions",
        14 => "a dynamic parameter",
        15 | 16 => "a lambda",
        _ => "an expression of a kind that is not known",
    }
}

fn described(function: schema::Function) -> String {
    match function.of {
        "" => format!("the function `{}`", function.name),
        of => format!("the function `{}` of `{of}`", function.name),
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("the predicate is not supported: it has {what}"))
}

fn too_deep() -> Error {
    malformed(&format!("more than {MAX_LEVELS} levels"))
}

#[cfg(test)]
mod tests;
