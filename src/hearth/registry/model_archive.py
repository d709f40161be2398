"""Checks of a model's skops file before any object of it is made: sizes of members and arrays, and the text of LightGBM's boosters.

The allow-list of types says which code may run; it says nothing of the numbers that this code reads. A member that unpacks to gigabytes and
a tree that points outside itself are found here.
"""

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping

from numpy.lib import format as npy

from hearth.errors import RefusedModel
from hearth.modelling.booster_text import BoosterText, read_booster, require_classifier

_SCHEMA = "schema.json"
_ARRAY = re.compile(r"[0-9]{1,20}\.npy")
_MOST_MEMBERS = 100_000
_BOOSTER = ("lightgbm.basic", "Booster")


def require_sound(content: bytes, where: str, most_bytes: int) -> list[BoosterText]:
    """Check a skops file, and return its boosters, in no particular order.

    Raises:
        RefusedModel: it holds something else than a schema and arrays, they unpack to more than `most_bytes`, or an array claims to be
            larger than its member.
        InvalidBooster: the text of a booster must not be given to LightGBM.
        ValueError, KeyError, zipfile.BadZipFile: it is no skops file.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if len(members) > _MOST_MEMBERS or len(set(names)) < len(names):
            raise RefusedModel(f"{where}: its file has {len(members)} members, expected at most {_MOST_MEMBERS}, each once. Train again.")
        if others := [name for name in names if name != _SCHEMA and not _ARRAY.fullmatch(name)]:
            raise RefusedModel(f"{where}: its file holds {others[0][:80]!r}, expected {_SCHEMA} and arrays only. Train again.")
        unpacked = sum(member.file_size for member in members)
        if unpacked > most_bytes:  # zipfile reads no more of a member than its entry says
            raise RefusedModel(
                f"{where}: its file of {len(content):,} bytes unpacks to {unpacked:,}, "
                f"at most {most_bytes:,} are allowed (HEARTH_MODEL_MAX_UNPACKED_BYTES)."
            )
        sizes = {member.filename: _array_size(archive, member, where) for member in members if member.filename != _SCHEMA}
        return _read_schema(json.loads(archive.read(_SCHEMA)), sizes, where, most_bytes)


def _array_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> int:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read(file)
        size = math.prod(shape) * kind.itemsize
    if size > member.file_size or kind.hasobject:
        raise RefusedModel(f"{where}: the array {member.filename} claims {size:,} bytes and has {member.file_size:,}. Train again.")
    return int(member.file_size)


def _read_schema(schema: object, sizes: Mapping[str, int], where: str, most_bytes: int) -> list[BoosterText]:
    """Walk through all nodes: skops reads an array at each mention of it."""
    boosters: list[dict[str, object]] = []
    by_id: dict[object, list[object]] = {}
    mentioned = 0
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            by_id.setdefault(node.get("__id__"), []).append(node)
            waiting.extend(node.values())
            mentioned += sizes.get(node["file"], 0) if isinstance(node.get("file"), str) else 0
            if (node.get("__module__"), node.get("__class__")) == _BOOSTER:
                boosters.append(node)
    if mentioned > most_bytes:
        raise RefusedModel(
            f"{where}: its arrays are mentioned again and again and make {mentioned:,} bytes, "
            f"at most {most_bytes:,} are allowed (HEARTH_MODEL_MAX_UNPACKED_BYTES)."
        )
    return [_read_booster(node, by_id, where) for node in boosters]


def _read_booster(node: dict[str, object], by_id: Mapping[object, list[object]], where: str) -> BoosterText:
    """Check the text in a node, whose form must be that of skops 0.16."""
    text = None
    state = _child(node, "ObjectNode", by_id)
    handle = _child(state, "DictNode", by_id).get("_handle")
    if isinstance(handle, dict) and "handle" not in _child(state, "DictNode", by_id):  # LightGBM's older name for the same
        content = handle.get("content")
        text = json.loads(content) if _is_alone(handle, "JsonNode", by_id) and isinstance(content, str) else None
    if not isinstance(text, str):
        raise RefusedModel(f"{where}: a booster in its file has another form than skops writes. Train again.")
    booster = read_booster(text)
    require_classifier(booster)
    return booster


def _child(node: Mapping[str, object], loader: str, by_id: Mapping[object, list[object]]) -> Mapping[str, object]:
    content = node.get("content")
    return content if isinstance(content, dict) and _is_alone(node, loader, by_id) else {}


def _is_alone(node: Mapping[str, object], loader: str, by_id: Mapping[object, list[object]]) -> bool:
    """Whether a node has this loader, and no other node can stand in for it: skops makes one object for all nodes of the same id."""
    return node.get("__loader__") == loader and all(other == node for other in by_id[node.get("__id__")])
