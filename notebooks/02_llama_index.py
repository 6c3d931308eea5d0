# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # LlamaIndex: pages as image nodes
#
# `PDFPageReader` reads a PDF as pages, `PDFPageNodeParser` makes image nodes of them, and
# `VDREmbedding` turns their *images* into vectors. Everything else is LlamaIndex, unchanged.
#
# This notebook runs offline with the bundled `nano`, which matches printed words. **For real work**
# write `MODEL = "llamaindex/vdr-2b-multi-v1"`. The notebook needs PDFs in a folder `reports/`; copy
# `demo/documents/*.pdf` of the repository there.

# %%
from IPython.display import display
from llama_index.core import VectorStoreIndex

from vdr_integrations import PageStore
from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

MODEL = "nano"

pages = PDFPageReader().load_data("reports/library-report.en.pdf")
index = VectorStoreIndex.from_documents(
    pages,
    transformations=[PDFPageNodeParser()],
    embed_model=VDREmbedding(model_name=MODEL),
)
print(len(pages), "pages")

# %% [markdown]
# The index makes a retriever. Hits are image nodes with file name, page label and the text layer.

# %%
QUESTION = "What share of the budget was spent on salaries and heating?"

retriever = index.as_retriever(similarity_top_k=2)
hits = retriever.retrieve(QUESTION)
for hit in hits:
    print(f"{hit.score:.3f}  {hit.metadata['file_name']}, page {hit.metadata['page_label']}")

# %% [markdown]
# Nodes, caches and vector stores do not hold images. They hold a reference to an image in the *page
# store*, a folder on this machine, so vector stores stay small. This is the page that was found:

# %%
display(PageStore().get(hits[0].metadata["page_ref"]).image)

# %% [markdown]
# ## A query engine that looks at pages
#
# With `multimodal=True`, LlamaIndex gives the page images to the language model. You can use any
# vision model of LlamaIndex here. To stay offline, this notebook uses LlamaIndex's own mock, which
# returns the words of the prompt and remembers its input: it shows what a real model would get.

# %%
from llama_index.core.llms.mock import MockLLMWithChatMemoryOfLastCall
from llama_index.core.query_engine import RetrieverQueryEngine

llm = MockLLMWithChatMemoryOfLastCall(is_chat_model=True)
best = index.as_retriever(similarity_top_k=1)
engine = RetrieverQueryEngine.from_args(best, llm=llm, multimodal=True)
answer = engine.query(QUESTION)

for message in llm.last_chat_messages:
    for block in message.blocks:
        if block.block_type == "image":
            print(f"[{message.role.value}] an image: {block.image_mimetype}")
        else:
            print(f"[{message.role.value}] {block.text.strip()}\n")

# %% [markdown]
# The answer contains its sources, for citations:

# %%
for hit in answer.source_nodes:
    print(hit.metadata["file_name"], "page", hit.metadata["page_number"])

# %% [markdown]
# In an `IngestionPipeline`, `PDFPageNodeParser()` and the embedding are ordinary transformations:
# caches, docstores and upserts work page by page.
