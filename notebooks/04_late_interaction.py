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
# With one vector per page, this vector must describe the whole page. Late interaction keeps a
# vector for each place on the page. Each word of a question is compared with all places, and the
# best match of each word is added (*MaxSim*). This is finer, and it can be drawn: you see where on
# the page the words match.
#
# This notebook runs offline with the bundled `nano-colqwen2`, which matches printed words. **For
# real work** write `MODEL = "vidore/colqwen2-v1.0"` (4.4 GB, downloaded once). The notebook needs
# PDFs in a folder `reports/`; copy `demo/documents/*.pdf` of the repository there.

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
# The index is a folder. `sync_index` brings it up to date and skips files that have not changed.
# Scores are exact: each token of the question adds its best cosine, at most 1.

# %%
hits = searcher.search(QUESTION, k=3)
print(len(encoder.query_tokens(QUESTION)), "query tokens of", encoder.dimension, "numbers")
for hit in hits:
    print(f"{hit.score:.2f}  page {hit.page_number} of {hit.total_pages}")

# %% [markdown]
# ## Why this page?
#
# A notebook shows a heat map as an image: places that match are coloured, from yellow over red to
# violet. Each hit can draw its own.

# %%
heat = hits[0].heatmap()
display(heat)

# %% [markdown]
# Only one word of the question, with its strongest regions outlined:

# %%
display(heat.image("volunteers", boxes=2))

# %% [markdown]
# Regions are boxes in fractions of the page, from its upper left corner. You can cut them out, or
# give them to a program.

# %%
for box in heat.boxes(2, token="volunteers"):
    sides = {side: round(getattr(box, side), 2) for side in ("left", "top", "right", "bottom")}
    print(sides, f"relevance {box.score:.2f}")

# %% [markdown]
# ## The same in LlamaIndex and LangChain
#
# Both have a `LateInteractionRetriever`. It opens the index, loads the model that made it, and
# draws the same heat maps. All objects of a process that name the same folder share one open index.

# %%
from vdr_integrations.llama_index import LateInteractionRetriever

asked = "What share of the budget was spent on salaries and heating?"
with LateInteractionRetriever("late-index", similarity_top_k=1) as retriever:
    hit = retriever.retrieve(asked)[0]
    budget = retriever.heatmap(asked, hit.node)
print("page", hit.metadata["page_number"], "with a score of", round(hit.score, 2))
display(budget)

# %% [markdown]
# `vdr search "..." --index late-index --report found.html` writes such images into one file that
# you can share. How they are computed, and how often they are right: `docs/pictures.md`.
