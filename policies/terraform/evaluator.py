"""What Terraform expressions come to, and what they mention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.model import Place
from policies.shared.located import List, Map
from policies.terraform.blocks import Module
from policies.terraform.functions import FUNCTIONS, STRUCTURAL, TEXTUAL
from policies.terraform.hcl import Node
from policies.terraform.policy_documents import policy_document
from policies.terraform.values import Json, Partial, Unknown, known, written

#: They take numbers; to Python a text or a list may be multiplied.
COUNTING = ("+", "-", "*", "/", "%")
DOCUMENT = "aws_iam_policy_document"


def _partly(made: Any) -> Any:
    """Return what a function made of values with something unknown in them."""
    if isinstance(made, List):
        made[:] = [_partly(each) if type(each) is str and "${" in each else each for each in made]
        return made
    return Partial(made) if isinstance(made, str) and not isinstance(made, Json) else made


class Evaluator:
    """Evaluates the expressions of one module; names are looked up once."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.cache: dict[str, Any] = {}
        self.open: set[str] = set()

    def value(self, node: Node, file: str, scope: dict[str, Any] | None = None) -> Any:
        """Return the value of an expression in `file`; `scope` holds the names of for-expressions."""
        return getattr(self, f"_{node.kind}")(node, file, scope or {})

    # ---- one method a kind of expression

    def _literal(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        return node.parts[0]

    def _unknown(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        return Unknown(str(node.parts[0]))

    def _template(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        values = [part if isinstance(part, str) else self.value(part, file, scope) for part in node.parts]
        if len(values) == 1 and not isinstance(node.parts[0], str):
            return values[0]
        text = "".join(str(each).lower() if isinstance(each, bool) else str(each) for each in values)
        return text if all(known(each) for each in values) else Partial(text)

    def _tuple(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        result = List(Place(file, node.line))
        for item in node.parts:
            result.add(self.value(item, file, scope), Place(file, item.line))
        return result

    def _object(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        result = Map(Place(file, node.line))
        for key, item in node.parts:
            name = str(key.parts[0] if key.kind == "name" else self.value(key, file, scope))
            result.put(name, self.value(item, file, scope), Place(file, key.line))
        return result

    def _call(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        name, arguments, expand = node.parts
        values = [self.value(each, file, scope) for each in arguments]
        if expand and values and isinstance(values[-1], list):
            values = [*values[:-1], *values[-1]]
        if name not in FUNCTIONS or not self._enough(name, values):
            return Unknown(written(node))
        try:
            made = FUNCTIONS[name](Place(file, node.line), *values)
        except Exception:
            return Unknown(written(node))
        return made if all(known(each) for each in values) else _partly(made)

    def _enough(self, name: str, values: list[Any]) -> bool:
        """Tell whether a function's value can be known: texts take an unknown piece as ${…}."""
        if name in TEXTUAL:
            return True
        if any(isinstance(each, Unknown) for each in values):
            return False
        return name in STRUCTURAL or all(known(each) for each in values)

    def _if(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        condition = self.value(node.parts[0], file, scope)
        if isinstance(condition, Unknown):
            return Unknown(written(node))
        return self.value(node.parts[1 if condition in (True, "true") else 2], file, scope)

    def _unary(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        value = self.value(node.parts[1], file, scope)
        try:
            return -value if node.parts[0] == "-" else not value
        except TypeError:
            return Unknown(written(node))

    def _binary(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        sign = node.parts[0]
        left, right = (self.value(part, file, scope) for part in node.parts[1:])
        if not (known(left) and known(right)) or (
            sign in COUNTING and not all(isinstance(each, (int, float)) for each in (left, right))
        ):
            return Unknown(f"{written(node.parts[1])} {sign} {written(node.parts[2])}")
        operations = {
            "||": lambda: left or right, "&&": lambda: left and right, "==": lambda: left == right,
            "!=": lambda: left != right, "<": lambda: left < right, ">": lambda: left > right,
            "<=": lambda: left <= right, ">=": lambda: left >= right, "+": lambda: left + right,
            "-": lambda: left - right, "*": lambda: left * right,
            "/": lambda: left / right, "%": lambda: left % right,
        }  # fmt: skip
        try:
            return operations[sign]()
        except (TypeError, ArithmeticError):
            return Unknown(written(node))

    def _for(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        names, over, first, second, _, condition = node.parts
        source = self.value(over, file, scope)
        if not isinstance(source, (list, dict)):
            return Unknown(written(node))
        place = Place(file, node.line)
        pairs = source.items() if isinstance(source, dict) else enumerate(source)
        result: Any = List(place) if second is None else Map(place)
        for key, item in pairs:
            inner = {**scope, names[-1]: item, **({names[0]: key} if len(names) == 2 else {})}
            if condition is not None and self.value(condition, file, inner) is False:
                continue
            made = self.value(first, file, inner)
            if second is None:
                result.add(made, Place(file, first.line))
            else:
                result.put(str(made), self.value(second, file, inner), Place(file, first.line))
        return result

    def _splat(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        value = self.value(node.parts[0], file, scope)
        if isinstance(value, (Unknown, list)):
            return Unknown(written(node)) if isinstance(value, Unknown) else value
        result = List(Place(file, node.line))
        if value is not None:
            result.add(value, result.place)
        return result

    def _index(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        value, key = (self.value(part, file, scope) for part in node.parts)
        return self._step(value, key, node)

    def _name(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        """Return a local, a variable, a name of a for-expression or a data source, by its dotted path."""
        path, rest, base = [], [], node
        while base.kind == "get":
            path.insert(0, base.parts[1])
            base = base.parts[0]
        if base.kind != "name":
            value = self.value(base, file, scope)
            for step in path:
                value = self._step(value, step, node)
            return value
        path.insert(0, base.parts[0])
        if path[0] in scope:
            value, rest = scope[path[0]], path[1:]
        elif path[0] in ("var", "local") and len(path) > 1:
            value, rest = self.named(".".join(path[:2])), path[2:]
        elif path[:2] == ["data", DOCUMENT] and path[3:] in (["json"], ["minified_json"]):
            return self.named(".".join(path[:3]))
        else:
            return Unknown(".".join(path))
        for step in rest:
            value = self._step(value, step, node)
        return value

    _get = _name

    def _step(self, value: Any, key: Any, node: Node) -> Any:
        try:
            if isinstance(value, dict):
                return value[key]
            if isinstance(value, list):
                return value[int(key)]
        except (KeyError, IndexError, ValueError, TypeError):
            pass
        return Unknown(f"{value.text}.{key}" if isinstance(value, Unknown) else written(node))

    # ---- names

    def named(self, name: str) -> Any:
        """Return a variable's default, a local or a policy document by its name."""
        if name not in self.cache:
            self.cache[name] = Unknown(name)  # what refers to itself is unknown
            self.cache[name] = self._look_up(name)
        return self.cache[name]

    def _look_up(self, name: str) -> Any:
        kind, _, rest = name.partition(".")
        for block in self.module.own:
            if kind == "local" and block.type == "locals" and block.has(rest):
                return block.value(rest)
            if kind == "var" and (block.type, block.labels) == ("variable", (rest,)) and block.has("default"):
                return block.value("default")
            if kind == "data" and block.type == "data" and block.labels == tuple(rest.split(".")):
                return Json.of(policy_document(block.instances()[0]))
        return Unknown(name)

    def references(self, node: Any) -> Iterator[str]:
        """Yield every dotted name in an expression, and in the locals that it uses."""
        if not isinstance(node, Node):
            if isinstance(node, tuple):
                for part in node:
                    yield from self.references(part)
            return
        if node.kind in ("name", "get", "index") and "." in (name := written(node)):
            yield name
            yield from self._behind(name)
        if node.kind != "name":
            for part in node.parts:
                yield from self.references(part)

    def _behind(self, name: str) -> Iterator[str]:
        kind, key, *_ = name.split(".")
        if kind != "local" or key in self.open:
            return
        self.open.add(key)
        for block in self.module.own:
            if block.type == "locals" and block.has(key):
                yield from block.references(key)
        self.open.discard(key)
