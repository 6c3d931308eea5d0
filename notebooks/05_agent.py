# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # An agent that looks at pages
#
# With `VisualDocumentSearchTool` an agent can search documents, see the pages that were found, and
# open a part of a page at a higher resolution. Here LlamaIndex's `FunctionAgent` uses it.
#
# This notebook runs offline: the retriever uses the bundled `nano-colqwen2`, which matches printed
# words, and the language model is a script of three steps. **For real work** write
# `MODEL = "vidore/colqwen2-v1.0"` and give the agent a vision model that calls functions. The
# notebook needs PDFs in a folder `reports/`; copy `demo/documents/*.pdf` of the repository there.

# %%
from vdr_integrations.llama_index import (
    LateInteractionRetriever,
    PDFPageReader,
    VisualDocumentSearchTool,
)

MODEL = "nano-colqwen2"

retriever = LateInteractionRetriever.from_documents(
    PDFPageReader().load_data("reports/library-report.en.pdf"),
    index="agent-index",
    model_name=MODEL,
    similarity_top_k=2,
)
tool = VisualDocumentSearchTool(retriever)
print(tool.metadata.name)
print(tool.metadata.description)

# %% [markdown]
# ## The model
#
# A real model decides what to call. This one follows a script: it searches, opens the right half of
# the page that was found first, which has a chart, and answers. It keeps everything that it gets in
# `heard`.

# %%
import re

from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM

QUESTION = "What share of the budget was spent on salaries and heating?"
CHART = {"left": 0.45, "top": 0.2, "right": 1, "bottom": 1}
heard = []


def scripted(messages: list[ChatMessage], **_options: object) -> ChatMessage:
    """The next step of the script; it ignores the question."""
    heard.append(list(messages))
    if len(heard) == 1:
        arguments = {"question": QUESTION, "k": 1, "include_region": True}
    elif len(heard) == 2:
        (page_ref,) = re.findall(r"^page_ref: (\S+)$", messages[-1].content, re.MULTILINE)
        arguments = {"page_ref": page_ref, "region": CHART}
    else:
        said = "Salaries 48 %, heating 12 % (library report, page 3)."
        return ChatMessage(role="assistant", content=said)
    call = ToolCallBlock(
        tool_name=tool.metadata.name, tool_call_id=f"call-{len(heard)}", tool_kwargs=arguments
    )
    return ChatMessage(role="assistant", blocks=[call])


llm = MockFunctionCallingLLM(response_generator=scripted, is_chat_model=True)

# %%
from llama_index.core.agent.workflow import FunctionAgent

agent = FunctionAgent(tools=[tool], llm=llm, streaming=False)
answer = await agent.run(user_msg=QUESTION)
print(answer)

# %% [markdown]
# ## What the model was shown
#
# The reply to the search: a text that contains everything for a citation, the image of the page,
# and the region that matched best. Documents come from anywhere, so the excerpt is between marks
# that say that it is content of a document, not an instruction.

# %%
from io import BytesIO

from IPython.display import display
from PIL import Image


def show(message: ChatMessage) -> None:
    """Print texts, display images."""
    for block in message.blocks:
        if block.block_type == "text":
            print(block.text)
        elif block.block_type == "image":
            picture = BytesIO(block.resolve_image().read())
            display(Image.open(picture).convert("RGB"))


searched, opened = [message for message in heard[-1] if message.role == "tool"]
show(searched)

# %% [markdown]
# Then the model opened the chart on that page. It was drawn again from the PDF, at a higher
# resolution:

# %%
show(opened)

# %%
retriever.close()

# %% [markdown]
# If a call is wrong, the reply says what to do next, and the agent can continue. LangChain has the
# same tool for `create_agent`, and `vdr mcp --index agent-index` serves it to any MCP client.
# Limits, and what "untrusted" means: `docs/agents.md`.
