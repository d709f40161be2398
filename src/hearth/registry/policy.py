"""Which versions are loaded, and which decisions of the gate hold: what is signed, and what happens to what is not."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from hearth.errors import RefusedModel
from hearth.registry.model_files import MOST_BYTES
from hearth.registry.signing import Signed, Signer
from hearth.settings import ModelSettings, RegistrySettings

SIGNATURE, GATE, GATE_SIGNATURE = "hearth.signature", "hearth.gate", "hearth.gate_signature"
NOT_SIGNED = "not signed"

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelPolicy:
    """How versions are signed, whether one without a signature is refused, and how large a version may be."""

    signer: Signer = field(default_factory=lambda: Signer(()))
    requires_signatures: bool = False
    most_file_bytes: int = MOST_BYTES
    most_unpacked_bytes: int = MOST_BYTES

    @classmethod
    def of(cls, settings: RegistrySettings) -> Self:
        """Make the one of the environment; a process without the settings of models has no key, and in production it loads nothing."""
        if not isinstance(settings, ModelSettings):
            return cls(requires_signatures=settings.environment == "production")
        signer = Signer(settings.model_signing_key.get_secret_value().split())
        return cls(signer, settings.requires_signatures, settings.model_max_file_bytes, settings.model_max_unpacked_bytes)

    def version_tags(self, *, dataset: str, family: str, run_id: str, digest: str, files: Mapping[str, str]) -> dict[str, str]:
        """Return the tag that signs a new version; none without a key. `files` holds the SHA-256 of each file by name."""
        return {SIGNATURE: self.signer.sign(_version(dataset, family, run_id, digest, files))} if self.signer else {}

    def gate_tags(self, *, dataset: str, version: str, run_id: str, gate: str) -> dict[str, str]:
        """Return the tag that signs a decision of the gate; none without a key."""
        return {GATE_SIGNATURE: self.signer.sign(_gate(dataset, version, run_id, gate))} if self.signer else {}

    def check_version(  # noqa: PLR0913 - all are named
        self, where: str, tags: Mapping[str, str], *, dataset: str, family: str, run_id: str, digest: str, files: Mapping[str, str]
    ) -> bool:
        """Return whether a version has our signature; `where` names it in errors.

        Raises:
            RefusedModel: its files or its tags were changed after it was signed; or it has no signature of ours, and must have one.
        """
        state = self.signer.check(tags.get(SIGNATURE, ""), _version(dataset, family, run_id, digest, files))
        if state is Signed.CHANGED:
            raise RefusedModel(f"{where} was changed after it was signed: its files, data set, family, run or data differ. Train again.")
        if state is not Signed.YES and self.requires_signatures:
            raise RefusedModel(
                f"{where} is {state.value}, and only what our trainings signed is loaded. "
                f"Train again, or, if you know where it is from: hearth sign {where.removeprefix('models:/').replace('/', ' ')}."
            )
        if state is not Signed.YES and self.signer:
            _LOGGER.warning("%s is %s: anybody who reaches MLflow may have made it. Production would refuse it.", where, state.value)
        return state is Signed.YES

    def checked_tags(self, tags: Mapping[str, str], *, dataset: str, version: str, run_id: str) -> tuple[dict[str, str], bool]:
        """Return the tags with a forged decision of the gate replaced by `not signed`, and whether the decision has our signature."""
        gate = tags.get(GATE)
        if gate is None:
            return dict(tags), False
        state = self.signer.check(tags.get(GATE_SIGNATURE, ""), _gate(dataset, version, run_id, gate))
        holds = state is Signed.YES or (state is not Signed.CHANGED and not self.requires_signatures)
        return {**tags, **({} if holds else {GATE: NOT_SIGNED})}, state is Signed.YES


def _version(dataset: str, family: str, run_id: str, digest: str, files: Mapping[str, str]) -> dict[str, object]:
    return {"kind": "version", "dataset": dataset, "family": family, "run": run_id, "data": digest, "files": dict(files)}


def _gate(dataset: str, version: str, run_id: str, gate: str) -> dict[str, object]:
    return {"kind": "gate", "dataset": dataset, "version": version, "run": run_id, "gate": gate}
