//! The legal values of one field as a tree of tokens.

use crate::{
    error::{Error, Result},
    planner::{constraint::TokenSet, tokenizer::LmTokenizer},
};

/// Place in a [`Tree`]; 0 is the root.
pub type Node = usize;

/// Canonical encodings of all values, each closed by a line break.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    next: Vec<(u32, Node)>,
    allowed: TokenSet,
}

/// Where a token leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Deeper into the value.
    On(Node),
    /// The value is closed.
    Closed,
}

/// Marks the end of a value in the list of steps.
const CLOSED: Node = usize::MAX;

/// The tokens of `value` as they stand after `name:`, closed by a line break.
///
/// # Errors
/// The tokenizer joins the colon with what follows it, or has no token for a line break.
pub fn closed_value(tokenizer: &LmTokenizer, name: &'static str, value: &str) -> Result<Vec<u32>> {
    let newline = tokenizer.single("\n")?;
    let head = tokenizer.encode(&format!("{name}:"))?;
    let ids = tokenizer.encode(&format!("{name}: {value}\n"))?;
    ids.strip_prefix(&head[..])
        .filter(|ids| ids.len() > 1 && ids.last() == Some(&newline))
        .map(<[u32]>::to_vec)
        .ok_or_else(|| Error::LanguageModel {
            field: name,
            reason: format!("this tokenizer joins the value {value:?} with what stands beside it"),
        })
}

impl Tree {
    /// The tree of `values` of field `name`, encoded as they stand after `name:`.
    ///
    /// # Errors
    /// The tokenizer joins the colon with what follows it, or has no token for a line break.
    pub fn new(
        tokenizer: &LmTokenizer,
        name: &'static str,
        values: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let empty = || Step {
            next: Vec::new(),
            allowed: TokenSet::new(tokenizer.vocabulary()),
        };
        let mut tree = Self {
            nodes: vec![empty()],
        };
        for value in values {
            let ids = closed_value(tokenizer, name, &value)?;
            let Some((&last, body)) = ids.split_last() else {
                continue;
            };
            let mut at = 0;
            for id in body {
                at = if let Some(Way::On(node)) = tree.step(at, *id) {
                    node
                } else {
                    let node = tree.nodes.len();
                    tree.nodes.push(empty());
                    tree.add(at, *id, node);
                    node
                };
            }
            if tree.step(at, last).is_none() {
                tree.add(at, last, CLOSED);
            }
        }
        Ok(tree)
    }

    fn add(&mut self, at: Node, id: u32, node: Node) {
        self.nodes[at].next.push((id, node));
        self.nodes[at].allowed.insert(id);
    }

    /// Tokens that may follow at `node`.
    pub fn allowed(&self, node: Node) -> &TokenSet {
        &self.nodes[node].allowed
    }

    /// The only token that may follow, when there is only one.
    pub fn only(&self, node: Node) -> Option<u32> {
        match self.nodes[node].next[..] {
            [(id, _)] => Some(id),
            _ => None,
        }
    }

    /// Where `id` leads from `node`.
    pub fn step(&self, node: Node, id: u32) -> Option<Way> {
        let (_, next) = self.nodes[node]
            .next
            .iter()
            .find(|(token, _)| *token == id)?;
        Some(if *next == CLOSED {
            Way::Closed
        } else {
            Way::On(*next)
        })
    }
}
