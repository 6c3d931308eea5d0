"""An index in a folder: a SQLite database lists its content, other files hold the vectors.

``file_format.py`` describes the files of a folder.
"""
