"""The table of settings: a file, the environment, the flags of `dragoman serve` and their help.

`max_rows` is a line of the file that DRAGOMAN_CONFIG or --config names, DRAGOMAN_MAX_ROWS and
--max-rows. A flag wins over the environment, that over the file. Built once, in `cli.py`.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.settings_file import nearest, read_secret, read_settings

PREFIX = "DRAGOMAN_"
BUNDLES = Path(__file__).parents[1] / "models" / "bundles"


class Settings(BaseSettings):
    """What an operator can choose."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX)

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 picks one.")] = (
        8000
    )
    max_connections: Annotated[
        int, Field(ge=1, description="Connections of clients at a time; more are refused.")
    ] = 1_000
    cors_origins: Annotated[
        str,
        Field(
            pattern=r"^(\*|https?://[^/,\s]+(,https?://[^/,\s]+)*)?$",
            description="Origins whose pages may call, such as https://one.example, separated "
            "by commas; * for all.",
        ),
    ] = ""
    trusted_proxies: Annotated[
        str,
        Field(
            description="Addresses or networks, separated by commas, whose X-Forwarded-For is "
            "believed; * for all."
        ),
    ] = "127.0.0.1,::1"
    bundles: Annotated[Path, Field(description="Folder that holds the published bundles.")] = (
        BUNDLES
    )
    data: Annotated[
        Path | None,
        Field(
            description="Folder for all that the service writes; if not given, dragoman in "
            "XDG_STATE_HOME or in ~/.local/state."
        ),
    ] = None
    database: Annotated[
        SecretStr | None,
        Field(
            description="URL of a PostgreSQL database; if not given, a SQLite file in the data "
            "folder."
        ),
    ] = None
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(description="Where models run; auto takes a GPU if the driver has one."),
    ] = "auto"
    variant: Annotated[
        Literal["auto", "fp32", "int8", "fp16"],
        Field(description="Rendering of the networks; auto takes the fastest for the device."),
    ] = "auto"
    shortlist: Annotated[
        Literal["auto", "on", "off"],
        Field(
            description="Whether a sentence chooses among the likely translations of its tokens "
            "only; auto where the bundle has them."
        ),
    ] = "auto"
    mode: Annotated[
        Literal["throughput", "latency"],
        Field(description="For latency, all CPU cores work on one batch instead of on several."),
    ] = "throughput"
    workers: Annotated[
        int,
        Field(
            ge=0,
            description="Decoding workers of a model; 0 means one for each CPU core, or one in all "
            "for latency and on a GPU.",
        ),
    ] = 0
    max_rows: Annotated[
        int, Field(ge=1, description="Rows decoded together; a beam of width K takes K rows.")
    ] = 64
    max_waiting_tokens: Annotated[
        int, Field(ge=1, description="Source tokens that may wait before new texts are refused.")
    ] = 32_768
    max_wait_seconds: Annotated[
        float, Field(gt=0, description="Longest predicted wait at which new texts are accepted.")
    ] = 4.0
    cache_sentences: Annotated[
        int,
        Field(
            ge=0,
            description="Decoded sentences of each model that are remembered and not decoded "
            "again, at some 4 kB each; 0 remembers none.",
        ),
    ] = 10_000
    keys: Annotated[
        Literal["off", "optional", "required"],
        Field(
            description="Whether callers need an API key; optional lets others in too, off takes "
            "no notice of keys."
        ),
    ] = "off"
    requests_per_minute: Annotated[
        int,
        Field(
            ge=0, description="Requests in a minute from one address without a key; 0: no limit."
        ),
    ] = 0
    characters_per_minute: Annotated[
        int,
        Field(
            ge=0, description="Characters in a minute from one address without a key; 0: no limit."
        ),
    ] = 0
    max_texts: Annotated[int, Field(ge=1, description="Texts in one request.")] = 256
    max_text_characters: Annotated[int, Field(ge=1, description="Characters in one text.")] = 50_000
    max_characters: Annotated[
        int, Field(ge=1, description="Characters in all texts of one request.")
    ] = 250_000
    max_body_bytes: Annotated[int, Field(ge=1, description="Bytes in the body of a request.")] = (
        1_048_576
    )
    max_beam: Annotated[int, Field(ge=1, description="Widest beam that a request may ask for.")] = (
        16
    )
    max_alternatives: Annotated[
        int, Field(ge=0, description="Alternatives that a request may ask for.")
    ] = 8
    max_tokens: Annotated[
        int, Field(ge=1, description="Target tokens of a sentence that a request may ask for.")
    ] = 1024
    max_attention_characters: Annotated[
        int,
        Field(ge=0, description="Characters of all texts of a request that asks for attention."),
    ] = 2_000
    max_file_bytes: Annotated[int, Field(ge=1, description="Bytes of an uploaded file.")] = (
        10_485_760
    )
    max_file_characters: Annotated[
        int, Field(ge=1, description="Characters to translate in a file.")
    ] = 1_000_000
    max_file_segments: Annotated[
        int, Field(ge=1, description="Parts of a file that are translated by themselves.")
    ] = 50_000
    max_documents: Annotated[
        int, Field(ge=1, description="Documents kept at a time, those that are done included.")
    ] = 1_000
    max_running_jobs: Annotated[
        int, Field(ge=1, description="Documents that are translated at a time.")
    ] = 2
    keep_documents_seconds: Annotated[
        float,
        Field(gt=0, description="Time for which a document is kept that nothing is done to."),
    ] = 86_400.0
    max_batch_bytes: Annotated[int, Field(ge=1, description="Bytes of an uploaded batch.")] = (
        1_073_741_824
    )
    max_batch_lines: Annotated[
        int, Field(ge=1, description="Lines of a batch, or rows, or units of a TMX.")
    ] = 2_000_000
    max_batches: Annotated[
        int, Field(ge=1, description="Batches kept at a time, those that are done included.")
    ] = 100
    keep_batches_seconds: Annotated[
        float, Field(gt=0, description="Time for which a batch is kept that nothing is done to.")
    ] = 86_400.0
    max_running_batches: Annotated[
        int, Field(ge=1, description="Batches that are translated at a time.")
    ] = 1
    test_sets: Annotated[
        Path | None,
        Field(
            description="Folder of test sets, files NAME.LANGUAGE; if not given, test-sets in the "
            "data folder."
        ),
    ] = None
    max_evaluation_bytes: Annotated[
        int, Field(ge=1, description="Bytes of a request for an evaluation, with all its lines.")
    ] = 67_108_864
    max_evaluation_lines: Annotated[
        int, Field(ge=1, description="Lines of the source of an evaluation.")
    ] = 100_000
    max_evaluations: Annotated[
        int, Field(ge=1, description="Evaluations kept at a time, those that are done included.")
    ] = 1_000
    max_running_evaluations: Annotated[
        int, Field(ge=1, description="Evaluations that are worked on at a time.")
    ] = 1
    keep_evaluations_seconds: Annotated[
        float,
        Field(gt=0, description="Time for which an evaluation is kept that nothing is done to."),
    ] = 604_800.0
    suggestions: Annotated[
        Literal["on", "off"],
        Field(
            description="Whether better translations that callers suggest are kept, in "
            "suggestions.jsonl of the data folder."
        ),
    ] = "off"
    max_glossaries: Annotated[int, Field(ge=0, description="Glossaries of one caller.")] = 1000
    max_glossary_entries: Annotated[
        int, Field(ge=1, description="Entries of a glossary, in all of its dictionaries.")
    ] = 10_000
    max_term_characters: Annotated[
        int, Field(ge=1, description="Characters in either side of an entry of a glossary.")
    ] = 256
    reload_seconds: Annotated[
        float,
        Field(ge=0, description="Time between looks for new bundles; 0 means only at SIGHUP."),
    ] = 10.0
    promotion: Annotated[
        Literal["newest", "evaluated"],
        Field(
            description="Which version of a model serves: the newest, or the one that was promoted "
            "after an evaluation."
        ),
    ] = "newest"
    drain_seconds: Annotated[
        float, Field(ge=0, description="Grace given to accepted work at shutdown.")
    ] = 30.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="Least level of the events that are logged."),
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"], Field(description="JSON lines, or lines for a person to read.")
    ] = "json"
    traces: Annotated[
        str,
        Field(
            pattern=r"^(https?://\S+)?$",
            description="Address of a collector of traces that speaks OTLP over HTTP, such as "
            "http://127.0.0.1:4318/v1/traces; needs the extra otel.",
        ),
    ] = ""
    traces_ratio: Annotated[
        float,
        Field(ge=0, le=1, description="Share of traces that are kept, of those that begin here."),
    ] = 1.0

    @property
    def origins(self) -> list[str]:
        """Those of `cors_origins`."""
        return self.cors_origins.split(",") if self.cors_origins else []

    @property
    def data_folder(self) -> Path:
        """The folder for all that the service writes, which need not exist yet."""
        if self.data:
            return self.data
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(state) / "dragoman"

    @property
    def database_url(self) -> str | None:
        """The secret itself."""
        return self.database.get_secret_value() if self.database else None

    @classmethod
    def load(cls, config: Path | None = None, **flags: Any) -> Self:  # noqa: ANN401  # many types
        """Build the settings from flags, the environment, a file and the defaults.

        A flag that is None was not given.

        Args:
            config: the file; the one that DRAGOMAN_CONFIG names if not given.

        Raises:
            ValueError: a value or a name is wrong; one line for each, which names the flag, the
                variable or the file.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        path = config or (Path(named) if (named := os.environ.get(CONFIG)) else None)
        in_file = read_settings(path, cls.model_fields, SECRETS) if path else {}
        variables = {variable.upper() for variable in os.environ}
        spoken = {name: f"{path}: {name}" for name in in_file}
        for name in cls.model_fields:
            variable = f"{PREFIX}{name.upper()}"
            if name not in in_file or {variable, f"{variable}_FILE"} & variables:
                in_file.pop(name, None)
                spoken[name] = variable
        spoken |= {name: f"--{name.replace('_', '-')}" for name in given}
        try:
            return cls(**{**in_file, **given})
        except ValidationError as error:
            lines = [f"{spoken[str(e['loc'][0])]}: {e['msg']}" for e in error.errors()]
        raise ValueError("\n".join(lines))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take flags, environment and files of secrets only; refuse names that nobody knows."""
        _refuse_unknown_names(cls)
        return init_settings, env_settings, _SecretFiles(cls)


