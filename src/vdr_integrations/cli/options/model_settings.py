"""Which model an index is used with."""

from vdr_integrations.encoders import EncoderOptions as ModelSettings
from vdr_integrations.retrieval.encoder_choice import DEFAULT_DENSE_MODEL as DEFAULT_MODEL
from vdr_integrations.retrieval.encoder_choice import DEFAULT_LATE_MODEL

__all__ = ["DEFAULT_LATE_MODEL", "DEFAULT_MODEL", "ModelSettings"]
