"""The report page of a release: `page` makes it, `words` says it, `page.html.jinja` and `style.css` are its form."""
