//! Makes XGBoost's UBJSON what it has to be: orders the nodes of trees, and moves the base score.
//!
//! XGBoost goes from a node to its left child plus 0 or 1, so a right child must follow its left sibling. The boosting
//! library writes the two of a categorical split the other way round, and XGBoost then reads past its arrays. The file
//! stays as it is but for the arrays of such trees: its values keep their places and sizes.
//!
//! The base score is what XGBoost adds to every margin; it is written as a text (`[5E-1]`), whose length has 64 bits as
//! all lengths: XGBoost reads no others.
//!
//! The format is that of <https://ubjson.org>, as far as XGBoost's writer uses it.

use std::collections::BTreeMap;
use std::ops::Range;

/// The deepest nesting; XGBoost's own documents have seven levels.
const MAX_DEPTH: usize = 32;

/// Arrays with one value for each node.
const NODE_ARRAYS: [&str; 10] = [
    "left_children",
    "right_children",
    "parents",
    "split_indices",
    "split_conditions",
    "default_left",
    "base_weights",
    "loss_changes",
    "sum_hessian",
    "split_type",
];

/// Where an array of equal numbers lies.
#[derive(Debug, Clone, Copy)]
struct Typed {
    kind: u8,
    start: usize,
    count: usize,
}

/// The arrays of a tree, by name.
type Tree = BTreeMap<&'static str, Typed>;

impl Typed {
    fn width(self) -> usize {
        width(self.kind).unwrap_or(0)
    }
}

fn width(kind: u8) -> Option<usize> {
    match kind {
        b'i' | b'U' | b'C' => Some(1),
        b'I' => Some(2),
        b'l' | b'd' => Some(4),
        b'L' | b'D' => Some(8),
        _ => None,
    }
}

/// Makes every right child follow its left sibling, in all trees of a document.
pub(super) fn order_children(document: &mut [u8]) -> Result<(), String> {
    let (trees, _) = read(document)?;
    for tree in trees {
        order_tree(document, &tree)?;
    }
    Ok(())
}

/// Adds a number to the base score of a document with one output.
pub(super) fn add_to_base_score(document: &mut Vec<u8>, number: f32) -> Result<(), String> {
    let (_, base_score) = read(document)?;
    let place = base_score.ok_or("there is no base score")?;
    let text = std::str::from_utf8(&document[place.text.clone()]).map_err(|e| e.to_string())?;
    let old: f32 = text
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .map_err(|_| format!("the base score {text:?} is not one number"))?;
    let text = format!("[{:E}]", old + number);
    let length = i64::try_from(text.len()).map_err(|e| e.to_string())?;
    let mut value = b"SL".to_vec();
    value.extend(length.to_be_bytes());
    value.extend(text.into_bytes());
    document.splice(place.start..place.text.end, value);
    Ok(())
}

/// The trees of a document, and its base score.
fn read(document: &[u8]) -> Result<(Vec<Tree>, Option<Text>), String> {
    let mut reader = Reader {
        bytes: document,
        at: 0,
        trees: Vec::new(),
        base_score: None,
    };
    reader.value(0)?;
    Ok((reader.trees, reader.base_score))
}

/// Where a text lies.
struct Text {
    /// Its marker and length begin here.
    start: usize,
    text: Range<usize>,
}

/// Finds the objects that are trees, and the base score.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    trees: Vec<Tree>,
    base_score: Option<Text>,
}

/// The arrays of a tree that are looked for.
fn known(key: &[u8]) -> Option<&'static str> {
    NODE_ARRAYS
        .into_iter()
        .chain(["categories_nodes", "categories_segments", "categories_sizes"])
        .find(|name| name.as_bytes() == key)
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let found = self
            .at
            .checked_add(count)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| format!("UBJSON ends within a value at byte {}", self.at))?;
        self.at += count;
        Ok(found)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn length(&mut self) -> Result<usize, String> {
        let kind = self.byte()?;
        let width = width(kind)
            .filter(|_| !matches!(kind, b'd' | b'D' | b'C'))
            .ok_or_else(|| format!("no length at byte {}", self.at))?;
        usize::try_from(integer(self.take(width)?, kind))
            .map_err(|_| format!("a negative length at byte {}", self.at))
    }

    fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("too deep at byte {}", self.at));
        }
        match self.byte()? {
            b'Z' | b'T' | b'F' => {}
            b'S' => {
                let length = self.length()?;
                self.take(length)?;
            }
            b'[' => {
                self.array(depth)?;
            }
            b'{' => self.object(depth)?,
            kind => {
                let width = width(kind).ok_or_else(|| format!("an unknown value at byte {}", self.at - 1))?;
                self.take(width)?;
            }
        }
        Ok(())
    }

    /// After its `[`. Where its numbers lie, if it says that all of it are.
    fn array(&mut self, depth: usize) -> Result<Option<Typed>, String> {
        let kind = match self.byte()? {
            b'$' => {
                let kind = self.byte()?;
                if self.byte()? != b'#' {
                    return Err(format!("an array without a length at byte {}", self.at));
                }
                Some(kind)
            }
            b'#' => None,
            _ => return Err(format!("an array without a length at byte {}", self.at)),
        };
        let count = self.length()?;
        let Some(kind) = kind else {
            for _ in 0..count {
                self.value(depth + 1)?;
            }
            return Ok(None);
        };
        let width = width(kind).ok_or_else(|| format!("an unknown array at byte {}", self.at))?;
        let start = self.at;
        self.take(count.saturating_mul(width))?;
        Ok(Some(Typed { kind, start, count }))
    }

    /// After its `{`.
    fn object(&mut self, depth: usize) -> Result<(), String> {
        let mut arrays = BTreeMap::new();
        while self.bytes.get(self.at) != Some(&b'}') {
            let length = self.length()?;
            let key = self.take(length)?;
            if self.bytes.get(self.at) == Some(&b'[') {
                self.at += 1;
                if let (Some(typed), Some(name)) = (self.array(depth + 1)?, known(key)) {
                    arrays.insert(name, typed);
                }
            } else if key == b"base_score" && self.bytes.get(self.at) == Some(&b'S') {
                let start = self.at;
                self.at += 1;
                let length = self.length()?;
                self.take(length)?;
                self.base_score = Some(Text {
                    start,
                    text: self.at - length..self.at,
                });
            } else {
                self.value(depth + 1)?;
            }
        }
        self.at += 1;
        if arrays.contains_key("left_children") {
            self.trees.push(arrays);
        }
        Ok(())
    }
}

