"""Writes many changes of Rust code into one copy of it, where a variable chooses which one is on.

What is changed is what cargo-mutants lists. It would build everything anew for each change; here all of them are built
once. Each change stands between two marks, so that those which do not compile are found by the errors' places.
"""

import re

import tree_sitter
import tree_sitter_rust

RUST = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))

SWITCH = '''//! Which change is on, in this copy.

/// Its number; 0 if none is.
#[allow(clippy::disallowed_methods, missing_docs)]
pub fn on() -> u32 {
    static ON: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var("MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0))
}
'''


class NotWritten(Exception):
    """Why a change cannot be chosen by a variable."""


class File:
    def __init__(self, text: str, switch: str) -> None:
        self.bytes = text.encode()
        self.switch = switch
        self.tree = RUST.parse(self.bytes).root_node
        self.starts = [0]
        for line in self.bytes.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.wraps = []  # (start, end, how): how makes new text of the rendered one

    def offset(self, place: dict) -> int:
        line = self.bytes[self.starts[place["line"] - 1]:].split(b"\n", 1)[0].decode()
        return self.starts[place["line"] - 1] + len(line[: place["column"] - 1].encode())

    def text(self, node) -> str:
        return self.bytes[node.start_byte:node.end_byte].decode()

    def node(self, start: int, end: int, *kinds: str):
        """The smallest node of such a kind around these bytes."""
        node = self.tree.descendant_for_byte_range(start, max(start, end - 1))
        while node is not None and node.type not in kinds:
            node = node.parent
        if node is None:
            raise NotWritten(f"there is no {kinds[0]}")
        above = node.parent
        while above is not None:
            if above.type in ("const_item", "static_item"):
                raise NotWritten("a constant")
            if above.type == "function_item" and any(self.text(child).startswith("const") for child in above.children if child.type == "function_modifiers"):
                raise NotWritten("a constant function")
            above = above.parent
        return node

    def add(self, number: int, mutant: dict) -> None:
        start, end = self.offset(mutant["span"]["start"]), self.offset(mutant["span"]["end"])
        getattr(self, mutant["genre"])(number, mutant["replacement"], start, end)

    def choose(self, node, number: int, changed: str) -> None:
        new = f"(match {self.switch} {{\n{number}u32 => /*{number}:*/ {changed} /*:{number}*/,\n_ => "
        self.wraps.append((node.start_byte, node.end_byte, lambda text: f"{new}{text}\n}})"))

    def FnValue(self, number, replacement, start, end):
        body = self.node(start, end, "function_item").child_by_field_name("body")
        if self.text(body.parent).startswith("const fn") or " const fn " in self.text(body.parent).split("{")[0]:
            raise NotWritten("a constant function")
        if "-> impl " in self.text(body.parent).split("{")[0]:
            raise NotWritten("it returns what only one body can be")
        new = f"\nif {self.switch} == {number} {{ /*{number}:*/ return {replacement}; /*:{number}*/ }}\n"
        self.wraps.append((body.start_byte + 1, body.start_byte + 1, lambda text: new + text))

    def BinaryOperator(self, number, replacement, start, end):
        node = self.node(start, end, "binary_expression", "compound_assignment_expr", "let_chain")
        if node.type == "let_chain":
            raise NotWritten("does not compile in a chain of let")
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if not left.end_byte <= start < right.start_byte:
            raise NotWritten("no operator stands there")
        self.choose(node, number, f"{self.text(left)} {replacement} {self.text(right)}")

    def UnaryOperator(self, number, replacement, start, end):
        node = self.node(start, end, "unary_expression")
        self.choose(node, number, f"{replacement}{self.bytes[end:node.end_byte].decode()}")

    def MatchArmGuard(self, number, replacement, start, end):
        node = self.node(start, end, "match_pattern")
        node = node.child_by_field_name("condition")
        if node is None or "let_c" in node.type:
            raise NotWritten("a guard that binds")
        self.choose(node, number, replacement)

    def MatchArm(self, number, replacement, start, end):
        pattern = self.node(start, end, "match_arm").child_by_field_name("pattern")
        condition = pattern.child_by_field_name("condition")
        test = f"/*{number}:*/ {self.switch} != {number} /*:{number}*/"
        if condition is None:
            self.wraps.append((pattern.start_byte, pattern.end_byte, lambda text: f"{text} if {test}"))
        elif "let" in condition.type:
            raise NotWritten("a guard that binds")
        else:
            self.wraps.append((condition.start_byte, condition.end_byte, lambda text: f"{test} && ({text})"))

    def StructField(self, number, replacement, start, end):
        node = self.node(start, end, "field_initializer", "shorthand_field_initializer")
        base = next((child for child in node.parent.children if child.type == "base_field_initializer"), None)
        if base is None:
            raise NotWritten("nothing stands in for the field")
        base = self.text(base).lstrip(".")
        if node.type == "shorthand_field_initializer":
            name = value = self.text(node)
            place = (node.start_byte, node.end_byte)
            prefix = f"{name}: "
        else:
            name, part = self.text(node).split(":", 1)[0].strip(), node.child_by_field_name("value")
            place, prefix = (part.start_byte, part.end_byte), ""
        new = f"{prefix}(match {self.switch} {{\n{number}u32 => /*{number}:*/ ({base}).{name} /*:{number}*/,\n_ => "
        self.wraps.append((*place, lambda text: f"{new}{text}\n}})"))

    def written(self) -> str:
        # Of equal places the one that was asked for first is within.
        order = sorted(range(len(self.wraps)), key=lambda i: (self.wraps[i][0], -self.wraps[i][1], -i))
        return self._render(0, len(self.bytes), [self.wraps[i] for i in order])

    def _render(self, start: int, end: int, wraps: list) -> str:
        out, at = [], start
        while wraps:
            first, last, how = wraps[0]
            within = 1
            while within < len(wraps) and (wraps[within][1] <= last and wraps[within][0] < max(last, first + 1)):
                within += 1
            out.append(self.bytes[at:first].decode())
            if first == last:
                inner, within = "", 1
            else:
                inner = self._render(first, last, wraps[1:within])
            out.append(how(inner))
            at, wraps = last, wraps[within:]
        out.append(self.bytes[at:end].decode())
        return "".join(out)


def places(text: str) -> dict[int, tuple[int, int]]:
    """From which line to which a change stands, by its number."""
    found = {}
    for line, content in enumerate(text.split("\n"), 1):
        for number in re.findall(r"/\*(\d+):\*/", content):
            found[int(number)] = (line, line)
        for number in re.findall(r"/\*:(\d+)\*/", content):
            found[int(number)] = (found[int(number)][0], line)
    return found
