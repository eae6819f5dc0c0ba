"""A small vision-language model made of transformers' parts, known to its Auto classes once this is imported."""

from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from rsground.models.tower_lm.config import TowerLMConfig
from rsground.models.tower_lm.modeling import TowerLM
from rsground.models.tower_lm.processor import TowerLMProcessor

AutoConfig.register(TowerLMConfig.model_type, TowerLMConfig, exist_ok=True)
AutoModelForImageTextToText.register(TowerLMConfig, TowerLM, exist_ok=True)
AutoProcessor.register(TowerLMConfig, TowerLMProcessor, exist_ok=True)  # type: ignore[no-untyped-call]

__all__ = ["TowerLM", "TowerLMConfig", "TowerLMProcessor"]
