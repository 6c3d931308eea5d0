"""What the package does on a GPU, compared with the model card's own way in the same run.

    python -m benchmarks.gpu [--checkpoint FOLDER] [--section NAME ...]
    python -m benchmarks.gpu --device cpu --tiny

Every section prints a table and is saved in a JSON file. Without --checkpoint, the weights are
random and the configuration is the real one: speed and memory are those of the real model, but the
vectors mean nothing. The second line runs every section with a tiny model, to find mistakes, not to
measure.

A machine with Python 3.12, torch and nothing else needs the archive that
``python -m benchmarks.gpu_packages`` makes elsewhere.
"""
