"""How pages in a browser look: the style that the HTML reports and the search page share."""
