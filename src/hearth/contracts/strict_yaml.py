"""YAML as people mean it: what YAML 1.1 would silently read as something else is refused.

YAML 1.1, which PyYAML reads, takes `12:30` for 750 (base 60), `010` for 8 (base 8), `1_000` for 1000, `no` for false, but `1e3` and `08`
for texts, and of a key that is written twice it keeps the last.
"""

import re
from collections.abc import Hashable
from pathlib import Path

import yaml

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BOOLEAN = re.compile("true|True|TRUE|false|False|FALSE")
_LIKE_A_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|0o[0-7]+")  # to YAML 1.2
_TEXT, _INT, _FLOAT, _BOOL, _DEFAULT_KEY = (f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "value"))
_PLAIN_FORMS = {_INT: _WHOLE, _FLOAT: _NUMBER, _BOOL: _BOOLEAN}


class InvalidYaml(ValueError):
    """A file is not YAML, has a key twice, or a text with two readings. `where` is the line, or `the file`."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where, self.reason = where, reason


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that raises ConstructorError where a text has two readings, or a key is written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key_node.start_mark)
            if key in keys:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is written twice", key_node.start_mark)
            keys.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_unambiguous(self, node: yaml.ScalarNode) -> object:
        """Return the number or boolean of a plain text, if it is written in the one form that everybody reads alike."""
        text = self.construct_scalar(node)
        form = _PLAIN_FORMS[node.tag]
        if not form.fullmatch(text):
            value = yaml.SafeLoader.yaml_constructors[node.tag](self, node)
            choice = f"write {str(value).lower()}" if node.tag == _BOOL else f"write {value} if that number is meant"
            reason = f"{text} is read as {str(value).lower()} by YAML 1.1: write '{text}', in quotes, if the text is meant, or {choice}"
            raise yaml.constructor.ConstructorError(None, None, reason, node.start_mark)
        return yaml.SafeLoader.yaml_constructors[node.tag](self, node)

    def construct_text(self, node: yaml.ScalarNode) -> str:
        """Return a text, unless it stands without quotes and other readers take it for a number."""
        text = str(self.construct_scalar(node))
        if node.style is None and _LIKE_A_NUMBER.fullmatch(text):
            number = int(text, 8) if text.startswith("0o") else float(text)
            reason = f"{text} is read as a text by YAML 1.1: write '{text}', in quotes, or {number:g} if that number is meant"
            raise yaml.constructor.ConstructorError(None, None, reason, node.start_mark)
        return text

    def refuse(self, node: yaml.ScalarNode) -> object:
        """Refuse a text that YAML 1.1 has a use of its own for."""
        reason = f"{node.value} means something else in YAML 1.1: write '{node.value}', in quotes"
        raise yaml.constructor.ConstructorError(None, None, reason, node.start_mark)


for _tag in _PLAIN_FORMS:
    _StrictLoader.add_constructor(_tag, _StrictLoader.construct_unambiguous)
_StrictLoader.add_constructor(_TEXT, _StrictLoader.construct_text)
_StrictLoader.add_constructor(_DEFAULT_KEY, _StrictLoader.refuse)


def read_yaml(path: Path) -> object:
    """Return the content of a YAML file.

    Raises:
        InvalidYaml: with the line and the reason.
        OSError: the file cannot be read.
    """
    try:
        return yaml.load(path.read_text("utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except RecursionError as error:
        raise InvalidYaml("the file", "is nested too deeply") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidYaml(f"line {mark.line + 1}" if mark else "the file", getattr(error, "problem", None) or str(error)) from error