/// A big-endian whole number of [`width`] bytes.
fn integer(bytes: &[u8], kind: u8) -> i64 {
    let fill = if kind != b'U' && bytes[0] & 0x80 != 0 {
        -1
    } else {
        0
    };
    bytes
        .iter()
        .fold(fill, |value, byte| (value << 8) | i64::from(*byte))
}

fn integers(document: &[u8], typed: Typed) -> Vec<i64> {
    let end = typed.start + typed.count * typed.width();
    document[typed.start..end]
        .chunks_exact(typed.width())
        .map(|bytes| integer(bytes, typed.kind))
        .collect()
}

fn put_integers(document: &mut [u8], typed: Typed, values: &[i64]) {
    let width = typed.width();
    let end = typed.start + typed.count * width;
    for (bytes, value) in document[typed.start..end].chunks_exact_mut(width).zip(values) {
        bytes.copy_from_slice(&value.to_be_bytes()[8 - width..]);
    }
}

fn order_tree(document: &mut [u8], arrays: &Tree) -> Result<(), String> {
    let array = |name: &'static str| {
        arrays
            .get(name)
            .copied()
            .ok_or_else(|| format!("a tree without {name}"))
    };
    let count = array("left_children")?.count;
    for name in NODE_ARRAYS {
        if array(name)?.count != count {
            return Err(format!("a tree of {count} nodes with another number of {name}"));
        }
    }
    let left = integers(document, array("left_children")?);
    let right = integers(document, array("right_children")?);
    if left.iter().zip(&right).all(|(l, r)| *l == -1 || *r == *l + 1) {
        return Ok(());
    }
    // Level by level; `order[new]` is the old index.
    let mut order: Vec<usize> = vec![0];
    let mut visited = 0;
    while let Some(node) = order.get(visited).copied() {
        visited += 1;
        for child in [left[node], right[node]] {
            if left[node] == -1 {
                break;
            }
            let child = usize::try_from(child).ok().filter(|child| *child < count);
            order.push(child.ok_or("a child that is no node")?);
        }
        if order.len() > count {
            return Err("a node with two parents".into());
        }
    }
    if order.len() != count {
        return Err("a node without a parent".into());
    }
    let mut new = vec![0i64; count];
    for (at, old) in order.iter().enumerate() {
        new[*old] = i64::try_from(at).map_err(|e| e.to_string())?;
    }
    // Indices that are no node's (-1, and the parent of the root) stay.
    let renamed = |node: i64| {
        usize::try_from(node)
            .ok()
            .and_then(|n| new.get(n).copied())
            .unwrap_or(node)
    };
    for name in NODE_ARRAYS {
        let typed = array(name)?;
        let width = typed.width();
        let old = document[typed.start..typed.start + count * width].to_vec();
        for (at, node) in order.iter().enumerate() {
            let to = typed.start + at * width;
            document[to..to + width].copy_from_slice(&old[node * width..(node + 1) * width]);
        }
        if matches!(name, "left_children" | "right_children" | "parents") {
            let values: Vec<i64> = integers(document, typed).into_iter().map(renamed).collect();
            put_integers(document, typed, &values);
        }
    }
    // The categories of a node are found by searching for it, so these go by the nodes' order.
    let categories = ["categories_nodes", "categories_segments", "categories_sizes"];
    let [nodes, segments, sizes] = categories.map(|name| array(name).map(|typed| integers(document, typed)));
    let mut rows: Vec<[i64; 3]> = nodes?
        .into_iter()
        .zip(segments?)
        .zip(sizes?)
        .map(|((node, segment), size)| [renamed(node), segment, size])
        .collect();
    rows.sort_unstable();
    for (part, name) in categories.into_iter().enumerate() {
        let values: Vec<i64> = rows.iter().map(|row| row[part]).collect();
        put_integers(document, array(name)?, &values);
    }
    Ok(())
}
