"""`objective:` of a training entry: one term, or a list of weighted terms whose sum is minimised.

A term is a formula with options, not the name of a paper; `docs/objectives.md` says which options are which paper's
loss. The formulas themselves are in `train/objectives/`. A combination that is ill-defined is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Field, model_validator

from pairmill.spec.base import Model

Side = Literal["anchor", "positive"]
Direction = Literal["a2p", "p2a", "a2a", "p2p"]


class LearnedTemperature(Model):
    """A temperature that is trained with the model, as log(1 / temperature), and kept between two bounds."""

    initial: float = Field(0.05, gt=0, le=1)
    min: float = Field(0.01, gt=0, le=1, description="CLIP's bound is 0.01.")
    max: float = Field(1.0, gt=0, le=10)

    @model_validator(mode="after")
    def _initial_within_bounds(self) -> LearnedTemperature:
        if not self.min <= self.initial <= self.max:
            raise ValueError(f"initial {self.initial:g} is not between min {self.min:g} and max {self.max:g}")
        return self


Temperature = Annotated[float, Field(gt=0, le=10)] | LearnedTemperature


class FalseNegatives(Model):
    """Which texts of other rows are no negatives. A row's own positive is never masked."""

    same_text: bool = Field(
        True,
        description="Rows that share a text on either side are no negatives of each other, "
        "nor is a hard negative that is the row's own anchor or positive.",
    )
    same_label: bool = Field(False, description="Rows of one label are no negatives of each other.")
    margin: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Masks what is more similar than the positive less the margin. Typical: 0.05 (NV-Retriever, "
        "relative), 0 (GISTEmbed), -0.1 (only what is above the positive by 0.1).",
    )
    kind: Literal["absolute", "relative"] = Field(
        "absolute", description="relative: the margin is a share of the positive's similarity."
    )
    judge: Literal["model", "guide"] = Field(
        "model", description="Whose similarities the margin looks at: the trained model's, or a frozen guide's."
    )

    @model_validator(mode="after")
    def _guide_has_a_margin(self) -> FalseNegatives:
        if self.margin is None and (self.judge, self.kind) != ("model", "absolute"):
            raise ValueError("judge and kind need a margin: write margin: 0 to mask what is above the positive")
        return self


class Term(Model):
    """What all terms have: a weight in the sum."""

    weight: float = Field(1.0, gt=0, description="Factor of this term in the sum.")

    def needs(self) -> frozenset[str]:
        """Which fields of Embedded and Meta, beyond anchors, a batch must have (`same_text` takes the ids it finds)."""
        return frozenset()


class Contrastive(Term):
    """Softmax cross-entropy of the positive among the batch's texts. Cosine similarity."""

    name: Literal["contrastive"] = "contrastive"
    directions: list[Direction] = Field(
        ["a2p"],
        min_length=1,
        description="Rows of similarities in the denominator: anchor to positives (with hard negatives), positive to "
        "anchors, anchor to anchors, positive to positives.",
    )
    partition: Literal["joint", "per_direction"] = Field(
        "joint", description="joint: one denominator over all directions; per_direction: one each, losses averaged."
    )
    negatives: Literal["batch", "own", "off"] | None = Field(
        None,
        description="Hard negatives in a2p: of the whole batch, of the row only, or none. "
        "Default: those there are, of the batch, or own with same_label; none without a2p.",
    )
    temperature: Temperature = Field(0.05, description="A number, or {initial:, min:, max:} to learn it.")
    false_negatives: FalseNegatives = FalseNegatives()

    @property
    def hard_negatives(self) -> Literal["batch", "own", "off"]:
        """`negatives` with its default filled in."""
        if self.negatives is not None:
            return self.negatives
        if "a2p" not in self.directions:
            return "off"
        return "own" if self.false_negatives.same_label else "batch"

    @model_validator(mode="after")
    def _well_defined(self) -> Contrastive:
        if len(set(self.directions)) != len(self.directions):
            raise ValueError("directions: a direction stands twice. Each may be named once")
        within = [direction for direction in self.directions if direction in ("a2a", "p2p")]
        if len(within) == len(self.directions):
            raise ValueError(
                f"directions: {', '.join(within)} alone never compares a row with its positive, so the loss has no "
                "minimum. Add a2p or p2a"
            )
        if within and self.partition == "per_direction":
            raise ValueError(
                f"partition: per_direction with {', '.join(within)}: a denominator of its own would hold no positive, "
                "so its loss has no minimum. Use partition: joint, or leave the direction out"
            )
        if self.hard_negatives != "off" and "a2p" not in self.directions:
            raise ValueError(
                f"negatives: {self.negatives}: hard negatives belong to anchors and stand in the denominator of a2p, "
                "which directions lacks. Add a2p, or write negatives: off"
            )
        if self.hard_negatives == "batch" and self.false_negatives.same_label:
            raise ValueError(
                "negatives: batch with same_label: other rows' hard negatives may be of the row's own label. "
                "Use negatives: own or off"
            )
        return self

    def needs(self) -> frozenset[str]:
        label = {"label"} if self.false_negatives.same_label else set()
        guide = {"teacher_anchor", "teacher_positive"} if self.false_negatives.judge == "guide" else set()
        negatives = {"negatives"} if self.negatives in ("batch", "own") else set()
        return frozenset({"positive"} | label | guide | negatives)


