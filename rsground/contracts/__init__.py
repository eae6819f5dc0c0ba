"""What a plugin subclasses. Callers use the public methods, authors write the underscored ones."""

from rsground.contracts.backbone import Backbone, Prompt
from rsground.contracts.dataset import BrokenRecord, Dataset
from rsground.contracts.executor import Executor, Job, Notice, Outcome
from rsground.contracts.head import Head, TextHead, TokenHead, Training
from rsground.contracts.metric import Columns, Metric
from rsground.contracts.preprocessor import Preprocessor
from rsground.contracts.segmenter import MaskPrompt, Segmenter

__all__ = [
    "Backbone",
    "BrokenRecord",
    "Columns",
    "Dataset",
    "Executor",
    "Head",
    "Job",
    "MaskPrompt",
    "Metric",
    "Notice",
    "Outcome",
    "Preprocessor",
    "Prompt",
    "Segmenter",
    "TextHead",
    "TokenHead",
    "Training",
]
