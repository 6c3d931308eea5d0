"""What a language model sees of found pages: text that stands alone, and pictures in a budget."""

from vdr_integrations.index.agent_views.box import Box
from vdr_integrations.index.agent_views.encoded_picture import EncodedPicture, encode_picture
from vdr_integrations.index.agent_views.excerpt import excerpt
from vdr_integrations.index.agent_views.found_pages import FoundPage, FoundPages
from vdr_integrations.index.agent_views.limits import ViewLimits
from vdr_integrations.index.agent_views.page_pictures import PagePictures
from vdr_integrations.index.agent_views.replies import AgentViews, PictureLink, Reply, ReplyPart

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
