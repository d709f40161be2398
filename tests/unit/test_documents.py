"""Every code block of README and docs/ is executed by a test or says why not, and what needs no server is compared here."""

import json
import re

import pytest
import yaml

from deploy.compose.make_secrets import read_values
from hearth.contracts.model import Contract
from tests.support.documents import BLOCKS, ROOT, Block, blocks_of, executor

SETTINGS = read_values(ROOT / ".env")


def having(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages and not block.title]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_executed_by_a_test_or_says_why_not(block: Block) -> None:
    assert block.language, "name the language of the block: what happens to it depends on that (tests/support/documents.py)"
    if block.excuse:
        assert len(block.excuse.split()) > 1, "the comment has no reason"
        for path in re.findall(r"(?:tests|docs|\.ci)/[\w/.]+\b", block.excuse):
            assert (ROOT / path).exists(), path
    else:
        assert executor(block), "no test executes it: tests/support/documents.py says how one would, or how the block says why not"


def test_a_block_without_language_or_reason_is_noticed() -> None:
    notes = ("", "", "<!-- not run: -->\n", "<!-- not run: needs Docker -->\n", "")
    languages = ("", "sh", "sh", "cobol")
    page = "a\n" + "".join(f"{note}```{language}\nmake demo\n```\n" for note, language in zip(notes[1:], languages, strict=True))

    bare, empty, excused, foreign = blocks_of("README.md", page)

    assert (bare.language, bare.line, executor(bare)) == ("", 2, "")
    assert (empty.excuse, empty.is_command) == ("", True)
    assert (excused.excuse, excused.is_command) == ("needs Docker", False)
    assert executor(foreign) == ""


@pytest.mark.parametrize("block", having("yaml"), ids=str)
def test_yaml_is_a_part_of_a_contract(block: Block) -> None:
    content = yaml.safe_load(block.text)
    parts = content if content.keys() <= Contract.model_fields.keys() else {"columns": content}
    whole = yaml.safe_load((ROOT / "data/heart/contract.yaml").read_text("utf-8"))

    assert parts.keys() <= Contract.model_fields.keys()
    if "columns" not in parts and "drop" not in parts and "target" not in parts:
        Contract.model_validate({**whole, **parts})


@pytest.mark.parametrize("block", having("dotenv"), ids=str)
def test_every_setting_of_a_block_is_one_of_env(block: Block) -> None:
    names = [line.partition("=")[0] for line in block.text.splitlines() if line and not line.startswith("#")]

    assert names
    assert set(names) <= SETTINGS.keys()


@pytest.mark.parametrize("block", having("promql"), ids=str)
def test_every_metric_of_a_query_is_in_the_tables_of_its_page(block: Block) -> None:
    tables = set(re.findall(r"`(hearth_\w+)`", (ROOT / block.page).read_text("utf-8")))
    names = set(re.findall(r"hearth_\w+", block.text))

    assert names
    assert {name.removesuffix("_bucket") for name in names} <= tables


@pytest.mark.parametrize("block", having("text"), ids=str)
def test_every_folder_of_a_tree_is_there(block: Block) -> None:
    for line in block.text.splitlines():
        path = line.split()[0].replace("<name>/", "heart/")
        assert (ROOT / path).exists(), path


def test_two_pages_give_the_same_answer_to_the_same_record() -> None:
    answers = {block.page: json.loads(block.text) for block in having("json") if '"probabilit' in block.text}
    rest, [explanation] = answers["docs/rest.md"], answers["docs/explain.md"]["explanations"]

    assert rest["label"] == explanation["label"] == explanation["explained_class"]
    assert rest["probabilities"][0] == pytest.approx(explanation["probabilities"], abs=0.001)
    assert sum(rest["probabilities"][0].values()) == pytest.approx(1, abs=0.001)
    parts = [explanation["base_value"], explanation["rest"], *(part["contribution"] for part in explanation["contributions"])]
    assert sum(parts) == pytest.approx(explanation["score"], abs=0.002)
