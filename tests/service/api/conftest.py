import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from models.bundle import Decoding, Direction
from service.app import create_app
from service.engine import (
    Detection,
    FinishedSentence,
    ModelDescription,
    Score,
    SentenceAttention,
    SentenceScore,
    TokenScore,
    Translation,
    TranslationOptions,
)
from service.errors import UnknownModel, UnsupportedPair
from service.keyring import new_key
from service.settings import Settings
from service.store import Allowance, Keys

DECODING = Decoding(
    beam=4, length_penalty=0.6, max_source_tokens=24, max_target_factor=1.5, max_target_extra=4
)
PAIRS = {("de", "en"), ("en", "de")}
ATTENTION = SentenceAttention(["<2en>", "a", "</s>"], ["A", "</s>"], [[0.1, 0.8, 0.1], [0, 0, 1]])


class ShoutingTranslator:
    """Translates by capitals, so what it must say is known without a model."""

    defaults = DECODING

    def __init__(
        self, models: "ShoutingModels", source: str, target: str, version: str = "1"
    ) -> None:
        self._models = models
        self.source, self.target, self.model = source, target, f"shout/{version}"

    async def stream(self, text: str, request: TranslationOptions):
        """Yield the words as if each were a sentence, the last one first."""
        words = [(match.span(), match[0].upper()) for match in re.finditer(r"\S+", text)]
        for i, (span, word) in reversed(list(enumerate(words))):
            await self._models.on_sentence(i)
            yield FinishedSentence(i, len(words), span, word, -0.5, 0.9, "eos")
        yield await self.translate(text, request)

    async def score(self, text: str, translation: str, request: TranslationOptions) -> Score:
        """Find that a translation is the less likely, the longer it is."""
        self._models.options.append(request)
        await self._models.on_translate()
        spans = (0, len(text)), (0, len(translation))
        total = -float(len(translation))
        tokens = (TokenScore(0, len(translation), total), TokenScore(*spans[1][1:] * 2, 0.0))
        sentence = SentenceScore(*spans, total / 2, total, 0.25, tokens)
        return Score(self.source, self.target, self.model, total, 2, total / 2, 0.25, (sentence,))

    async def translate(self, text: str, request: TranslationOptions) -> Translation:
        self._models.options.append(request)
        try:
            await self._models.on_translate()
        except asyncio.CancelledError:
            self._models.num_cancelled += 1
            raise
        if self._models.answers:
            return self._models.answers.pop(0)
        others = [f"{text.upper()}{'!' * (i + 1)}" for i in range(request.alternatives)]
        return Translation(
            text=text.upper(),
            source=self.source,
            target=self.target,
            model="shout/1",
            score=-0.5,
            finish_reason="eos",
            alternatives=others,
            attention=[ATTENTION] if request.attention else None,
        )

    def translate_all(
        self, texts: Iterable[str], options: TranslationOptions
    ) -> Iterator[Translation]:
        for text in texts:
            self._models.options.append(options)
            self._models.before_each()
            if self._models.answers:
                yield self._models.answers.pop(0)
                continue
            yield Translation(
                text=text.upper() if self.model == "shout/1" else text.title(),
                source=self.source,
                target=self.target,
                model=self.model,
                score=-0.5,
                finish_reason="eos",
                alternatives=[],
            )


@dataclass(frozen=True)
class LentModel:
    """One version of the model; the second one shouts less."""

    models: "ShoutingModels"
    version: str

    def find(self, source: str, target: str) -> ShoutingTranslator:
        found = self.models.find(source, target)
        return ShoutingTranslator(self.models, found.source, found.target, self.version)

    def describe(self) -> list[ModelDescription]:
        directions = [Direction(source=source, target=target) for source, target in sorted(PAIRS)]
        how = {"variant": "int8", "provider": "CPUExecutionProvider", "sha256": self.version * 64}
        return [ModelDescription("shout", self.version, directions, parameters=1, scores=[], **how)]


@dataclass
class ShoutingModels:
    """German, recognised by its umlauts, and English; it is its own library."""

    is_alive: bool = True
    has_started: bool = True
    is_closed: bool = False
    what_is_wrong: list[str] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    models: list[object] = field(default_factory=list)
    num_cancelled: int = 0
    options: list[TranslationOptions] = field(default_factory=list)
    answers: list[Translation] = field(default_factory=list)
    """What a test wants translations to be; capitals when there are none left."""
    published: set[str] = field(default_factory=lambda: {"1", "2"})
    """In the folder; the first serves."""

    def before_each(self) -> None:
        """Do what a test has put in the way of each of many texts; nothing if it has not."""

    def identify(self, name: str, version: str | None = None) -> tuple[str, str]:
        if name != "shout" or (version or "1") not in self.published:
            raise UnknownModel(f"there is no model {name} {version}")
        return name, version or "1"

    @contextmanager
    def lend(
        self, name: str, version: str | None = None, *, yields: bool = True
    ) -> Iterator[LentModel]:
        yield LentModel(self, self.identify(name, version)[1])

    async def on_translate(self) -> None:
        """Do what a test has put in the way of each translation; nothing if it has not."""

    async def on_sentence(self, index: int) -> None:
        """Do the same before each sentence of a stream."""

    def find(self, source: str, target: str) -> ShoutingTranslator:
        pair = source[:2].lower(), target[:2].lower()
        if pair not in PAIRS:
            raise UnsupportedPair(f"{source}-{target} is not served")
        return ShoutingTranslator(self, *pair)

    def detect(self, text: str) -> Detection:
        return Detection(language="de" if set(text) & set("äöüß") else "en", confidence=1.0)

    def detect_all(self, text: str, best: int) -> list[Detection]:
        first = self.detect(text).language
        return [Detection(first, 0.75), Detection({"de": "en", "en": "de"}[first], 0.25)][:best]

    def pivots(self) -> dict[tuple[str, str], str]:
        return {}

    def languages(self) -> dict[str, list[str]]:
        return {"de": ["en"], "en": ["de"]}

    def describe(self) -> list[object]:
        return self.models

    def start(self) -> None:
        """Nothing needs to be loaded."""

    @contextmanager
    def hold(self) -> Iterator["ShoutingModels"]:
        yield self

    def pin(self, versions: Mapping[str, str]) -> Future[None]:
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def serving(self) -> dict[str, str]:
        return {"shout": "1"}

    def versions(self, name: str) -> list[str]:
        self.identify(name)
        return sorted(self.published)

    def troubles(self) -> list[str]:
        return self.what_is_wrong

    def refused(self) -> dict[str, str]:
        return self.refusals

    def close(self, timeout_seconds: float) -> None:
        self.is_closed = True


@pytest.fixture
def models() -> ShoutingModels:
    return ShoutingModels()


@pytest.fixture
def app(models, tmp_path):
    settings = Settings(
        data=tmp_path,
        max_texts=3,
        max_text_characters=20,
        max_body_bytes=1000,
        max_beam=4,
        max_alternatives=3,
        max_tokens=50,
        max_attention_characters=10,
    )
    return create_app(settings, models)


@pytest.fixture
def client(app) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def keyed(models, tmp_path):
    """A client of a server that requires keys, and a way to make some."""
    app = create_app(Settings(keys="required", data=tmp_path), models)
    keys = Keys(app.state.store)

    def make(*scopes: str, **allowance) -> str:
        key, record = new_key("test", scopes, Allowance(**allowance), datetime.now(UTC), None)
        keys.add(record)
        return key

    with TestClient(app, raise_server_exceptions=False) as client:
        client.make, client.keys = make, keys
        yield client
