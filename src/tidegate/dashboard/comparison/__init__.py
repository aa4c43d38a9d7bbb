"""The view models of the page "API or webhook?", one module for each of its parts. Pure: figures in, text and SVG out.

`subject.py` is what they all read: one resource with its figures and its advice. A figure that was not measured is said
to be so and never 0; nothing here is read from the store.
"""
