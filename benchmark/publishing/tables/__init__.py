"""Tables in every form: all numbers, Markdown and LaTeX."""
