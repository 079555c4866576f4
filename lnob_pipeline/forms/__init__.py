"""Questionnaires made from the question bank: an XLSForm, and the instrument that maps its answers back.

Here: which questions some indicators need, how they are laid out, what skips mean in a form. What a question says is in
the question bank (indicator_mappings/variables); how an indicator is computed is in mappings.measures.
"""
