"""What Terraform expressions come to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from policies.model import Place
from policies.shared.limits import MOST_NAMED, MOST_WEIGHT
from policies.shared.located import List, Map, mapping
from policies.terraform.blocks import Module, Partial, Unknown, yes
from policies.terraform.expressions import TooLarge, known, more, numbers, weight, written
from policies.terraform.functions import FUNCTIONS, STRUCTURAL, TEXTUAL, Json
from policies.terraform.hcl import Node
from policies.terraform.policy_documents import policy_document
from policies.terraform.references import References

MAX_DEPTH = 60
#: What an expression is called that would fill the memory.
TOO_LARGE = "a value that is too large"
#: They take numbers; to Python a text or a list may be multiplied.
COUNTING = ("+", "-", "*", "/", "%")


def _partly(made: Any) -> Any:
    """Return what a function made of values with something unknown in them."""
    if isinstance(made, List):
        made[:] = [_partly(each) if type(each) is str and "${" in each else each for each in made]
        return made
    return Partial(made) if isinstance(made, str) and not isinstance(made, Json) else made


class Evaluator(References):
    """Evaluates the expressions of one module; names are looked up once."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.cache: dict[str, Any] = {}
        self.depth = 0
        self.open: set[tuple[str, str]] = set()
        self.spent = self.steps = 0

    def value(self, node: Node, file: str, scope: dict[str, Any] | None = None) -> Any:
        """Return the value of an expression that stands in `file`; `scope` holds the names of
        for-expressions.
        """
        self.depth += 1
        try:
            if self.depth > MAX_DEPTH:
                return Unknown(written(node))
            made = getattr(self, f"_{node.kind}")(node, file, scope or {})
            self.steps = self.steps + 1 if self.depth > 1 else 0
            if weight(made) > MOST_WEIGHT or self.steps > MOST_WEIGHT:
                raise TooLarge
            return made
        except TooLarge:
            if self.depth > 1:  # whatever is made of it is as large
                raise
            self.steps = 0
            return Unknown(TOO_LARGE)
        finally:
            self.depth -= 1

    def _each(self, nodes: Iterable[Node], file: str, scope: dict[str, Any]) -> list[Any]:
        """Return the values of several expressions; raises TooLarge before they fill the memory."""
        made, total = [], 0
        for node in nodes:
            made.append(self.value(node, file, scope))
            total = more(total, made[-1])
        return made

    # ---- one method a kind of expression

    def _literal(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        return node.parts[0]

    def _unknown(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        return Unknown(str(node.parts[0]))

    def _template(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        values, total = [], 0
        for part in node.parts:
            values.append(part if isinstance(part, str) else self.value(part, file, scope))
            total = more(total, values[-1])
        if len(values) == 1 and not isinstance(node.parts[0], str):
            return values[0]
        text = "".join(str(each).lower() if isinstance(each, bool) else str(each) for each in values)
        return text if all(known(each) for each in values) else Partial(text)

    def _tuple(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        result = List(Place(file, node.line))
        for item, value in zip(node.parts, self._each(node.parts, file, scope), strict=True):
            result.add(value, Place(file, item.line))
        return result

    def _object(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        result = Map(Place(file, node.line))
        total = 0
        for key, item in node.parts:
            name = str(key.parts[0] if key.kind == "name" else self.value(key, file, scope))
            value = self.value(item, file, scope)
            total = more(more(total, name), value)
            result.put(name, value, Place(file, key.line))
        return result

    def _call(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        name, arguments, expand = node.parts
        values = self._each(arguments, file, scope)
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
        if not (known(left) and known(right)) or (sign in COUNTING and not numbers(left, right)):
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
        total = 0
        for key, item in pairs:
            inner = {**scope, names[-1]: item, **({names[0]: key} if len(names) == 2 else {})}
            if condition is not None and self.value(condition, file, inner) is False:
                continue
            made = self.value(first, file, inner)
            total = more(total, made)
            if second is None:
                result.add(made, Place(file, first.line))
            else:
                value = self.value(second, file, inner)
                total = more(total, value)
                result.put(str(made), value, Place(file, first.line))
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
        return self._step(
            self.value(node.parts[0], file, scope), self.value(node.parts[1], file, scope), node
        )

    def _get(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        return self._name(node, file, scope)

    def _name(self, node: Node, file: str, scope: dict[str, Any]) -> Any:
        """Return a local, a variable, a name of a for-expression or a data source, by its dotted path."""
        path, rest, base = [], [], node
        while base.kind == "get":
            path.insert(0, base.parts[1])
            base = base.parts[0]
        if base.kind == "index" and path in (["json"], ["minified_json"]):
            return self._document(written(base.parts[0]), self.value(base.parts[1], file, scope), node)
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
        elif path[:2] == ["data", "aws_iam_policy_document"] and path[3:] in (["json"], ["minified_json"]):
            return self.named(".".join(path[:3]))
        elif path[0] == "module" and len(path) > 2:
            value, rest = self.named(".".join(path[:3])), path[3:]
        else:
            return Unknown(".".join(path))
        for step in rest:
            value = self._step(value, step, node)
        return value

    def _document(self, name: str, key: Any, node: Node) -> Any:
        """Return the instance of a policy document that an index names."""
        for block in self.module.own:
            if block.type == "data" and block.labels[:1] == ("aws_iam_policy_document",):
                for each in block.instances() if name == f"data.{'.'.join(block.labels)}" else ():
                    keys = (
                        mapping(each.scope.get("each")).get("key"),
                        mapping(each.scope.get("count")).get("index"),
                    )
                    if key is not None and key in keys:
                        return Json.of(policy_document(each))
        return Unknown(written(node))

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
        """Return a variable, a local or a policy document by its name."""
        if name not in self.cache:
            self.cache[name] = Unknown(name)  # what refers to itself is unknown
            made = self._look_up(name)
            self.spent += weight(made)
            self.cache[name] = made if self.spent <= MOST_NAMED else Unknown(TOO_LARGE)
        return self.cache[name]

    def _look_up(self, name: str) -> Any:
        kind, _, rest = name.partition(".")
        if kind == "local":
            for block in self.module.own:
                if block.type == "locals" and block.has(rest):
                    return block.value(rest)
        if kind == "var":
            return self._variable(rest)
        if kind == "data":
            for block in self.module.own:
                if block.type == "data" and block.labels == tuple(rest.split(".")):
                    return Json.of(policy_document(block.instances()[0]))
        if kind == "module":
            call, _, output = rest.partition(".")
            child = self.module.child(call)
            for block in child.own if child else ():
                if block.type == "output" and block.labels == (output,):
                    return block.value("value")
        return Unknown(name)

    def _variable(self, name: str) -> Any:
        """Return what the caller, a tfvars file or the default says."""
        declared = next(
            (each for each in self.module.own if each.type == "variable" and each.labels == (name,)), None
        )
        given: Any = Unknown(f"var.{name}")
        if self.module.call and self.module.call.has(name):
            given = self.module.call.value(name)
        elif name in self.module.given and not self.module.call:
            node, place = self.module.given[name]
            given = self.value(node, place.file)
        elif declared and declared.has("default"):
            return declared.value("default")
        if given is None and declared and declared.has("nullable") and not yes(declared.value("nullable")):
            return declared.value("default")
        return given

    def written(self, node: Node | None, default: str) -> str:
        """Return a name that stands as an expression, such as the iterator of a dynamic block."""
        return default if node is None else written(node)
