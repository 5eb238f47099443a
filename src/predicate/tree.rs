//! The tree of a predicate. Cheap to clone: parts are shared.

use std::sync::Arc;

use super::{Column, Literal};
use crate::error::{Error, Kind, Result};

/// Deepest nesting, as of the service.
pub(super) const MAX_DEPTH: usize = 256;
/// Most nodes of a tree, counting a shared part as often as it occurs.
const MAX_NODES: usize = 1 << 18;

/// A condition on rows: true, false or unknown for each.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    node: Arc<Node>,
    depth: usize,
    nodes: usize,
}

/// What a predicate consists of.
#[derive(Debug, PartialEq)]
pub enum Node {
    /// All of at least two parts; none of them is an `And`.
    And(Vec<Predicate>),
    /// Any of at least two parts; none of them is an `Or`.
    Or(Vec<Predicate>),
    /// The opposite; unknown stays unknown.
    Not(Predicate),
    /// A column compared with a value.
    Compare {
        /// Left side.
        column: Column,
        /// How.
        op: Op,
        /// Right side.
        value: Literal,
    },
    /// Whether a column is one of some values.
    In {
        /// The column.
        column: Column,
        /// Whether it must be none of them.
        negated: bool,
        /// The values.
        values: Vec<Literal>,
    },
    /// Whether a column is NULL.
    IsNull {
        /// The column.
        column: Column,
        /// Whether it must have a value.
        negated: bool,
    },
}

/// Comparison operators, with the numbers of the C constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal = 0,
    /// `!=`
    NotEqual = 1,
    /// `<`
    Less = 2,
    /// `<=`
    LessOrEqual = 3,
    /// `>`
    Greater = 4,
    /// `>=`
    GreaterOrEqual = 5,
}

impl Op {
    /// Every operator, by its number.
    pub(crate) const ALL: [Op; 6] =
        [Op::Equal, Op::NotEqual, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual];

    /// As the service writes it.
    pub const fn symbol(self) -> &'static str {
        match self {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Less => "<",
            Op::LessOrEqual => "<=",
            Op::Greater => ">",
            Op::GreaterOrEqual => ">=",
        }
    }

    /// The operator that is true where this one is false; both are unknown for NULL.
    pub const fn opposite(self) -> Op {
        match self {
            Op::Equal => Op::NotEqual,
            Op::NotEqual => Op::Equal,
            Op::Less => Op::GreaterOrEqual,
            Op::LessOrEqual => Op::Greater,
            Op::Greater => Op::LessOrEqual,
            Op::GreaterOrEqual => Op::Less,
        }
    }

    /// The operator for the sides swapped.
    pub const fn flipped(self) -> Op {
        match self {
            Op::Less => Op::Greater,
            Op::LessOrEqual => Op::GreaterOrEqual,
            Op::Greater => Op::Less,
            Op::GreaterOrEqual => Op::LessOrEqual,
            same => same,
        }
    }
}

impl Predicate {
    /// A comparison.
    pub fn compare(column: Column, op: Op, value: Literal) -> Self {
        Self::leaf(Node::Compare { column, op, value }, 1)
    }

    /// A test against a set. `IN ()` is false and `NOT IN ()` true for every row.
    pub fn in_set(column: Column, negated: bool, values: Vec<Literal>) -> Self {
        Self::leaf(Node::In { column, negated, values }, 1)
    }

    /// A test for NULL.
    pub fn is_null(column: Column, negated: bool) -> Self {
        Self::leaf(Node::IsNull { column, negated }, 1)
    }

    /// All of the parts; fails for none of them, and where the tree would be too large.
    pub fn and(parts: Vec<Predicate>) -> Result<Self> {
        Self::joined(parts, Node::And, |node| match node {
            Node::And(parts) => Some(parts),
            _ => None,
        })
    }

    /// Any of the parts; fails as [`Predicate::and`].
    pub fn or(parts: Vec<Predicate>) -> Result<Self> {
        Self::joined(parts, Node::Or, |node| match node {
            Node::Or(parts) => Some(parts),
            _ => None,
        })
    }