class SupervisedContrastive(Term):
    """Anchors of one label attract, all others repel (Khosla et al. 2020, equation 2)."""

    name: Literal["supervised_contrastive"] = "supervised_contrastive"
    temperature: Temperature = Field(0.1, description="A number, or {initial:, min:, max:} to learn it.")

    def needs(self) -> frozenset[str]:
        return frozenset({"label"})


class Pearson(Term):
    """Negative Pearson correlation of cosine and gold score over the batch."""

    name: Literal["pearson"] = "pearson"

    def needs(self) -> frozenset[str]:
        return frozenset({"positive", "score"})


class MeanSquaredError(Term):
    """Squared difference of cosine and gold score."""

    name: Literal["mse"] = "mse"
    scale: tuple[float, float] = Field(
        (0.0, 1.0), description="Lowest and highest gold score; brought to 0..1. The builder `sts` has done so already."
    )

    @model_validator(mode="after")
    def _scale_rises(self) -> MeanSquaredError:
        if self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale: {self.scale[0]:g} is not below {self.scale[1]:g}. Write [lowest, highest]")
        return self

    def needs(self) -> frozenset[str]:
        return frozenset({"positive", "score"})


class CoSent(Term):
    """Ranks the cosines of a batch as the gold scores do."""

    name: Literal["cosent"] = "cosent"
    temperature: float = Field(0.05, gt=0, le=10)

    def needs(self) -> frozenset[str]:
        return frozenset({"positive", "score"})


class ScoreDistillation(Term):
    """Kullback-Leibler divergence from a cross-encoder's scores of the positive and its hard negatives."""

    name: Literal["score_distillation"] = "score_distillation"
    temperature: float = Field(0.05, gt=0, le=10, description="Of the model's cosines.")
    teacher_temperature: float = Field(1.0, gt=0, le=100, description="Of the cross-encoder's scores.")

    def needs(self) -> frozenset[str]:
        return frozenset({"positive", "negatives", "scores"})


class EmbeddingDistillation(Term):
    """The student's embeddings follow a frozen teacher's."""

    name: Literal["embedding_distillation"] = "embedding_distillation"
    teacher_side: Literal["anchor", "positive", "own"] = Field(
        description="The side the teacher reads, such as the English one; own: each side follows the teacher's own "
        "embedding of it."
    )
    student_sides: list[Side] = Field(["anchor", "positive"], min_length=1, description="The sides that follow.")
    metric: Literal["mse", "cosine", "contrastive"] = Field(
        "mse", description="contrastive: the teacher's embedding must be found among those of the whole batch."
    )
    normalize: bool = Field(True, description="mse: compare unit vectors. The other metrics always do.")
    temperature: float | None = Field(None, gt=0, le=10, description="contrastive: default 0.05.")

    @model_validator(mode="after")
    def _sides_once(self) -> EmbeddingDistillation:
        if self.temperature is not None and self.metric != "contrastive":
            raise ValueError(f"temperature has no effect with metric: {self.metric}. Leave it out, or use contrastive")
        if len(set(self.student_sides)) != len(self.student_sides):
            raise ValueError("student_sides: a side stands twice. Write anchor, positive or both")
        return self

    def needs(self) -> frozenset[str]:
        teachers = self.student_sides if self.teacher_side == "own" else [self.teacher_side]
        return frozenset({f"teacher_{side}" for side in teachers} | {*self.student_sides} - {"anchor"})


class CrossLingualDistillation(Term):
    """CLFT: the English side stays with the teacher, the other side comes to the English one."""

    name: Literal["clft"] = "clft"
    teacher_side: Side = Field(description="The side the teacher knows: the English one.")
    beta: float = Field(0.4, gt=0, description="Weight of the cross-lingual part.")

    def needs(self) -> frozenset[str]:
        return frozenset({"positive", f"teacher_{self.teacher_side}"})


TERMS: tuple[type[Term], ...] = (
    Contrastive,
    SupervisedContrastive,
    Pearson,
    MeanSquaredError,
    CoSent,
    ScoreDistillation,
    EmbeddingDistillation,
    CrossLingualDistillation,
)


def _as_terms(value: Any) -> Any:
    """One term may stand alone, and a name alone for a term with its defaults."""
    values = value if isinstance(value, list) else [value]
    return [{"name": item} if isinstance(item, str) else item for item in values]


if TYPE_CHECKING:
    AnyTerm = Term
else:
    AnyTerm = Annotated[Union[TERMS], Field(discriminator="name")]  # noqa: UP007
#: `objective:` of an entry.
Terms = Annotated[list[AnyTerm], BeforeValidator(_as_terms), Field(min_length=1)]


class Matryoshka(Model):
    """The objective on prefixes of the embeddings as well (Kusupati et al. 2022)."""

    dims: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1, description="Lengths of the prefixes, the full one included: [384, 256, 128, 64]."
    )
    weights: list[Annotated[float, Field(gt=0)]] | None = Field(None, description="One per length. Default: 1 each.")

    @model_validator(mode="after")
    def _one_weight_each(self) -> Matryoshka:
        if len(set(self.dims)) != len(self.dims):
            raise ValueError("dims: a length stands twice. Each may be named once")
        if self.weights is not None and len(self.weights) != len(self.dims):
            raise ValueError(f"weights: {len(self.weights)} for {len(self.dims)} dims. Write one for each, or none")
        return self


def needs(terms: Sequence[Term]) -> frozenset[str]:
    """Which fields of Embedded and Meta, beyond anchors, the batches of these terms must have."""
    return frozenset().union(*(term.needs() for term in terms))
