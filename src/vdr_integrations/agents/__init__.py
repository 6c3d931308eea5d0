"""What a language model sees of found pages: text that stands alone, and pictures in a budget."""

from vdr_integrations.agents.box import Box
from vdr_integrations.agents.encoded_picture import EncodedPicture, encode_picture
from vdr_integrations.agents.excerpt import excerpt
from vdr_integrations.agents.found_pages import FoundPage, FoundPages
from vdr_integrations.agents.page_pictures import PagePictures
from vdr_integrations.agents.replies import AgentViews, PictureLink, Reply, ReplyPart
from vdr_integrations.agents.view_limits import ViewLimits

__all__ = [
    "AgentViews",
    "Box",
    "EncodedPicture",
    "FoundPage",
    "FoundPages",
    "PagePictures",
    "PictureLink",
    "Reply",
    "ReplyPart",
    "ViewLimits",
    "encode_picture",
    "excerpt",
]
