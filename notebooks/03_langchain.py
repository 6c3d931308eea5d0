# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # LangChain: pages in any vector store
#
# `PDFPageLoader` loads a PDF as one document per page, and `VDREmbeddings` turns the *images* of
# the pages into vectors. LangChain's own vector stores and retrievers work with both.
#
# This notebook runs offline with the bundled `nano`, which matches printed words. **For real work**
# write `MODEL = "llamaindex/vdr-2b-multi-v1"`. The notebook needs PDFs in a folder `reports/`; copy
# `demo/documents/*.pdf` of the repository there.

# %%
from langchain_core.vectorstores import InMemoryVectorStore

from vdr_integrations.langchain import PDFPageLoader, VDREmbeddings

MODEL = "nano"

documents = PDFPageLoader("reports/library-report.en.pdf").load()
store = InMemoryVectorStore(VDREmbeddings(model=MODEL))
store.add_documents(documents)

first = documents[0]
print(first.page_content[:20], "...")
print({key: first.metadata[key] for key in ("source", "page_number", "total_pages")})

# %% [markdown]
# The content of a document is not text. It is a reference to an image in the *page store*, a folder
# on this machine. So vector stores, which embed only strings, embed pages.
#
# Any store makes a retriever:

# %%
QUESTION = "Which projects did the council approve for next year?"

retriever = store.as_retriever(search_kwargs={"k": 2})
found = retriever.invoke(QUESTION)
for document in found:
    print(document.metadata["source"], "page", document.metadata["page_number"])

# %% [markdown]
# ## From pages to a chat model
#
# `page_blocks` makes standard content blocks of the pages that were found: for each page its
# citation and its image.

# %%
import base64

from IPython.display import Image, display
from langchain_core.messages import HumanMessage

from vdr_integrations.langchain import page_blocks

message = HumanMessage(content_blocks=[{"type": "text", "text": QUESTION}, *page_blocks(found[:1])])
for block in message.content_blocks:
    if block["type"] == "text":
        print(block["text"])
    else:
        display(Image(base64.b64decode(block["base64"])))

# %% [markdown]
# ## A chain
#
# The same as a chain. The chat model at its end is one of LangChain's fakes, because this notebook
# is offline. For real use, write `init_chat_model("...")` with a vision model.

# %%
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda, RunnablePassthrough


def to_messages(asked: dict) -> list[HumanMessage]:
    """The question, then the pages."""
    text = {"type": "text", "text": asked["question"]}
    return [HumanMessage(content_blocks=[text, *page_blocks(asked["pages"])])]


model = FakeListChatModel(responses=["A new roof, a library van, solar panels and a garden."])
chain = (
    {"question": RunnablePassthrough(), "pages": retriever} | RunnableLambda(to_messages) | model
)
print(chain.invoke(QUESTION).content)

# %% [markdown]
# `page_key` is a `key_encoder` for LangChain's `index()`: if a file is loaded again, only pages
# that have changed are embedded again.
