"""Shows found pages to a language model: text that needs no image, and images within limits."""

from vdr_integrations.agents.encoded_picture import EncodedPicture, encode_picture
from vdr_integrations.agents.excerpt import excerpt
from vdr_integrations.agents.found_pages import FoundPages
from vdr_integrations.agents.replies import (
    AgentViews,
    PictureLink,
    Reply,
    ReplyPart,
    cited,
)
from vdr_integrations.agents.view_limits import ViewLimits

__all__ = [
    "AgentViews",
    "EncodedPicture",
    "FoundPages",
    "PictureLink",
    "Reply",
    "ReplyPart",
    "ViewLimits",
    "cited",
    "encode_picture",
    "excerpt",
]
