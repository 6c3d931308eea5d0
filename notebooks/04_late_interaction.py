# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Late interaction: which words, and where
#
# One vector has to sum a whole page up. ColQwen2 keeps a vector for every place on it, and each
# word of a question looks for the place that matches it best; the matches are added (*MaxSim*).
# That is finer, and it can be drawn: you see where on the page an answer was found.
#
# This notebook runs offline with the bundled `nano-colqwen2`, which matches printed words. **For
# real work** write `MODEL = "vidore/colqwen2-v1.0"` (4.4 GB, downloaded once). It expects PDFs in a
# folder `reports/`; copy `demo/documents/*.pdf` of the repository there.

# %%
from IPython.display import display

from vdr_integrations import MultiVectorEncoder, PageSearcher
from vdr_integrations.index import sync_index

MODEL = "nano-colqwen2"
FILE = "reports/library-report.en.pdf"
QUESTION = "How many librarians and volunteers does each branch have?"

encoder = MultiVectorEncoder.load(MODEL)
searcher = PageSearcher("late-index", encoder=encoder)
index = searcher.create()  # makes the folder, or opens the index that is in it
first = sync_index(index, encoder, [FILE])
again = sync_index(index, encoder, [FILE])
print("pages encoded at first:", first.pages_encoded, "- and again:", again.pages_encoded)

# %% [markdown]
# The index is a folder. Bringing it up to date again costs nothing where no file has changed.
# A search is exact: scores are sums over the words of the question, at most one a token.

# %%
hits = searcher.search(QUESTION, k=3)
print(len(encoder.query_tokens(QUESTION)), "query tokens of", encoder.dimension, "numbers")
for hit in hits:
    print(f"{hit.score:.2f}  page {hit.page_number} of {hit.total_pages}")

# %% [markdown]
# ## Why this page?
#
# A heat map shows itself in a notebook: what matches is coloured, from yellow over red to violet.

# %%
heat = hits[0].heatmap()
display(heat)

# %% [markdown]
# One word of the question by itself, with its strongest regions outlined:

# %%
display(heat.image("volunteers", boxes=2))

# %% [markdown]
# Regions are boxes in fractions of the page, from its upper left corner. Cut them out for a closer
# look, or hand them to a program.

# %%
for box in heat.boxes(2, token="volunteers"):
    sides = {side: round(getattr(box, side), 2) for side in ("left", "top", "right", "bottom")}
    print(sides, f"relevance {box.score:.2f}")

# %% [markdown]
# ## The same in LlamaIndex and LangChain
#
# `ColQwen2Retriever` is there for both. It opens the index and finds the model that made it by
# itself, and it draws the same heat maps. A folder is open in one place at a time, so close it, or
# use `with`.

# %%
from vdr_integrations.llama_index import ColQwen2Retriever

asked = "What share of the budget was spent on salaries and heating?"
with ColQwen2Retriever("late-index", similarity_top_k=1) as retriever:
    hit = retriever.retrieve(asked)[0]
    budget = retriever.heatmap(asked, hit.node)
print("page", hit.metadata["page_number"], "with a score of", round(hit.score, 2))
display(budget)

# %% [markdown]
# `vdr search "..." --index late-index --report found.html` writes such pictures into one file to
# pass on. How they are computed, and how often they are right: `docs/pictures.md`.