SECRETS = {
    name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
}
"""Settings that are never shown, have no flag, and may be in a file: DRAGOMAN_NAME_FILE."""


class _SecretFiles(PydanticBaseSettingsSource):
    """The content of the file that DRAGOMAN_NAME_FILE names, without a line end, as NAME."""

    def __call__(self) -> dict[str, str]:
        values = (self.get_field_value(f, n) for n, f in self.settings_cls.model_fields.items())
        return {name: value for value, name, _ in values if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        variable = f"{PREFIX}{field_name.upper()}"
        path = os.environ.get(f"{variable}_FILE")
        if path is None or field_name not in SECRETS:
            return None, field_name, False
        if variable in os.environ:
            raise ValueError(f"{variable} and {variable}_FILE are both given")
        return read_secret(f"{variable}_FILE", path), field_name, False


CONFIG = f"{PREFIX}CONFIG"
"""Names the file of settings."""
ASKING = {"server", "api_key", "api_key_file"}
"""Names for commands that ask a server, which has no use for them."""


def _refuse_unknown_names(settings: type[BaseSettings]) -> None:
    for variable in sorted(os.environ):
        name = variable.lower().removeprefix(PREFIX.lower())
        if name.removesuffix("_file") in SECRETS or name in ASKING or variable.upper() == CONFIG:
            continue
        if name != variable.lower() and name not in settings.model_fields:
            hint = nearest(name, settings.model_fields, PREFIX)
            raise ValueError(f"{variable} is not a setting{hint}")
