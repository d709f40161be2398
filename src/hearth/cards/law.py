"""What law asks of models that are about people: Regulation (EU) 2024/1689 (the AI Act) and Regulation (EU) 2016/679 (the GDPR).

The texts are short forms of the articles, written down on 29 November 2026, and are no legal advice. Source of the articles: EUR-Lex,
CELEX 32024R1689 and 32016R0679.
"""

from collections.abc import Mapping

from hearth.cards.card import Duty
from hearth.contracts import Contract
from hearth.contracts.card_words import Area

NO_ADVICE = (
    "This is no legal advice. It names articles of the EU's AI Act (Regulation (EU) 2024/1689) and of the GDPR (Regulation (EU) 2016/679) "
    "that may hold for a use like the intended one. Whether they do, and from when (Article 113 of the AI Act, as amended), is for those "
    "to find out who deploy the model."
)

_HIGH_RISK: Mapping[Area, tuple[str, str]] = {
    "employment": (
        "AI Act, Article 6(2) and Annex III, point 4",
        (
            "Systems to recruit people, to decide on terms, promotion or end of work, to allocate tasks by behaviour or traits, or to "
            "monitor and evaluate performance and behaviour of staff are high-risk. Article 6(3) has exceptions, none for profiling."
        ),
    ),
    "education": (
        "AI Act, Article 6(2) and Annex III, point 3",
        "Systems that decide on admission, evaluate learning outcomes, or watch people in tests are high-risk.",
    ),
    "essential_services": (
        "AI Act, Article 6(2) and Annex III, point 5",
        "Systems that decide on public benefits, creditworthiness, or the price of life and health insurance are high-risk.",
    ),
    "medical": (
        "AI Act, Article 6(1) and Annex I",
        "Systems that are, or are part of, a medical device (Regulation (EU) 2017/745) which a notified body has to assess are high-risk.",
    ),
}
_EXPLANATION = Duty(
    "AI Act, Articles 26(11) and 86",
    "People are informed that such a system is used in decisions about them, and can ask for an explanation.",
    "Explanations of single predictions are answered by /explain; to inform people is up to whoever deploys it.",
)
_EMPLOYER = Duty(
    "AI Act, Article 26(7)",
    "Employers inform workers' representatives and the workers concerned before a high-risk system is used at the workplace.",
    "Not part of this software: whoever deploys it.",
)


def duties(contract: Contract) -> tuple[Duty, ...]:
    """Return what law asks of the use of a data set's models; nothing for data that are not about people."""
    if not contract.concerns_people:
        return ()
    area = contract.card.area
    if area == "none":
        return _of_every_person(contract)
    where, asks = _HIGH_RISK[area]
    stated = "The intended use is stated above." if contract.card.intended_use else "No intended use is stated: add card.intended_use."
    high_risk = (
        Duty(where, asks, f"The contract names this area. {stated}"),
        Duty(
            "AI Act, Articles 9 and 10",
            "Risks are managed over the whole life of the system; data are governed and examined for gaps and biases.",
            "Checks of the data, the bounds of the gate and the groups of this card are a part of it, not the whole.",
        ),
        Duty(
            "AI Act, Article 11 and Annex IV",
            "There is technical documentation before the system is put into service.",
            "This card covers purpose, data, metrics, limits and versions; Annex IV asks for more.",
        ),
        Duty(
            "AI Act, Articles 12, 19 and 26(6)",
            "Events are logged automatically; logs are kept for at least six months unless other law says otherwise.",
            "Predictions are stored with time, version and request (HEARTH_RECORD_PREDICTIONS). HEARTH_PREDICTIONS_KEEP_DAYS has to be "
            "at least 183, or 0.",
        ),
        Duty(
            "AI Act, Article 13",
            "Deployers get instructions: purpose, accuracy and its limits, performance for groups of people, input data, oversight.",
            "These are the sections of this card.",
        ),
        Duty(
            "AI Act, Articles 14 and 26(2)",
            "People who are competent oversee the system and can disregard or override it.",
            contract.card.oversight or "No oversight is stated: add card.oversight.",
        ),
        Duty(
            "AI Act, Article 15",
            "The system is accurate, robust and secure enough for its purpose, and says how accurate it is.",
            "Metrics with intervals, calibration, and where it fails most are in this card.",
        ),
    )
    annex_three = () if area == "medical" else (_EXPLANATION,)
    return (*high_risk, *annex_three, *((_EMPLOYER,) if area == "employment" else ()), *_of_every_person(contract))


def _of_every_person(contract: Contract) -> tuple[Duty, ...]:
    hashed = ", ".join(sorted(contract.hashed_columns))
    left_out = ", ".join(sorted(contract.personal_columns - contract.hashed_columns))
    stored = (
        f"Personal columns of which a keyed hash is stored with predictions, a pseudonym and so still personal data: {hashed}."
        * bool(hashed),
        f"Personal columns of which nothing is stored with predictions: {left_out}." * bool(left_out),
    )
    personal = " ".join(filter(None, stored)) or "No column is marked personal."
    return (
        Duty(
            "GDPR, Articles 5 and 6",
            "Personal data are processed lawfully, for a stated purpose, and no more of them than needed.",
            personal,
        ),
        Duty(
            "GDPR, Article 9",
            "Data that concern health, and other special categories, need a ground of their own.",
            "Whether a column or the predicted class is such data is not known to this software.",
        ),
        Duty(
            "GDPR, Articles 22 and 35",
            "Nobody is subject to a serious decision by a machine alone, with exceptions; risky uses are assessed first.",
            "A prediction is no decision: see oversight and intended use.",
        ),
    )
