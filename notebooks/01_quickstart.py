# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quickstart: find a page by what it looks like
#
# A page of a PDF becomes an image, the image becomes one vector, and a question becomes a vector in
# the same space. The page whose vector is nearest to the question's vector is the answer. There is
# no OCR, and no text is cut into chunks.
#
# This notebook needs no network and no GPU: it runs `nano`, a 24 MB model that is part of the
# package and matches printed words. **For real work** write
# `MODEL = "llamaindex/vdr-2b-multi-v1"` (4.4 GB, downloaded once); nothing else changes.
#
# The notebook needs PDFs in a folder `reports/`; copy `demo/documents/*.pdf` of the repository
# there.

# %%
import numpy as np
from IPython.display import display

from vdr_integrations import DenseEncoder, PixelBudget, open_pdf

MODEL = "nano"
FILES = ["reports/library-report.en.pdf", "reports/wine-report.it.pdf"]

encoder = DenseEncoder.load(MODEL)
print(encoder.dimension, "numbers a vector")

# %% [markdown]
# Each page of both files becomes a row of `vectors`. All rows have length 1.

# %%
places = []
rows = []
for file in FILES:
    with open_pdf(file) as pages:
        rows.append(encoder.encode_pages(pages))
        places += [(file, page.page_number) for page in pages]

vectors = np.vstack(rows)
print(vectors.shape, vectors.dtype)

# %% [markdown]
# A search is one product of matrices. All rows have length 1, so the product contains cosines. Ask
# `nano` in the language of the document; `llamaindex/vdr-2b-multi-v1` finds pages in other
# languages too.

# %%
QUESTIONS = [
    "How many librarians and volunteers does each branch have?",
    "Quanto costano le bottiglie di spumante?",
]

scores = encoder.encode_queries(QUESTIONS) @ vectors.T
for question, row in zip(QUESTIONS, scores, strict=True):
    print(question)
    for place in np.argsort(-row)[:3]:
        file, page_number = places[place]
        print(f"  {row[place]:.3f}  {file}, page {page_number}")

# %% [markdown]
# This is the page that was found first. You choose the size at which it is drawn, in *visual
# tokens*: squares of 28 x 28 pixels. By default, the model sees 768 of them.

# %%
file, page_number = places[scores[0].argmax()]
with open_pdf(file) as pages:
    page = pages[page_number - 1].to_image(PixelBudget(768)).image
display(page)

# %% [markdown]
# Vectors can be shortened, because their first numbers are the most important ones (*Matryoshka*).
# Give `load` a `dimension`; the shortened vectors have length 1 again.

# %%
short = DenseEncoder.load(MODEL, dimension=171)
with open_pdf(FILES[0]) as pages:
    found = short.encode_queries(QUESTIONS[:1]) @ short.encode_pages(pages).T
print("page", found.argmax() + 1, "of", FILES[0], "with", short.dimension, "numbers a page")

# %% [markdown]
# For folders of PDFs there is a command, `vdr index reports/ --index my-index`. It keeps the
# vectors on disk and skips files that have not changed. `PageSearcher("my-index").search(question)`
# finds pages in such a folder. The next notebooks search inside LlamaIndex and LangChain.
