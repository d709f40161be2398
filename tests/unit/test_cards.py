"""Model cards as JSON, Markdown and HTML: nothing that a name or a text holds becomes markup."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from hearth.cards import CONTENT_SECURITY_POLICY, Card, to_html, to_markdown
from hearth.cards.blocks import plain
from hearth.cards.card import approval_text
from hearth.cards.law import NO_ADVICE, duties
from hearth.cards.markdown import escape
from hearth.contracts import Contract, load_contract
from hearth.contracts.card_words import CardWords
from hearth.modelling.approval import NOBODY, Approval
from tests.support.cards import PNG, small_card
from tests.support.contracts import DATA

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "</title><base href=//evil.example>",
    "&lt;b&gt; &#60;",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "https://evil.example www.evil.example me@evil.example",
    "<https://evil.example>",
    "| a | b |\n| --- | --- |",
    "# heading\n\n- item\n1. item\n> quote\n```\ncode",
    "`code` *em* __strong__ ~~gone~~ $x$ a\\",
    "---",
    "===",
    "1) one",
    "+",
    "[a]: https://evil.example",
    "\u202etxt.exe \u2066x",
    "\0\x1b[31m \ud800",
    "a  \nb",
]
_MARKUP = "<>&\"'`*_[]()|!\\#-+=~$@:/.\n 1a"
_TEXTS = st.one_of(
    st.sampled_from(ATTACKS), st.text(st.characters(), min_size=1, max_size=40), st.text(_MARKUP, min_size=1, max_size=40)
).filter(plain)  # no name of a contract is empty


class _Page(HTMLParser):
    """What a browser would see: elements with their attributes, and texts."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()
        self.texts: list[str] = []
        self._in: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {value or "" for name, value in attrs if name in {"src", "href"}}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _all(tokens: list[Token]) -> list[Token]:
    return [inner for token in tokens for inner in (token, *_all(token.children or []))]


_ORDINARY = to_html(small_card(), {"groups.png": PNG})


@given(_TEXTS)
@example("\ud800")
@settings(max_examples=150, deadline=None)
def test_no_text_of_a_card_becomes_html(text: str) -> None:
    page, usual = _Page(to_html(small_card(text), {"groups.png": PNG})), _Page(_ORDINARY)

    assert page.tags == usual.tags
    assert page.attributes == usual.attributes
    assert page.addresses == usual.addresses
    assert not plain(text) or plain(text) in page.texts


@given(_TEXTS)
@settings(max_examples=150, deadline=None)
def test_no_text_of_a_card_becomes_markdown(text: str) -> None:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

    def shape(card: Card) -> list[tuple[str, str]]:
        found = _all(parser.parse(to_markdown(card)))
        return [(token.type, str(token.attrs.get("src", ""))) for token in found if token.type not in {"text", "text_special", "softbreak"}]

    assert shape(small_card(text)) == shape(small_card("text"))


@given(_TEXTS)
@settings(max_examples=300, deadline=None)
def test_escaped_markdown_shows_the_text_itself_and_no_link(text: str) -> None:
    rendered = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(f"x {escape(text)} y\n\n{escape(text)}")
    page = _Page(rendered.encode())

    assert page.tags == {"p"}
    assert " ".join("".join(page.texts).split()) == " ".join(f"x {plain(text)} y {plain(text)}".split())
    assert "://" not in escape(text)
    assert "@" not in escape(text).replace("\\@", "")


def test_a_card_in_json_is_read_back_as_it_was() -> None:
    card = small_card("<b> & | \\")

    assert Card.from_json(card.to_json()) == card


@pytest.mark.parametrize(
    "content", [b"", b"null", b"{}", b"[1]", b'{"dataset": "x"}', b"\xff", small_card().to_json().replace(b'"knn"', b"7")]
)
def test_anything_else_is_no_card(content: bytes) -> None:
    assert Card.from_json(content) is None


def test_a_card_of_a_later_release_with_more_fields_is_read() -> None:
    later = small_card().to_json().replace(b'{\n "dataset"', b'{"later": {"x": 1}, "dataset"', 1)

    assert b"later" in later
    assert Card.from_json(later) == small_card()


def test_the_page_holds_pictures_that_are_png_files_of_a_fair_size_and_names_the_others() -> None:
    pictures = {"groups.png": PNG, "reliability.png": PNG + b"\0" * 600_000}

    page = _Page(to_html(small_card(), pictures))
    scripts = _Page(to_html(small_card(), {"groups.png": b"<svg onload=alert(1)>"}))

    assert len(page.addresses) == 1
    assert any("figures/reliability.png of the run is not shown here" in text for text in page.texts)
    assert not scripts.addresses


def test_the_page_forbids_scripts_and_requests_itself_and_in_its_header() -> None:
    page = _ORDINARY.decode()

    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "sandbox" in CONTENT_SECURITY_POLICY
    assert "script-src" not in CONTENT_SECURITY_POLICY
    assert 'http-equiv="Content-Security-Policy"' in page
    assert "sha256-" in page