    /// The opposite; fails where the tree would be too deep.
    pub fn negated(self) -> Result<Self> {
        let (depth, nodes) = (self.depth + 1, self.nodes + 1);
        Predicate { node: Arc::new(Node::Not(self)), depth, nodes }.checked()
    }

    /// What it consists of.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The parts that must all be true, at least one.
    pub fn conjuncts(&self) -> &[Predicate] {
        match self.node() {
            Node::And(parts) => parts,
            _ => std::slice::from_ref(self),
        }
    }

    /// Calls `visit` with every column, as often as it occurs.
    pub fn visit_columns<'a>(&'a self, visit: &mut impl FnMut(&'a Column)) {
        match self.node() {
            Node::And(parts) | Node::Or(parts) => parts.iter().for_each(|part| part.visit_columns(visit)),
            Node::Not(part) => part.visit_columns(visit),
            Node::Compare { column, .. } | Node::In { column, .. } | Node::IsNull { column, .. } => visit(column),
        }
    }

    fn leaf(node: Node, depth: usize) -> Self {
        Predicate { node: Arc::new(node), depth, nodes: 1 }
    }

    /// Joins parts; a part that is joined in the same way itself is taken apart, so that chains stay flat however they are built.
    fn joined(
        parts: Vec<Predicate>,
        node: fn(Vec<Predicate>) -> Node,
        same: fn(&Node) -> Option<&Vec<Predicate>>,
    ) -> Result<Self> {
        let nodes = parts.iter().map(|part| part.nodes).fold(1, usize::saturating_add);
        if nodes > MAX_NODES {
            return Err(too_large(&format!("more than {MAX_NODES} nodes")));
        }
        let mut flat: Vec<Predicate> = Vec::with_capacity(parts.len());
        for part in parts {
            match same(part.node()) {
                Some(inner) => flat.extend(inner.iter().cloned()),
                None => flat.push(part),
            }
        }
        match (flat.pop(), flat.is_empty()) {
            (None, _) => Err(Error::new(Kind::InvalidArgument, "there are no predicates to join")),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                flat.push(last);
                let depth = 1 + flat.iter().map(|part| part.depth).max().unwrap_or(0);
                let nodes = 1 + flat.iter().map(|part| part.nodes).sum::<usize>();
                Predicate { node: Arc::new(node(flat)), depth, nodes }.checked()
            }
        }
    }

    fn checked(self) -> Result<Self> {
        match (self.depth > MAX_DEPTH, self.nodes > MAX_NODES) {
            (true, _) => Err(too_large(&format!("more than {MAX_DEPTH} levels"))),
            (_, true) => Err(too_large(&format!("more than {MAX_NODES} nodes"))),
            _ => Ok(self),
        }
    }
}

fn too_large(what: &str) -> Error {
    Error::new(Kind::InvalidArgument, format!("the predicate would have {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(name: &str) -> Predicate {
        Predicate::is_null(Column::parse(name).unwrap(), false)
    }

    #[test]
    fn chains_stay_flat_and_single_parts_stay_themselves() {
        let left = Predicate::and(vec![Predicate::and(vec![leaf("a"), leaf("b")]).unwrap(), leaf("c")]).unwrap();
        let right = Predicate::and(vec![leaf("a"), Predicate::and(vec![leaf("b"), leaf("c")]).unwrap()]).unwrap();
        assert_eq!(left, right);
        assert_eq!(left.conjuncts().len(), 3);
        assert_eq!(Predicate::or(vec![leaf("a")]).unwrap(), leaf("a"));
        assert_eq!(leaf("a").conjuncts().len(), 1);
        assert!(Predicate::and(vec![]).is_err());
    }

    #[test]
    fn trees_have_a_size_that_anything_can_walk() {
        let mut deep = leaf("a");
        let failed = loop {
            match deep.clone().negated() {
                Ok(next) => deep = next,
                Err(error) => break error,
            }
        };
        assert!(failed.message().contains("256 levels"), "{failed}");
        let mut doubled = leaf("a");
        let failed = loop {
            match Predicate::and(vec![doubled.clone(), doubled.clone()]) {
                Ok(next) => doubled = next,
                Err(error) => break error,
            }
        };
        assert!(failed.message().contains("nodes"), "{failed}");
    }
}
