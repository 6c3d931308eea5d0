"""What the package does on a GPU, beside the model card's own way in the same run.

    python -m benchmarks.gpu [--checkpoint FOLDER] [--section NAME ...]
    python -m benchmarks.gpu --device cpu --tiny

Every section prints a table and goes into a JSON file. Without --checkpoint the weights are random,
of the real configuration: speed and memory are those of the real model, the vectors mean nothing.
The second line runs every section with a tiny model and is for finding mistakes, not for figures.

A machine with Python 3.12, torch and nothing else needs the archive that
``python -m benchmarks.gpu_packages`` makes elsewhere.
"""
