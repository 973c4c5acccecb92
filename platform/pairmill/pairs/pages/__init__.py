"""One HTML page: bytes to text (`charset`), text to a tree (`page`), and what builders take from it.

`content` finds the main content as blocks and sections, `titles` the title without the site's name, `questions` the
questions and answers that schema.org marks up, `links` the links. `limits` says which pages are not read at all.
"""