def test_what_other_modules_add_is_shown_before_what_law_asks() -> None:
    written = to_markdown(small_card("extra"))

    assert written.index("## extra") < written.index("## What law asks")


@pytest.mark.parametrize(
    ("people", "area", "there", "absent"),
    [
        (True, "employment", "Annex III, point 4", "Annex I,"),
        (True, "medical", "Article 6(1) and Annex I", "Article 26(7)"),
        (True, "none", "GDPR", "Annex III"),
    ],
)
def test_law_is_named_by_the_area_of_the_contract(people: bool, area: str, there: str, absent: str) -> None:
    contract = _with_card(load_contract("employees", DATA), people=people, area=area)
    text = " ".join(f"{duty.reference} {duty.asks} {duty.here}" for duty in duties(contract))

    assert there in text
    assert absent not in text
    assert "no legal advice" in NO_ADVICE


def test_data_that_are_not_about_people_have_no_duties_and_sensitive_columns_are_about_people() -> None:
    contract = load_contract("employees", DATA)

    assert duties(_with_card(contract, people=False, area="employment")) == ()
    assert duties(_with_card(contract))
    assert not load_contract("covertype", DATA).concerns_people


def _with_card(contract: Contract, **words: object) -> Contract:
    return contract.model_copy(update={"card": CardWords.model_validate(words)})


def test_only_a_contract_without_sensitive_columns_is_said_to_name_none() -> None:
    card = small_card()
    nothing = replace(card.groups, groups=(), gaps=(), left_out={})

    unnamed = to_markdown(replace(card, groups=nothing, sensitive=()))
    absent = to_markdown(replace(card, groups=nothing, sensitive=("Gender",)))

    assert "No column is named under sensitive" in unnamed
    assert "No column is named" not in absent
    assert "Gender: the test rows do not have this column" in absent


@pytest.mark.parametrize(
    ("approval", "required", "judged", "text"),
    [
        (None, False, True, "no approval required"),
        (None, True, False, "approval required, not judged yet"),
        (None, True, True, "approval required, nobody was asked"),
        (Approval("waiting", task="dag/run/task"), True, True, "waiting for approval"),
        (Approval("approved", "Ada"), True, True, "approved by Ada"),
        (Approval("refused", "Ada"), True, True, "refused by Ada"),
        (Approval("refused", "Ada"), False, True, "refused by Ada"),
        (Approval("refused", NOBODY), True, True, "no answer in time"),
    ],
)
def test_who_refuses_is_not_shown_as_one_who_approves(approval: Approval | None, required: bool, judged: bool, text: str) -> None:
    assert approval_text(approval, required=required, judged=judged) == text


@pytest.mark.parametrize(
    "changes",
    [
        {"confusion": [[1]]},
        {"confusion": [[1, 2], [3]]},
        {"confusion": [[1, 2], [3, 10**4000]]},
        {"confusion": [[1, 2], [3, -1]]},
        {"classes": ["a", "b"]},
        {"classes": []},
        {"data.test_rows": 10**4000},
        {"data.train_classes": {"text": 1}},
        {"slices.rows": 0},
        {"slices.errors": 10**4000},
        {"more": [{"title": "x", "blocks": [{"block": "table", "header": ["a", "b"], "rows": [["1"]]}]}]},
        {"more": [{"title": "x", "blocks": [{"block": "picture", "name": "x.png) <b>", "caption": "x"}]}]},
        {"more": [{"title": "x", "blocks": [{"block": "picture", "name": "x](https://evil.example", "caption": "x"}]}]},
        {"more": [{"title": "x", "blocks": [{"block": "picture", "name": "x.png\n", "caption": "x"}]}]},
        {"more": [{"title": "x", "blocks": [{"block": "picture", "name": "", "caption": "x"}]}]},
    ],
)
def test_a_file_whose_parts_do_not_go_together_is_no_card(changes: dict[str, object]) -> None:
    forged = json.loads(small_card().to_json())
    for name, value in changes.items():
        *parts, last = name.split(".")
        place = forged
        for part in parts:
            place = place[part]
        place[last] = value

    assert Card.from_json(json.dumps(forged).encode()) is None


def test_law_tells_columns_whose_hash_is_stored_from_those_of_which_nothing_is() -> None:
    contract = load_contract("employees", DATA)
    names = list(contract.feature_names)[:2]
    columns = {
        name: column.model_copy(update={"personal": {names[0]: "hash", names[1]: True}.get(name, False)})
        for name, column in contract.columns.items()
    }

    text = " ".join(duty.here for duty in duties(contract.model_copy(update={"columns": columns})))

    assert f"a keyed hash is stored with predictions, a pseudonym and so still personal data: {names[0]}." in text
    assert f"nothing is stored with predictions: {names[1]}." in text
